/**
 * The write-ahead segments: where an entry is durable first. A frame is its length (32 bits), its leaf hash and its bytes;
 * the leaf hash is what the tree needs anyway, and it finds a torn tail. A segment is named for its first index.
 */
import type { FileHandle } from "node:fs/promises";
import { mkdir, open, readdir, readFile, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { ENTRY_SIZE_BYTES, equal, leafHash } from "@tallystick/protocol";
import { syncFolder } from "../platform/files.ts";

const SEGMENT_SIZE_BYTES = 8 * 1024 * 1024;
const HEAD_SIZE_BYTES = 4 + 32;
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
 * is cut off; a gap before intact frames is damage, and is refused.
 */
export async function openWal(folder: string, size: number): Promise<{ wal: Wal; recovered: Sequenced[] }> {
  await mkdir(folder, { recursive: true });
  const names = (await readdir(folder)).filter((name) => NAME.test(name)).sort();
  const recovered: Sequenced[] = [];
  let next = size;
  for (const [i, name] of names.entries()) {
    const path = join(folder, name);
    const { frames, intactSizeBytes, whole } = readFrames(await readFile(path), Number(name));
    if (!whole && i < names.length - 1) throw new Error(`the write-ahead segment ${path} is damaged before its end`);
    if (!whole) await truncate(path, intactSizeBytes);
    for (const frame of frames) {
      if (frame.index < next) continue;
      if (frame.index > next)
        throw new Error(`the write-ahead segments in ${folder} lack entries ${next} to ${frame.index - 1}`);
      recovered.push(frame);
      next++;
    }
  }
  return { wal: createWal(folder, names), recovered };
}

function readFrames(
  file: Buffer,
  firstIndex: number,
): { frames: Sequenced[]; intactSizeBytes: number; whole: boolean } {
  const frames: Sequenced[] = [];
  let at = 0;
  while (at + HEAD_SIZE_BYTES <= file.length) {
    const length = file.readUInt32BE(at);
    const end = at + HEAD_SIZE_BYTES + length;
    if (length > ENTRY_SIZE_BYTES || end > file.length) break;
    const leaf = new Uint8Array(file.subarray(at + 4, at + HEAD_SIZE_BYTES));
    const entry = new Uint8Array(file.subarray(at + HEAD_SIZE_BYTES, end));
    if (!equal(leafHash(entry), leaf)) break;
    frames.push({ index: firstIndex + frames.length, entry, leaf });
    at = end;
  }
  return { frames, intactSizeBytes: at, whole: at === file.length };
}

/** Segments are only ever begun, appended to and removed; what `recovered` came from is removed by the next trim. */
function createWal(folder: string, existing: string[]): Wal {
  const segments = [...existing];
  let current: { handle: FileHandle; sizeBytes: number } | undefined;

  async function begin(firstIndex: number): Promise<{ handle: FileHandle; sizeBytes: number }> {
    await current?.handle.close();
    const name = String(firstIndex).padStart(16, "0");
    const handle = await open(join(folder, name), "w");
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
      const frames = batch.flatMap(({ entry, leaf }) => {
        const length = Buffer.allocUnsafe(4);
        length.writeUInt32BE(entry.length);
        return [length, leaf, entry];
      });
      await segment.handle.writeFile(Buffer.concat(frames)); // Goes on from where the last write ended.
      await segment.handle.datasync();
      segment.sizeBytes += batch.reduce((total, { entry }) => total + HEAD_SIZE_BYTES + entry.length, 0);
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
