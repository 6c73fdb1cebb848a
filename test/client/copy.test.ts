import {
  type CopyPlace,
  copyLog,
  fsckLog,
  type LogSource,
  openTree,
  proveEntry,
  readCheckpoint,
} from "@tallystick/client";
import { parseLogProof, proves, TILE_WIDTH, tilePath, utf8 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import type { LogInMemory } from "../log-in-memory.ts";
import { filesOf, flip, type LogFiles, sourceOf, tampered } from "./log-files.ts";
import { numberedLog } from "./numbered-log.ts";

const NOW_SECONDS = 1_800_000_000;

class Place implements CopyPlace {
  readonly files = new Map<string, Uint8Array>();
  writes: string[] = [];
  /** How many more writes there are before the disk is full. */
  room = Number.POSITIVE_INFINITY;

  async find(path: string) {
    return this.files.get(path);
  }

  async write(path: string, bytes: Uint8Array) {
    if (this.room-- <= 0) throw new Error("the disk is full");
    this.writes.push(path);
    this.files.set(path, bytes);
  }

  async removeFolder(path: string) {
    for (const name of this.files.keys()) if (name.startsWith(`${path}/`)) this.files.delete(name);
  }
}

/** A log as it is served, with what is asked of it. */
function served(files: LogFiles): LogSource & { asked: string[] } {
  const asked: string[] = [];
  const { findTile, checkpoint } = sourceOf(files);
  const counted: LogSource["findTile"] = (tile) => {
    asked.push(tilePath(tile));
    return findTile(tile);
  };
  return { asked, checkpoint, findTile: counted };
}

async function copy(log: LogInMemory, source: LogSource, place: Place) {
  place.writes = [];
  return copyLog(source, await readCheckpoint(source, log.trust), place, { trust: log.trust });
}

async function expectSame(place: Place, log: LogInMemory): Promise<void> {
  expect(await fsckLog(sourceOf(place.files), { trust: log.trust })).toMatchObject({ findings: [], notes: [] });
  expect(new Map([...place.files].sort())).toEqual(new Map([...filesOf(log, NOW_SECONDS)].sort()));
}

test("a copy has the files of the log, byte for byte, and its checkpoint last", async () => {
  for (const size of [0, 1, 256, 257, 900]) {
    const log = numberedLog(size);
    const place = new Place();
    const files = filesOf(log, NOW_SECONDS);
    expect(await copy(log, served(files), place)).toEqual({ ok: true, size, writtenCount: files.size - 1 });
    await expectSame(place, log);
    expect(place.writes.at(-1)).toBe("checkpoint");
  }
});

test("a copy that broke off anywhere goes on from there, and what is there is not fetched again", async () => {
  const log = numberedLog(900);
  const files = filesOf(log, NOW_SECONDS);
  for (let room = 0; room < files.size; room++) {
    const place = new Place();
    place.room = room;
    await expect(copy(log, served(files), place)).rejects.toThrow("the disk is full");
    expect(place.files.has("checkpoint")).toBe(false);
    const before = [...place.files.keys()].filter((path) => !path.includes(".p/"));
    place.room = Number.POSITIVE_INFINITY;
    const source = served(files);
    expect(await copy(log, source, place)).toMatchObject({ ok: true });
    await expectSame(place, log);
    for (const path of before) expect(source.asked).not.toContain(path);
  }
});

test("a file of a copy that was damaged or lost is fetched again, and no other", async () => {
  const log = numberedLog(900);
  const files = filesOf(log, NOW_SECONDS);
  const place = new Place();
  await copy(log, served(files), place);
  for (const path of files.keys()) {
    if (path === "checkpoint") continue;
    for (const damage of [
      () => place.files.delete(path),
      () => place.files.set(path, flip(40)(files.get(path)?.slice() ?? utf8(""))),
    ]) {
      damage();
      expect(await copy(log, served(files), place)).toMatchObject({ ok: true, writtenCount: 1 });
      await expectSame(place, log);
    }
  }
});

test("a copy is extended to any later size, and its partial tiles give way", async () => {
  const place = new Place();
  for (const size of [0, 3, 256, 300, 301, 900, 900, 1_025]) {
    const log = numberedLog(size);
    const source = served(filesOf(log, NOW_SECONDS));
    expect(await copy(log, source, place)).toMatchObject({ ok: true, size });
    expect(await fsckLog(sourceOf(place.files), { trust: log.trust })).toMatchObject({ size, findings: [], notes: [] });
    const full = Math.floor(size / TILE_WIDTH);
    for (const path of place.files.keys())
      expect(Number(/^tile\/(?:0|entries)\/([0-9]{3})\.p\//.exec(path)?.[1] ?? full)).toBeGreaterThanOrEqual(full);
  }
});

test("a fork is not copied over what is there, longer or shorter, and the proof of it is given", async () => {
  for (const [here, there] of [
    [700, 900],
    [900, 700],
    [700, 700],
  ] as const) {
    const place = new Place();
    const log = numberedLog(here);
    await copy(log, served(filesOf(log, NOW_SECONDS)), place);
    const fork = numberedLog(there, 400);
    const result = await copy(fork, served(filesOf(fork, NOW_SECONDS)), place);
    expect(result).toMatchObject({ ok: false, alarm: { kind: "fork" } });
    if (!result.ok) expect([...result.alarm.evidence.keys()]).toContain("consistency-proof");
    expect(place.writes).toEqual([]);
    await expectSame(place, log);
  }
});

test("what serves an older state of the same log takes nothing away from a copy", async () => {
  const place = new Place();
  const log = numberedLog(900);
  await copy(log, served(filesOf(log, NOW_SECONDS)), place);
  const older = numberedLog(700);
  expect(await copy(older, served(filesOf(older, NOW_SECONDS)), place)).toEqual({
    ok: true,
    size: 900,
    writtenCount: 0,
  });
  await expectSame(place, log);
});

test("a log with a file that is not of its tree is not copied, and what was written until then is right", async () => {
  const log = numberedLog(900);
  const files = filesOf(log, NOW_SECONDS);
  for (const path of files.keys()) {
    if (path === "checkpoint") continue;
    const place = new Place();
    // Of the partial tiles the root says only that one of them is wrong.
    const said = /^tile\/[0-9].*\.p\//.test(path) ? "does not, with the partial tiles above it, hash" : path;
    await expect(copy(log, served(tampered(files, path, flip(40))), place)).rejects.toThrow(said);
    for (const [name, bytes] of place.files) expect(bytes).toEqual(files.get(name));
    expect(place.files.has("checkpoint")).toBe(false);
  }
});

test("a proof leads to the checkpoint it is asked for, and is not made for one of another tree", async () => {
  const log = numberedLog(900);
  const source = served(filesOf(log, NOW_SECONDS));
  const newest = await readCheckpoint(source, log.trust);
  const tree = await openTree(source, newest.checkpoint);
  for (const size of [900, 600, 256, 1]) {
    const earlier = await readCheckpoint(sourceOf(filesOf(numberedLog(size), NOW_SECONDS)), log.trust);
    for (const index of [0, size >> 1, size - 1]) {
      const text = await proveEntry(tree, index, earlier);
      expect(text).toBe(log.prove(index, NOW_SECONDS, size));
      expect(proves(parseLogProof(text), log.entries[index] ?? utf8(""))).toBe(true);
    }
  }
  const other = await readCheckpoint(sourceOf(filesOf(numberedLog(600, 300), NOW_SECONDS)), log.trust);
  await expect(proveEntry(tree, 7, other)).rejects.toThrow(/another tree than the log serves/);
});
