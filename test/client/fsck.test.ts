import { fsckLog, type LogSource } from "@tallystick/client";
import {
  concat,
  encodeBundle,
  leafHash,
  rootOf,
  TILE_WIDTH,
  type Tile,
  tilePath,
  trustInLog,
  utf8,
} from "@tallystick/protocol";
import { beforeAll, describe, expect, test } from "vitest";
import { fixedNoteSigner } from "../fixed-keys.ts";
import type { LogInMemory } from "../log-in-memory.ts";
import { filesOf, flip, type LogFiles, sourceOf, tampered } from "./log-files.ts";
import { numberedLog } from "./numbered-log.ts";

const NOW_SECONDS = 1_800_000_000;
/** Three full tiles and a partial one, under a partial tile of level 1. */
const SIZE = 3 * TILE_WIDTH + 90;

let log: LogInMemory;
let files: LogFiles;

beforeAll(() => {
  log = numberedLog(SIZE);
  files = filesOf(log, NOW_SECONDS);
});

const fsck = (of: LogFiles, source: LogSource = sourceOf(of)) => fsckLog(source, { trust: log.trust });
const findings = async (of: LogFiles) => (await fsck(of)).findings;
const path = (level: Tile["level"], index: number, width: number = TILE_WIDTH) => tilePath({ level, index, width });

test("a log that is whole has no findings, whatever its size", async () => {
  for (const size of [0, 1, 2, 255, 256, 257, 511, 512, SIZE]) {
    const some = numberedLog(size);
    const whole = filesOf(some, NOW_SECONDS);
    const result = await fsck(whole);
    expect(result).toEqual({ origin: some.key.name, size, fileCount: whole.size, findings: [], notes: [] });
  }
});

describe("one byte changed anywhere is found, in the file that it is in and at the entry that it concerns", () => {
  test.each([
    ["a full bundle", path("entries", 1), 41],
    ["the partial bundle", path("entries", 3, 90), 17],
  ])("%s", async (_, bundle, step) => {
    const bytes = files.get(bundle) ?? utf8("");
    const first = bundle.endsWith("90") ? 3 * TILE_WIDTH : TILE_WIDTH;
    const ends: number[] = [];
    for (const entry of log.entries.slice(first, first + TILE_WIDTH)) ends.push((ends.at(-1) ?? 0) + 2 + entry.length);
    for (let at = 0; at < bytes.length; at += step) {
      const found = await findings(tampered(files, bundle, flip(at)));
      const index = first + ends.findIndex((end) => at < end);
      expect(found, `byte ${at}`).toEqual([{ file: bundle, index, detail: expect.any(String) }]);
    }
  });

  test.each([
    ["a full tile", 0, 1, TILE_WIDTH],
    ["the partial tile", 0, 3, 90],
    ["the partial tile above", 1, 0, 3],
  ])("%s", async (_, level, index, width) => {
    const tile = path(level, index, width);
    const step = width === TILE_WIDTH ? 211 : 29;
    for (let at = 0; at < width * 32; at += step) {
      const found = await findings(tampered(files, tile, flip(at)));
      const entry = (index * TILE_WIDTH + Math.floor(at / 32)) * TILE_WIDTH ** level;
      expect(found, `byte ${at}`).toEqual([{ file: tile, index: entry, detail: expect.any(String) }]);
    }
  });

  test("the checkpoint", async () => {
    const { length } = files.get("checkpoint") ?? utf8("");
    for (let at = 0; at < length; at++) {
      const found = await findings(tampered(files, "checkpoint", flip(at)));
      expect(found, `byte ${at}`).toEqual([{ file: "checkpoint", detail: expect.any(String) }]);
    }
  });
});

describe("a file that is missing or of another length is named, and no other", () => {
  const each = (): [string, number][] => [
    [path("entries", 0), 0],
    [path("entries", 2), 512],
    [path("entries", 3, 90), 768],
    [path(0, 0), 0],
    [path(0, 3, 90), 768],
    [path(1, 0, 3), 0],
  ];
  test("missing", async () => {
    for (const [file, index] of each())
      expect(await findings(tampered(files, file))).toEqual([
        { file, index, detail: expect.stringMatching(/missing/) },
      ]);
  });

  test("cut short, or longer by a byte", async () => {
    for (const [file] of each())
      for (const change of [(bytes: Uint8Array) => bytes.slice(0, -1), (bytes: Uint8Array) => concat(bytes, utf8("x"))])
        expect(await findings(tampered(files, file, change))).toMatchObject([{ file }]);
  });
});

describe("what is forged in more than one file is found where the signed root says it is", () => {
  const forged = () =>
    log.entries.slice(TILE_WIDTH, 2 * TILE_WIDTH).map((entry, i) => (i === 7 ? utf8("forged") : entry));

  test("a bundle and its tile that agree with each other", async () => {
    const bundle = tampered(files, path("entries", 1), () => encodeBundle(forged()));
    const both = tampered(bundle, path(0, 1), () => concat(...forged().map(leafHash)));
    expect(await findings(both)).toMatchObject([{ file: path(0, 1), index: TILE_WIDTH }]);
  });

  test("a bundle and every tile above it", async () => {
    const bundle = tampered(files, path("entries", 1), () => encodeBundle(forged()));
    const tile = tampered(bundle, path(0, 1), () => concat(...forged().map(leafHash)));
    const all = tampered(tile, path(1, 0, 3), (bytes) => {
      bytes.set(rootOf(forged().map(leafHash)), 32);
      return bytes;
    });
    expect(await findings(all)).toMatchObject([{ file: "checkpoint", detail: "the entries do not hash to its root" }]);
  });

  test("a bundle that is damaged and a tile that is damaged are two findings", async () => {
    const two = tampered(tampered(files, path("entries", 0), flip(20)), path(0, 2), flip(20));
    expect((await findings(two)).map(({ file }) => file)).toEqual([path("entries", 0), path(0, 2)]);
  });

  test("a bundle and its tile that are both gone are two findings, and the rest holds", async () => {
    const gone = tampered(tampered(files, path("entries", 1)), path(0, 1));
    expect((await findings(gone)).map(({ file }) => file)).toEqual([path("entries", 1), path(0, 1)]);
  });

  test("the files of another log under this one's checkpoint", async () => {
    const other = filesOf(numberedLog(SIZE, 300), NOW_SECONDS);
    const mixed = tampered(other, "checkpoint", () => files.get("checkpoint") ?? utf8(""));
    expect(await findings(mixed)).toMatchObject([{ file: "checkpoint" }]);
  });
});

test("without the log's key for it, a checkpoint is the finding, and nothing else is judged by it", async () => {
  const trust = trustInLog(fixedNoteSigner(log.key.name, "thief").key);
  const result = await fsckLog(sourceOf(files), { trust });
  expect(result).toMatchObject({ size: 0, findings: [{ file: "checkpoint" }], notes: [expect.any(String)] });
});

describe("beside the files that the checkpoint asks for", () => {
  const narrow = () => {
    const entries = log.entries.slice(0, 40);
    return new Map([
      ...files,
      [path("entries", 0, 40), encodeBundle(entries)],
      [path(0, 0, 40), concat(...entries.map(leafHash))],
      [path(0, 3, 5), (files.get(path(0, 3, 90)) ?? utf8("")).slice(0, 160)],
    ]);
  };

  test("partial ones that were left behind are right where the full ones begin with them", async () => {
    expect(await fsck(narrow())).toMatchObject({ findings: [], notes: [] });
    for (const [file, at, index] of [
      [path("entries", 0, 40), 10 * 7, 7],
      [path(0, 0, 40), 39 * 32, 39],
      [path(0, 3, 5), 159, 772],
    ] as const)
      expect(await findings(tampered(narrow(), file, flip(at)))).toEqual([{ file, index, detail: expect.any(String) }]);
  });

  test("what is no tile is a finding, and what is beyond the checkpoint a note", async () => {
    const stray = new Map([...files, ["tile/0/000.bak", utf8("x")], ["tile/0/1", utf8("x")]]);
    expect((await findings(stray)).map(({ file }) => file)).toEqual(["tile/0/000.bak", "tile/0/1"]);
    const beyond = new Map([...filesOf(numberedLog(SIZE + 300), NOW_SECONDS)]);
    beyond.set("checkpoint", utf8(log.checkpointFile(NOW_SECONDS)));
    for (const [file, bytes] of files) if (file.includes(".p/")) beyond.set(file, bytes);
    expect(await fsck(beyond)).toMatchObject({
      findings: [],
      notes: [expect.stringMatching(/^5 files are of entries/)],
    });
  });

  test("a partial tile that has given way to the full one is taken from that", async () => {
    const longer = new Map([...filesOf(numberedLog(SIZE + 300), NOW_SECONDS)]);
    longer.set("checkpoint", utf8(log.checkpointFile(NOW_SECONDS)));
    longer.set(path(1, 0, 3), files.get(path(1, 0, 3)) ?? utf8(""));
    expect(await findings(longer)).toEqual([]);
  });
});
