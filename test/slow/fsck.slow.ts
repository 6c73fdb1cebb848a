/** A log of a million entries in a folder: checked whole, found damaged, and copied, in minutes and in flat memory. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { copyLog, fsckLog, readCheckpoint } from "@tallystick/client";
import {
  checkpointText,
  concat,
  encodeBundle,
  encodeNote,
  Frontier,
  leafHash,
  rootOf,
  TILE_WIDTH,
  type Tile,
  tilePath,
  trustInLog,
  utf8,
} from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openCopyPlace, openFolderSource } from "../../packages/client/src/cli/folder-source.ts";
import { flip } from "../client/log-files.ts";
import { fixedNoteSigner } from "../fixed-keys.ts";

const SIZE = 1_000_000;
const NOW_SECONDS = 1_800_000_000;
const MIB = 1024 * 1024;
/** As long as receipts are. */
const ENTRY = "x".repeat(600);

const signer = fixedNoteSigner("log.example/million");
const trust = trustInLog(signer.key);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tallystick-million-"));
  await writeLog(join(folder, "log"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Writes the log's files, level by level, by their definition. */
async function writeLog(to: string): Promise<void> {
  const made = new Set<string>();
  const write = async (tile: Tile, bytes: Uint8Array) => {
    const path = join(to, tilePath(tile));
    if (!made.has(dirname(path))) await mkdir(dirname(path), { recursive: true });
    made.add(dirname(path));
    await writeFile(path, bytes);
  };
  const frontier = new Frontier();
  let row: Uint8Array[] = [];
  for (let index = 0; index * TILE_WIDTH < SIZE; index++) {
    const width = Math.min(TILE_WIDTH, SIZE - index * TILE_WIDTH);
    const entries = Array.from({ length: width }, (_, i) => utf8(`${index * TILE_WIDTH + i} ${ENTRY}`));
    const leaves = entries.map(leafHash);
    for (const leaf of leaves) frontier.push(leaf);
    await write({ level: "entries", index, width }, encodeBundle(entries));
    await write({ level: 0, index, width }, concat(...leaves));
    if (width === TILE_WIDTH) row.push(rootOf(leaves));
  }
  for (let level = 1; row.length > 0; level++) {
    const next: Uint8Array[] = [];
    for (let index = 0; index * TILE_WIDTH < row.length; index++) {
      const hashes = row.slice(index * TILE_WIDTH, (index + 1) * TILE_WIDTH);
      await write({ level, index, width: hashes.length }, concat(...hashes));
      if (hashes.length === TILE_WIDTH) next.push(rootOf(hashes));
    }
    row = next;
  }
  const text = checkpointText({ origin: signer.key.name, size: SIZE, root: frontier.root() });
  const signatures = [signer.sign(text), signer.cosign(text, NOW_SECONDS)];
  await writeFile(join(to, "checkpoint"), encodeNote({ text, signatures }));
}

/** What `work` takes: seconds, and the most that the process grew by meanwhile. */
async function measured<T>(what: string, work: () => Promise<T>): Promise<{ result: T; grownMib: number }> {
  const [started, before] = [performance.now(), process.memoryUsage.rss()];
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 50);
  try {
    const result = await work();
    const grownMib = Math.round((most - before) / MIB);
    console.log(`${what}: ${((performance.now() - started) / 1_000).toFixed(1)} s, ${grownMib} MiB more`);
    return { result, grownMib };
  } finally {
    clearInterval(watch);
  }
}

test("every file of a million entries is checked, and memory does not grow with them", async () => {
  const source = await openFolderSource(join(folder, "log"));
  const { result, grownMib } = await measured("fsck", () => fsckLog(source, { trust }));
  expect(result).toMatchObject({ size: SIZE, findings: [], notes: [] });
  expect(result.fileCount).toBe(2 * Math.ceil(SIZE / TILE_WIDTH) + 16 + 1 + 1);
  expect(grownMib).toBeLessThan(256);
});

test("one byte is found in a file of each level, full and partial", async () => {
  const paths: [string, number][] = [
    [tilePath({ level: "entries", index: 2_000, width: TILE_WIDTH }), 2_000 * TILE_WIDTH],
    [tilePath({ level: "entries", index: 3_906, width: 64 }), 3_906 * TILE_WIDTH],
    [tilePath({ level: 0, index: 3_905, width: TILE_WIDTH }), 3_905 * TILE_WIDTH],
    [tilePath({ level: 1, index: 14, width: TILE_WIDTH }), 14 * TILE_WIDTH ** 2],
    [tilePath({ level: 1, index: 15, width: 66 }), 15 * TILE_WIDTH ** 2],
    [tilePath({ level: 2, index: 0, width: 15 }), 0],
  ];
  const before = new Map<string, Uint8Array>();
  for (const [path] of paths) {
    const file = join(folder, "log", path);
    before.set(file, new Uint8Array(await readFile(file)));
    await writeFile(file, flip(5)(new Uint8Array(await readFile(file))));
  }
  const source = await openFolderSource(join(folder, "log"));
  const { result } = await measured("fsck of a damaged log", () => fsckLog(source, { trust }));
  for (const [file, bytes] of before) await writeFile(file, bytes);
  expect(result.findings.map(({ file, index }) => [file, index]).sort()).toEqual(paths.sort());
});

test("a million entries are copied, and a copy that is whole is only read", async () => {
  const source = await openFolderSource(join(folder, "log"));
  const place = openCopyPlace(join(folder, "copy"));
  const served = await readCheckpoint(source, trust);
  const first = await measured("copy", () => copyLog(source, served, place, { trust }));
  expect(first.result).toMatchObject({ ok: true, size: SIZE });
  expect(first.grownMib).toBeLessThan(256);
  const second = await measured("copy again", () => copyLog(source, served, place, { trust }));
  expect(second.result).toMatchObject({ ok: true, writtenCount: 0 });
});
