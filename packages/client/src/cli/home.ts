/** What `tally` keeps for its user: the halves of receipts, the keys of logs it has met, a relier's key. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { Malformed, parseNoteKey } from "@tallystick/protocol";
import { UnverifiedError } from "../errors.ts";

export type Home = {
  /** `TALLYSTICK_HOME`, or `tallystick` in the user's configuration folder. */
  folder: string;
  relierKeyPath: string;
  receiptPath(receiptId: string): string;
  /** The vkey by which a log was first met. */
  findLog(origin: string): Promise<string | undefined>;
  /** Remembers a log's vkey. Throws UnverifiedError where the same origin was met with another key. */
  rememberLog(vkey: string): Promise<void>;
};

export function openHome(env: NodeJS.ProcessEnv): Home {
  const folder = env.TALLYSTICK_HOME || join(env.XDG_CONFIG_HOME || join(homedir(), ".config"), "tallystick");
  const knownLogs = join(folder, "known-logs");

  async function known(): Promise<Map<string, string>> {
    const bytes = await findFile(knownLogs);
    const lines = new TextDecoder().decode(bytes).split("\n");
    return new Map(lines.filter((line) => line !== "").map((line) => [originOf(line, knownLogs), line]));
  }

  return {
    folder,
    relierKeyPath: join(folder, "relier.pem"),
    receiptPath: (receiptId) => join(folder, "receipts", `${receiptId}.json`),
    findLog: async (origin) => (await known()).get(origin),

    async rememberLog(vkey) {
      const logs = await known();
      const origin = originOf(vkey, "what the network says");
      const before = logs.get(origin);
      if (before === vkey) return;
      if (before !== undefined)
        throw new UnverifiedError(
          `the log ${origin} was met with another key before. Somebody may be posing as it; if it was made anew, remove its line from ${knownLogs}`,
        );
      await writePrivately(knownLogs, [...logs.values(), vkey, ""].join("\n"));
    },
  };
}

function originOf(vkey: string, where: string): string {
  try {
    return parseNoteKey(vkey).name;
  } catch (cause) {
    if (cause instanceof Malformed)
      throw new Error(`${where} has as the key of a log ${JSON.stringify(vkey.slice(0, 80))}, which ${cause.message}`, {
        cause,
      });
    throw cause;
  }
}

let writes = 0;

/** Writes a file that its owner alone reads, whole or not at all. */
export async function writePrivately(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const aside = `${path}.${process.pid}-${writes++}.new`; // Two commands may write the same file at once.
  await writeFile(aside, content, { mode: 0o600 });
  await rename(aside, path);
}

/** What there is no file behind, as the system says it: what was meant is then something else, a text or an id. */
const NO_FILE: ReadonlySet<unknown> = new Set(["ENOENT", "ENOTDIR", "ENAMETOOLONG", "EISDIR"]);

/** The content of a file; undefined where there is none. */
export async function findFile(path: string): Promise<Uint8Array | undefined> {
  return readFile(path).then(
    (bytes) => new Uint8Array(bytes),
    (error: unknown) => {
      if (error instanceof Error && "code" in error && NO_FILE.has(error.code)) return undefined;
      throw error;
    },
  );
}
