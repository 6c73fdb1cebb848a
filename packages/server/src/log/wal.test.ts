import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { leafHash, utf8 } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemDisk } from "../platform/disk.ts";
import { frame, openWal, type Sequenced, type Wal } from "./wal.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "wal-"));
});
afterAll(() => rm(folder, { recursive: true }));

const SEGMENT = "0".repeat(16);

function entries(first: number, count: number): Sequenced[] {
  return Array.from({ length: count }, (_, i) => {
    const entry = utf8(`entry ${first + i} ${"x".repeat(i)}`);
    return { index: first + i, entry, leaf: leafHash(entry) };
  });
}

/** A folder with a segment of three writes: two entries, three, one. */
async function writeThree(name: string): Promise<{ path: string; batches: Sequenced[][]; ends: number[] }> {
  const path = join(folder, name);
  const { wal } = await openWal(systemDisk, path, 0);
  const batches = [entries(0, 2), entries(2, 3), entries(5, 1)];
  const ends: number[] = [];
  for (const batch of batches) {
    await write(wal, batch);
    ends.push((await readFile(join(path, SEGMENT))).length);
  }
  await wal.close();
  return { path, batches, ends };
}

function write(wal: Wal, batch: Sequenced[]): Promise<void> {
  return wal.write(batch[0]!.index, frame(batch));
}

async function copyWith(from: string, name: string, segment: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await rm(path, { recursive: true, force: true });
  await cp(from, path, { recursive: true });
  await writeFile(join(path, SEGMENT), segment);
  return path;
}

async function recover(path: string, size = 0): Promise<Sequenced[]> {
  const { wal, recovered } = await openWal(systemDisk, path, size);
  await wal.close();
  return recovered;
}

test("what was written is read back, and what a checkpoint covers is left out", async () => {
  const { path, batches } = await writeThree("whole");
  for (let size = 0; size <= 6; size++) expect(await recover(path, size)).toEqual(batches.flat().slice(size));
});

test("a write cut short at any byte loses nothing that was written before it, and the log goes on after it", async () => {
  const { path, batches, ends } = await writeThree("torn");
  const whole = await readFile(join(path, SEGMENT));
  for (const [torn, end] of ends.entries())
    for (let cut = ends[torn - 1] ?? 0; cut < end; cut++) {
      const copy = await copyWith(path, "torn-copy", whole.subarray(0, cut));
      const { wal, recovered } = await openWal(systemDisk, copy, 0);
      const before = batches.slice(0, torn).flat();
      expect(recovered.slice(0, before.length), `cut at ${cut}`).toEqual(before);
      const next = entries(recovered.length, 2);
      await write(wal, next);
      await wal.close();
      expect(await recover(copy), `after a cut at ${cut}`).toEqual([...recovered, ...next]);
    }
});

test("a torn tail behind what a checkpoint covers is cut off for good: the start after the next takes it for no damage", async () => {
  const { path, ends } = await writeThree("torn-covered");
  await writeFile(join(path, SEGMENT), (await readFile(join(path, SEGMENT))).subarray(0, (ends[2] ?? 0) - 1));
  const { wal, recovered } = await openWal(systemDisk, path, 5);
  expect(recovered).toEqual([]);
  const next = entries(5, 1);
  await write(wal, next); // In a segment of its own, behind which nothing may be torn.
  await wal.close();
  expect(await recover(path, 5)).toEqual(next);
});

test("a byte that flips in an entry which a later write follows is damage, and is refused rather than cut off", async () => {
  const { path, ends } = await writeThree("flipped");
  const whole = await readFile(join(path, SEGMENT));
  for (let at = 0; at < (ends[1] ?? 0); at++) {
    const flipped = Uint8Array.from(whole);
    flipped[at] = (flipped[at] ?? 0) ^ 0x41;
    const copy = await copyWith(path, "flipped-copy", flipped);
    await expect(recover(copy), `byte ${at}`).rejects.toThrow(/is damaged.*backup/);
    expect(new Uint8Array(await readFile(join(copy, SEGMENT))), "nothing is cut off").toEqual(flipped);
  }
});

test("a segment that is damaged although another follows it is refused", async () => {
  const { path } = await writeThree("two");
  const again = await openWal(systemDisk, path, 0);
  await write(again.wal, entries(6, 1));
  await again.wal.close();
  expect(await recover(path)).toHaveLength(7);
  const first = await readFile(join(path, SEGMENT));
  const copy = await copyWith(path, "two-copy", first.subarray(0, first.length - 1));
  await expect(recover(copy)).rejects.toThrow(/is damaged/);
});

test("a segment that is missing between two others is refused", async () => {
  const { path } = await writeThree("gap");
  for (const first of [6, 7]) {
    const { wal } = await openWal(systemDisk, path, 0);
    await write(wal, entries(first, 1));
    await wal.close();
  }
  await rm(join(path, "6".padStart(16, "0")));
  await expect(recover(path)).rejects.toThrow(/lack.* 6/);
});

test("a trim removes a segment only once a checkpoint covers all of it", async () => {
  const { path } = await writeThree("trim");
  const { wal, recovered } = await openWal(systemDisk, path, 4);
  expect(recovered.map(({ index }) => index)).toEqual([4, 5]);
  await write(wal, entries(6, 2));
  await wal.trim(5);
  expect(await recover(path, 4)).toHaveLength(4);
  await wal.trim(6);
  expect(await recover(path, 6)).toHaveLength(2);
  await expect(recover(path, 5)).rejects.toThrow(/lack/);
  await wal.close();
});
