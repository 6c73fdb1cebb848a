/** `backup.json`: what a backup holds, written last. A folder without it is not a backup yet. */
import { base64, type Checkpoint, findJson, hex, parseBase64, sha256, utf8 } from "@tallystick/protocol";
import { UnverifiedError } from "../../errors.ts";
import { fieldOf } from "../../http.ts";

export const MANIFEST = "backup.json";
const FORMAT = "tallystick-backup@v1";

/** The bytes of a file: how many, and their SHA-256 in hex. */
export type FileDigest = { sizeBytes: number; sha256: string };
export type TreeSize = { size: number; root: Uint8Array };

export type Manifest = {
  origin: string;
  takenAtSeconds: number;
  /** The log at its checkpoint. */
  log: TreeSize;
  hasKeys: boolean;
  /** By path, with slashes. */
  files: ReadonlyMap<string, FileDigest>;
};

export function manifestOf(
  { origin, size, root }: Checkpoint,
  rest: Pick<Manifest, "takenAtSeconds" | "hasKeys" | "files">,
): Manifest {
  return { origin, log: { size, root }, ...rest };
}

export function digestOf(bytes: Uint8Array): FileDigest {
  return { sizeBytes: bytes.length, sha256: hex(sha256(bytes)) };
}

export function isSameDigest(a: FileDigest | undefined, b: FileDigest): boolean {
  return a?.sizeBytes === b.sizeBytes && a.sha256 === b.sha256;
}

export function encodeManifest({ origin, takenAtSeconds, log, hasKeys, files }: Manifest): Uint8Array {
  const rows = [...files].sort(([a], [b]) => (a < b ? -1 : 1));
  const content = {
    ...{ format: FORMAT, origin, takenAtSeconds, hasKeys },
    log: { size: log.size, root: base64(log.root) },
    files: Object.fromEntries(rows),
  };
  return utf8(`${JSON.stringify(content, undefined, 1)}\n`);
}

/** Reads a manifest. Throws UnverifiedError where it is none. */
export function parseManifest(bytes: Uint8Array, path: string): Manifest {
  const json = findJson(new TextDecoder().decode(bytes));
  const [origin, takenAtSeconds, hasKeys] = ["origin", "takenAtSeconds", "hasKeys"].map((key) => fieldOf(json, key));
  const log = fieldOf(json, "log");
  const [size, root] = [fieldOf(log, "size"), parseBase64(String(fieldOf(log, "root")))];
  const rows = Object.entries(fieldOf(json, "files") ?? {}).map(([name, row]) => [name, parseDigest(row)] as const);
  const files = new Map(rows.flatMap(([name, row]) => (row === undefined || !isInside(name) ? [] : [[name, row]])));
  if (
    fieldOf(json, "format") !== FORMAT ||
    typeof origin !== "string" ||
    !isCount(takenAtSeconds) ||
    typeof hasKeys !== "boolean" ||
    !isCount(size) ||
    root?.length !== 32 ||
    files.size !== rows.length
  )
    throw new UnverifiedError(`${path} is not a ${FORMAT}: take another backup`);
  return { origin, takenAtSeconds, hasKeys, log: { size, root }, files };
}

function parseDigest(row: unknown): FileDigest | undefined {
  const [sizeBytes, digest] = [fieldOf(row, "sizeBytes"), fieldOf(row, "sha256")];
  if (!isCount(sizeBytes) || typeof digest !== "string" || !/^[0-9a-f]{64}$/.test(digest)) return undefined;
  return { sizeBytes, sha256: digest };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

// Whoever wrote the backup must not choose where in this machine its files go.
function isInside(name: string): boolean {
  return name.split("/").every((part) => part !== "" && part !== "." && part !== "..") && !/[\\\0]/.test(name);
}
