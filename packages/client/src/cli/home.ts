/** What `tally` keeps for its user: the halves of receipts, the keys of logs it has met, a relier's key. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { parseNoteKey } from "@tallystick/protocol";

export type Home = {
  /** `TALLYSTICK_HOME`, or `tallystick` in the user's configuration folder. */
  folder: string;
  relierKeyPath: string;
  receiptPath(receiptId: string): string;
  /** The vkey by which a log was first met. */
  findLog(origin: string): Promise<string | undefined>;
  /** Remembers a log's vkey. Throws where the same origin was met with another key. */
  rememberLog(vkey: string): Promise<void>;
};

export function openHome(env: NodeJS.ProcessEnv): Home {
  const folder = env.TALLYSTICK_HOME ?? join(env.XDG_CONFIG_HOME ?? join(homedir(), ".config"), "tallystick");
  const knownLogs = join(folder, "known-logs");

  async function known(): Promise<Map<string, string>> {
    const text = await readFile(knownLogs, "utf8").catch(() => "");
    const vkeys = text.split("\n").filter((line) => line !== "");
    return new Map(vkeys.map((vkey) => [parseNoteKey(vkey).name, vkey]));
  }

  return {
    folder,
    relierKeyPath: join(folder, "relier.pem"),
    receiptPath: (receiptId) => join(folder, "receipts", `${receiptId}.json`),
    findLog: async (origin) => (await known()).get(origin),

    async rememberLog(vkey) {
      const logs = await known();
      const { name } = parseNoteKey(vkey);
      const before = logs.get(name);
      if (before === vkey) return;
      if (before !== undefined)
        throw new Error(
          `the log ${name} was met with another key before: if it was made anew, remove its line from ${knownLogs}`,
        );
      await writePrivately(knownLogs, [...logs.values(), vkey, ""].join("\n"));
    },
  };
}

/** Writes a file that its owner alone reads, whole or not at all. */
export async function writePrivately(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(`${path}.new`, content, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** The content of a file; undefined where there is none. */
export async function findFile(path: string): Promise<Uint8Array | undefined> {
  return readFile(path).then(
    (bytes) => new Uint8Array(bytes),
    (error: unknown) => {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "ENOENT" || code === "ENOTDIR" || code === "ENAMETOOLONG") return undefined;
      throw error;
    },
  );
}
