/** What `tally` keeps for its user: the halves of receipts, keys and checkpoints of logs it has met, a relier's key. */
import { readFileSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import {
  encodeNote,
  type Handover,
  hex,
  Malformed,
  parseCheckpoint,
  parseHandover,
  parseNoteKey,
  sha256,
  utf8,
} from "@tallystick/protocol";
import { UnverifiedError } from "../errors.ts";
import type { SignedCheckpoint } from "../log/alarm.ts";

export type Home = {
  /** `TALLYSTICK_HOME`, or `tallystick` in the user's configuration folder. */
  folder: string;
  relierKeyPath: string;
  disputerKeyPath: string;
  auditorKeyPath: string;
  receiptPath(receiptId: string): string;
  /** Where the evidence of a receipt's proof is kept, and what proofs are verified by, under its SHA-256. */
  proofPath(receiptId: string): string;
  blobPath(digest: string): string;
  /** How far an audit of a log got that was cut short. */
  auditPath(origin: string): string;
  /** The vkey by which a log was first met. */
  findLog(origin: string): Promise<string | undefined>;
  /** The newest checkpoint of a log that was believed here, as it came: what the log signs from then on is held to it. */
  findCheckpoint(origin: string): Promise<SignedCheckpoint | undefined>;
  keepCheckpoint(kept: SignedCheckpoint): Promise<void>;
  /** Keeps what shows that a log did what it must not do. The folder in which it lies; the same evidence lies there once. */
  keepEvidence(origin: string, evidence: ReadonlyMap<string, Uint8Array>): Promise<string>;
  /** How the keys of a log gave way to one another, as far as it was met. */
  findHandovers(origin: string): Promise<Handover[]>;
  keepHandovers(origin: string, handovers: readonly Handover[]): Promise<void>;
  /** Remembers a log's vkey. Throws UnverifiedError where the same origin was met with another key. */
  rememberLog(vkey: string): Promise<void>;
};

export function openHome(env: NodeJS.ProcessEnv): Home {
  const folder = env.TALLYSTICK_HOME || join(env.XDG_CONFIG_HOME || join(homedir(), ".config"), "tallystick");
  const knownLogs = join(folder, "known-logs");
  const handoversPath = (origin: string) => join(folder, "handovers", `${nameOf(origin)}.json`);
  const checkpointPath = (origin: string) => join(folder, "checkpoints", nameOf(origin));

  async function known(): Promise<Map<string, string>> {
    const bytes = await findFile(knownLogs);
    const lines = new TextDecoder().decode(bytes).split("\n");
    return new Map(lines.filter((line) => line !== "").map((line) => [originOf(line, knownLogs), line]));
  }

  return {
    folder,
    relierKeyPath: join(folder, "relier.pem"),
    disputerKeyPath: join(folder, "disputer.pem"),
    auditorKeyPath: join(folder, "auditor.pem"),
    receiptPath: (receiptId) => join(folder, "receipts", `${receiptId}.json`),
    proofPath: (receiptId) => join(folder, "proofs", receiptId),
    blobPath: (digest) => join(folder, "blobs", digest),
    auditPath: (origin) => join(folder, "audits", `${nameOf(origin)}.json`),
    findCheckpoint: (origin) => findCheckpoint(checkpointPath(origin), origin),
    keepCheckpoint: ({ checkpoint, bytes }) => writePrivately(checkpointPath(checkpoint.origin), bytes),

    async keepEvidence(origin, evidence) {
      const names = [...evidence.keys()].sort();
      const digest = sha256(...names.flatMap((name) => [utf8(name), sha256(evidence.get(name) ?? utf8(""))]));
      const place = join(folder, "evidence", nameOf(origin), hex(digest).slice(0, 16));
      for (const [name, bytes] of evidence) await writePrivately(join(place, name), bytes);
      return place;
    },

    async findHandovers(origin) {
      const path = handoversPath(origin);
      const bytes = await findFile(path);
      if (bytes === undefined) return [];
      try {
        const texts: unknown = JSON.parse(new TextDecoder().decode(bytes));
        return (Array.isArray(texts) ? texts : []).map((text: unknown) => parseHandover(utf8(String(text))));
      } catch (cause) {
        throw new Error(`${path} is not what was kept there: remove it, and meet the log again`, { cause });
      }
    },

    keepHandovers: (origin, handovers) =>
      writePrivately(handoversPath(origin), `${JSON.stringify(handovers.map(({ note }) => encodeNote(note)))}\n`),

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

/** An origin as the name of a file: it may have slashes itself. */
function nameOf(origin: string): string {
  return hex(sha256(utf8(origin)));
}

async function findCheckpoint(path: string, origin: string): Promise<SignedCheckpoint | undefined> {
  const bytes = await findFile(path);
  if (bytes === undefined) return undefined;
  try {
    const checkpoint = parseCheckpoint(bytes);
    if (checkpoint.origin === origin) return { checkpoint, bytes };
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
  }
  throw new Error(
    `${path} is not the checkpoint of ${origin} that was kept there: restore it, or remove it to forget it`,
  );
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
  await writeWhole(path, content, { folder: 0o700, file: 0o600 });
}

/** Writes a file that anybody may read, as the umask has it, whole or not at all. */
export async function writePublicly(path: string, content: string | Uint8Array): Promise<void> {
  await writeWhole(path, content, { folder: 0o777, file: 0o666 });
}

type Modes = { folder: number; file: number };

async function writeWhole(path: string, content: string | Uint8Array, { folder, file }: Modes): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: folder });
  const aside = `${path}.${process.pid}-${writes++}.new`; // Two commands may write the same file at once.
  await writeFile(aside, content, { mode: file });
  await rename(aside, path);
}

/** What there is no file behind, as the system says it: what was meant is then something else, a text or an id. */
const NO_FILE: ReadonlySet<unknown> = new Set(["ENOENT", "ENOTDIR", "ENAMETOOLONG", "EISDIR"]);

/** The content of a file; undefined where there is none. */
export async function findFile(path: string): Promise<Uint8Array | undefined> {
  return readFile(path).then((bytes) => new Uint8Array(bytes), undefinedWhereNone);
}

/** The same, while nothing else is done. */
export function findFileNow(path: string): Uint8Array | undefined {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    return undefinedWhereNone(error);
  }
}

function undefinedWhereNone(error: unknown): undefined {
  if (error instanceof Error && "code" in error && NO_FILE.has(error.code)) return undefined;
  throw error;
}
