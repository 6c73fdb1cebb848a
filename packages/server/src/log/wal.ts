/**
 * The write-ahead segments: where an entry is durable first. A frame is its length (31 bits, behind one that says whether a
 * write begins with it), its leaf hash and its bytes; the leaf hash is what the tree needs anyway, and it finds a torn tail.
 * A segment is named for its first index.
 */
import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { ENTRY_SIZE_BYTES, equal, leafHash } from "@tallystick/protocol";
import { OperatorError } from "../platform/errors.ts";
import { makeFolder, syncFolder } from "../platform/files.ts";

const SEGMENT_SIZE_BYTES = 8 * 1024 * 1024;
const HEAD_SIZE_BYTES = 4 + 32;
/** Set in the length of the first frame of a write. The write before it was synced by then: damage there is no torn tail. */
const BEGINS_WRITE = 0x8000_0000;
/** On Linux a write returns once it is on the disk, as after a sync, which saves the event loop a turn (open(2), O_DSYNC). */
const SYNCED_BY_WRITING = process.platform === "linux";
const APPENDING =
  constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | (SYNCED_BY_WRITING ? constants.O_DSYNC : 0);
const NAME = /^[0-9]{16}$/;

/** An entry in the order of the log. */
export type Sequenced = { index: number; entry: Uint8Array; leaf: Uint8Array };

export type Wal = {
  /** Appends frames; durable when it resolves. Not to be called again before that. */
  write(batch: readonly Sequenced[]): Promise<void>;
  /** Removes the segments that hold nothing at or after `size`. */
  trim(size: number): Promise<void>;
  close(): Promise<void>;
};

/**
 * Opens the segments in `folder` and reads back what they hold from `size` on. A torn tail, which nobody was promised,
 * is cut off; damage before a later write is refused. Throws an OperatorError.
 */
export async function openWal(folder: string, size: number): Promise<{ wal: Wal; recovered: Sequenced[] }> {
  await makeFolder(folder);
  const names = (await readdir(folder)).filter((name) => NAME.test(name)).sort();
  const recovered: Sequenced[] = [];
  let next = size;
  for (const [i, name] of names.entries()) {
    const path = join(folder, name);
    const bytes = await readFile(path);
    const { frames, intactSizeBytes } = readFrames(bytes, Number(name));
    if (intactSizeBytes < bytes.length) {
      if (i < names.length - 1 || isWrittenAfter(bytes, intactSizeBytes))
        throw new OperatorError(
          `${path} is damaged at byte ${intactSizeBytes}: restore the log's folder from a backup`,
        );
      await cutOff(path, intactSizeBytes);
    }
    for (const frame of frames) {
      if (frame.index < next) continue;
      if (frame.index > next)
        throw new OperatorError(
          `${folder} lacks the entries from ${next} to ${frame.index - 1}: restore the log's folder from a backup`,
        );
      recovered.push(frame);
      next++;
    }
  }
  return { wal: createWal(folder, names), recovered };
}

/** The frames up to the first that is not whole, and where that begins. */
function readFrames(file: Buffer, firstIndex: number): { frames: Sequenced[]; intactSizeBytes: number } {
  const frames: Sequenced[] = [];
  let at = 0;
  for (let frame = frameAt(file, at); frame !== undefined; frame = frameAt(file, at)) {
    const { leaf, entry } = frame;
    frames.push({ index: firstIndex + frames.length, entry, leaf });
    at = frame.end;
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

async function cutOff(path: string, sizeBytes: number): Promise<void> {
  const handle = await open(path, "r+");
  try {
    await handle.truncate(sizeBytes);
    await handle.sync(); // Else it might come back before the segment that is begun next.
  } finally {
    await handle.close();
  }
}

/** Segments are only ever begun, appended to and removed; what `recovered` came from is removed by the next trim. */
function createWal(folder: string, existing: string[]): Wal {
  const segments = [...existing];
  let current: { handle: FileHandle; sizeBytes: number } | undefined;

  async function begin(firstIndex: number): Promise<{ handle: FileHandle; sizeBytes: number }> {
    await current?.handle.close();
    const name = String(firstIndex).padStart(16, "0");
    const handle = await open(join(folder, name), APPENDING);
    await syncFolder(folder);
    if (segments.at(-1) !== name) segments.push(name);
    current = { handle, sizeBytes: 0 };
    return current;
  }

  return {
    async write(batch) {
      const first = batch[0];
      if (first === undefined) return;
      const segment =
        current === undefined || current.sizeBytes > SEGMENT_SIZE_BYTES ? await begin(first.index) : current;
      const frames = batch.flatMap(({ entry, leaf }, i) => {
        const length = Buffer.allocUnsafe(4);
        length.writeUInt32BE((i === 0 ? BEGINS_WRITE : 0) + entry.length);
        return [length, leaf, entry];
      });
      const bytes = Buffer.concat(frames);
      // Each goes on from where the last ended. In one piece, where the system takes it: every piece is synced.
      for (let at = 0; at < bytes.length; ) at += (await segment.handle.write(bytes, at)).bytesWritten;
      if (!SYNCED_BY_WRITING) await segment.handle.datasync();
      segment.sizeBytes += bytes.length;
    },

    async trim(size) {
      while (segments.length > 1 && Number(segments[1]) <= size) {
        const [name = ""] = segments.splice(0, 1);
        await rm(join(folder, name), { force: true });
      }
    },

    async close() {
      await current?.handle.close();
      current = undefined;
    },
  };
}
