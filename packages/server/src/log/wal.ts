/**
 * The write-ahead segments: where an entry is durable first. A frame is its length (31 bits, behind one that says whether a
 * write begins with it), its leaf hash and its bytes; the leaf hash is what the tree needs anyway, and it finds a torn tail.
 * A segment is named for its first index.
 */
import { join } from "node:path";
import { ENTRY_SIZE_BYTES, equal, leafHash } from "@tallystick/protocol";
import type { Appending, Disk } from "../platform/disk.ts";
import { OperatorError } from "../platform/errors.ts";

const SEGMENT_SIZE_BYTES = 8 * 1024 * 1024;
const HEAD_SIZE_BYTES = 4 + 32;
/** Set in the length of the first frame of a write. The write before it was synced by then: damage there is no torn tail. */
const BEGINS_WRITE = 0x8000_0000;
const NAME = /^[0-9]{16}$/;

/** An entry in the order of the log. */
export type Sequenced = { index: number; entry: Uint8Array; leaf: Uint8Array };

export type Wal = {
  /** Appends the frames of a batch that begins with `firstIndex`; durable when it resolves. Not to be called again before that. */
  write(firstIndex: number, frames: Uint8Array): Promise<void>;
  /** Removes the segments that hold nothing at or after `size`. */
  trim(size: number): Promise<void>;
  close(): Promise<void>;
};

/** What the segments held: `kept` a checkpoint covers, `recovered` it does not. Together they are one run of indexes. */
export type Recovered = { kept: Sequenced[]; recovered: Sequenced[] };

/**
 * Opens the segments in `folder` and reads back what they hold. A torn tail, which nobody was promised, is cut off; what
 * is to be recovered is durable when this resolves. Damage before a later write is refused, and so is a gap from `size` on.
 * Throws an OperatorError.
 */
export async function openWal(disk: Disk, folder: string, size: number): Promise<{ wal: Wal } & Recovered> {
  const names = (await disk.list(folder)).filter((name) => NAME.test(name)).sort();
  const run: Sequenced[] = [];
  for (const [i, name] of names.entries()) {
    const path = join(folder, name);
    const bytes = Buffer.from((await disk.read(path)) ?? new Uint8Array(0));
    const { frames, intactSizeBytes } = readFrames(bytes, Number(name));
    const isLast = i === names.length - 1;
    const isTorn = intactSizeBytes < bytes.length;
    if (isTorn && (!isLast || isWrittenAfter(bytes, intactSizeBytes)))
      throw new OperatorError(`${path} is damaged at byte ${intactSizeBytes}: restore the log's folder from a backup`);
    // What a process left that was killed, or whose sync failed, may be in memory alone, and another sync says nothing.
    if (isLast && Number(name) + frames.length > size)
      await disk.write([{ path, bytes: bytes.subarray(0, intactSizeBytes) }]);
    else if (isTorn) await disk.cut(path, intactSizeBytes);
    for (const one of frames) {
      const next = run.length === 0 ? one.index : run[0]!.index + run.length;
      if (one.index > Math.max(next, size))
        throw new OperatorError(
          `${folder} lacks the entries from ${Math.max(next, size)} to ${one.index - 1}: restore the log's folder from a backup`,
        );
      if (one.index < next) continue;
      if (one.index > next) run.length = 0; // What lies before a gap is covered, and of no more use.
      run.push(one);
    }
  }
  const first = run[0]?.index ?? size;
  if (first > size)
    throw new OperatorError(
      `${folder} lacks the entries from ${size} to ${first - 1}: restore the log's folder from a backup`,
    );
  const kept = run.splice(0, size - first);
  return { wal: createWal(disk, folder, names), kept, recovered: run };
}

/** The frames up to the first that is not whole, and where that begins. */
function readFrames(file: Buffer, firstIndex: number): { frames: Sequenced[]; intactSizeBytes: number } {
  const frames: Sequenced[] = [];
  let at = 0;
  for (let found = frameAt(file, at); found !== undefined; found = frameAt(file, at)) {
    const { leaf, entry } = found;
    frames.push({ index: firstIndex + frames.length, entry, leaf });
    at = found.end;
  }
  return { frames, intactSizeBytes: at };
}

function frameAt(file: Buffer, at: number): { leaf: Uint8Array; entry: Uint8Array; end: number } | undefined {
  const start = at + HEAD_SIZE_BYTES;
  if (start > file.length) return undefined;
  const length = (file.readUInt32BE(at) & ~BEGINS_WRITE) >>> 0;
  const end = start + length;
  if (length > ENTRY_SIZE_BYTES || end > file.length) return undefined;
  const leaf = new Uint8Array(file.subarray(at + 4, start));
  const entry = new Uint8Array(file.subarray(start, end));
  return equal(leafHash(entry), leaf) ? { leaf, entry, end } : undefined;
}

/** Whether a whole frame that begins a write is anywhere after `at`. */
function isWrittenAfter(file: Buffer, at: number): boolean {
  for (let next = at + 1; next + HEAD_SIZE_BYTES <= file.length; next++)
    if (file[next] === BEGINS_WRITE >>> 24 && frameAt(file, next) !== undefined) return true;
  return false;
}

/** The bytes of a write: a frame each entry. */
export function frame(batch: readonly Sequenced[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(batch.reduce((size, { entry }) => size + HEAD_SIZE_BYTES + entry.length, 0));
  let at = 0;
  for (const [i, { entry, leaf }] of batch.entries()) {
    bytes.writeUInt32BE((i === 0 ? BEGINS_WRITE : 0) + entry.length, at);
    bytes.set(leaf, at + 4);
    bytes.set(entry, at + HEAD_SIZE_BYTES);
    at += HEAD_SIZE_BYTES + entry.length;
  }
  return bytes;
}

/** Segments are only ever begun, appended to and removed; what was there before is removed by a later trim. */
function createWal(disk: Disk, folder: string, existing: string[]): Wal {
  const segments = [...existing];
  let current: { file: Appending; sizeBytes: number } | undefined;

  async function begin(firstIndex: number): Promise<{ file: Appending; sizeBytes: number }> {
    await current?.file.close();
    const name = String(firstIndex).padStart(16, "0");
    current = { file: await disk.begin(join(folder, name)), sizeBytes: 0 };
    if (segments.at(-1) !== name) segments.push(name);
    return current;
  }

  return {
    async write(firstIndex, frames) {
      const segment =
        current === undefined || current.sizeBytes > SEGMENT_SIZE_BYTES ? await begin(firstIndex) : current;
      await segment.file.append(frames);
      segment.sizeBytes += frames.length;
    },

    async trim(size) {
      while (segments.length > 1 && Number(segments[1]) <= size) {
        const [name = ""] = segments.splice(0, 1);
        await disk.remove(join(folder, name));
      }
    },

    async close() {
      await current?.file.close();
      current = undefined;
    },
  };
}
