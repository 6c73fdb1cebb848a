import { type Audit, auditLog, type Finding, fetchSource, systemEdges } from "@tallystick/client";
import {
  concat,
  encodeBundle,
  parseCheckpoint,
  type SignatureJob,
  TILE_WIDTH,
  tilePath,
  verifyEs256,
} from "@tallystick/protocol";
import { beforeAll, describe, expect, test } from "vitest";
import { differencesOf } from "../../packages/client/src/audit/differences.ts";
import { serveFiles } from "./file-server.ts";
import { flip, type LogFiles, sourceOf, tampered } from "./log-files.ts";
import { makeRealLog, type RealLog } from "./real-log.ts";

let log: RealLog;

beforeAll(async () => {
  log = await makeRealLog();
});

/** Signatures are really checked, each once: most of a tampered log is the log that it was. */
const checked = new Map<string, { job: SignatureJob; holds: boolean }>();
async function verifyAll(jobs: readonly SignatureJob[]): Promise<boolean[]> {
  return Promise.all(
    jobs.map(async (job) => {
      const name = Buffer.from(job.signature).toString("latin1");
      const known = checked.get(name);
      if (known !== undefined && isSame(known.job, job)) return known.holds;
      const holds = await verifyEs256(job.spki, job.message, job.signature);
      checked.set(name, { job, holds });
      return holds;
    }),
  );
}

function isSame(a: SignatureJob, b: SignatureJob): boolean {
  return Buffer.compare(a.message, b.message) === 0 && Buffer.compare(a.spki, b.spki) === 0;
}

function audit(files: LogFiles, published?: unknown): Promise<Audit> {
  const options = published === undefined ? {} : { published };
  return auditLog(sourceOf(files), { trust: log.trust, verifyAll, ...options });
}

/** The earliest entry that an audit points at, and with which checks. */
function earliest(findings: readonly Finding[]): { index: number; checks: string[] } {
  const indexes = findings.flatMap(({ index }) => (index === undefined ? [] : [index]));
  const index = Math.min(...indexes);
  return { index, checks: findings.filter((finding) => finding.index === index).map(({ check }) => check) };
}

const bundlePath = (index: number) =>
  tilePath({ level: "entries", index, width: Math.min(TILE_WIDTH, log.size - index * TILE_WIDTH) });
const hashPath = (index: number) =>
  tilePath({ level: 0, index, width: Math.min(TILE_WIDTH, log.size - index * TILE_WIDTH) });

/** Where entry `index` begins in its bundle: at its length prefix. */
function startOf(index: number): number {
  const before = log.entries.slice(Math.floor(index / TILE_WIDTH) * TILE_WIDTH, index);
  return before.reduce((at, entry) => at + 2 + entry.length, 0);
}

test("the log that is audited here has full tiles, partial ones, old partial ones, and a tile of level 1", () => {
  expect(log.size).toBeGreaterThan(600);
  const paths = [...log.files.keys()];
  expect(paths).toEqual(
    expect.arrayContaining([bundlePath(0), bundlePath(2), hashPath(1), hashPath(2), "tile/1/000.p/2"]),
  );
  expect(paths.filter((path) => path.startsWith("tile/0/002.p/")).length).toBeGreaterThan(2);
});

describe("a log that is as its network wrote it", () => {
  test("has every signature, and the figures that were published", async () => {
    const result = await audit(log.files, log.usage);
    expect(result).toMatchObject({ size: log.size, entryCount: log.size, findings: [], differences: [] });
    expect(result.signatureCount).toBeGreaterThan(2 * 590);
    expect(result.figures.totals).toMatchObject({ gross: 591, acknowledged: 10, decisionsReliedOn: 6 });
    expect(result.figures.exclusions).toEqual({ probe_traffic: 69, test_traffic: 70 });
  });

  test("is compared with nothing where nothing was published", async () => {
    expect((await audit(log.files)).differences).toBeUndefined();
  });

  test("holds against the figures of an earlier checkpoint, recomputed at their size", async () => {
    const { usage } = log.earlier;
    const result = await audit(log.files, usage);
    expect(result).toMatchObject({ findings: [], differences: [] });
    expect(result.figures.size).toBe(parseCheckpoint(log.earlier.checkpoint).size);
  });

  test("holds while it grows: a partial tile that gave way to the full one is what that one begins with", async () => {
    const { checkpoint, usage } = log.earlier;
    const { size } = parseCheckpoint(checkpoint);
    expect(log.files.has(tilePath({ level: 0, index: 1, width: size - TILE_WIDTH }))).toBe(false);
    const result = await audit(new Map([...log.files, ["checkpoint", checkpoint]]), usage);
    expect(result).toMatchObject({ size, entryCount: size, findings: [], differences: [] });
  });

  test("audits the same from any server of its files, which cannot list them", async () => {
    await using server = await serveFiles(log.files);
    const source = fetchSource(server.url, systemEdges);
    const result = await auditLog(source, { trust: log.trust, published: log.usage, verifyAll });
    expect(result).toEqual(await audit(log.files, log.usage));
    const missing = await serveFiles(tampered(log.files, hashPath(1)));
    const found = await auditLog(fetchSource(missing.url, systemEdges), { trust: log.trust, verifyAll });
    await missing[Symbol.asyncDispose]();
    expect(found.findings).toEqual([{ check: "tile", index: 256, detail: "tile/0/001 is missing" }]);
  });

  test("has its progress told, up to the last entry", async () => {
    const told: number[][] = [];
    await auditLog(sourceOf(log.files), { trust: log.trust, verifyAll, onProgress: (...at) => void told.push(at) });
    expect(told).toEqual([256, 512, log.size].map((done) => [done, log.size]));
  });
});

describe("a byte flipped in an entry is found at that entry", () => {
  const cases = [0, 1, 6, 7, 8, 100, 255, 256, 300, 511, 512, 600, -2, -1];
  test.each(cases)("entry %i, from its first byte to its last", async (place) => {
    const index = place < 0 ? log.size + place : place;
    const { length } = log.entries[index]!;
    for (let i = 0; i <= 5; i++) {
      const at = startOf(index) + 2 + Math.floor(((length - 1) * i) / 5);
      const { findings } = await audit(tampered(log.files, bundlePath(Math.floor(index / TILE_WIDTH)), flip(at)));
      expect(earliest(findings), `fifth ${i}`).toMatchObject({ index, checks: expect.arrayContaining(["tile"]) });
      expect(findings, `fifth ${i}`).toContainEqual(expect.objectContaining({ check: "root" }));
      const { checks } = earliest(findings);
      expect(
        checks.some((check) => ["entry", "signer", "signature", "epoch"].includes(check)),
        `fifth ${i}`,
      ).toBe(true);
    }
  });
});

describe("a bundle that is none is found at the entry where it stops being one", () => {
  test.each([0, 1, 255, 256, 400, 511, 512, -1])("a flipped bit in the length before entry %i", async (place) => {
    const index = place < 0 ? log.size + place : place;
    for (const byte of [0, 1]) {
      const path = bundlePath(Math.floor(index / TILE_WIDTH));
      const { findings, entryCount } = await audit(tampered(log.files, path, flip(startOf(index) + byte)));
      const due = Math.floor(index / TILE_WIDTH) * TILE_WIDTH;
      if (entryCount === log.size)
        expect(earliest(findings).index).toBe(index); // The lengths happen to add up again.
      else expect(findings).toEqual([{ check: "bundle", index, detail: expect.stringContaining(path) }]);
      expect(entryCount === log.size || entryCount === due).toBe(true);
    }
  });

  test.each([
    ["without its last byte", (bytes: Uint8Array) => bytes.subarray(0, -1), 255],
    ["cut in the middle of its third entry", (bytes: Uint8Array) => bytes.subarray(0, startOf(2) + 9), 2],
    ["of nothing", () => new Uint8Array(0), 0],
    ["with a byte too much", (bytes: Uint8Array) => concat(bytes, Uint8Array.of(0)), 255],
    ["with an empty entry too much", (bytes: Uint8Array) => concat(bytes, Uint8Array.of(0, 0)), 255],
    ["without its first entry", (bytes: Uint8Array) => bytes.subarray(startOf(1)), 0],
  ])("%s", async (_, change, index) => {
    const { findings } = await audit(tampered(log.files, bundlePath(0), change));
    expect(findings).toEqual([{ check: "bundle", index, detail: expect.stringContaining(bundlePath(0)) }]);
  });

  test("one that is not there, by its first entry", async () => {
    const { findings, entryCount } = await audit(tampered(log.files, bundlePath(1)), log.usage);
    expect(findings).toEqual([{ check: "bundle", index: 256, detail: "tile/entries/001 is missing" }]);
    expect(entryCount).toBe(256);
  });

  test("even where its tile is gone too", async () => {
    const without = tampered(log.files, hashPath(0));
    const { findings } = await audit(tampered(without, bundlePath(0), (bytes) => bytes.subarray(0, -1)));
    expect(findings).toMatchObject([{ check: "bundle", index: 0 }]);
  });
});

test("two entries that changed places are found at the first of them", async () => {
  const [one, other] = [300, 310];
  const swapped = log.entries.slice(256, 512);
  [swapped[one - 256], swapped[other - 256]] = [swapped[other - 256]!, swapped[one - 256]!];
  const { findings } = await audit(tampered(log.files, bundlePath(1), () => encodeBundle(swapped)));
  expect(earliest(findings).index).toBe(one);
  expect(findings).toContainEqual(expect.objectContaining({ check: "root" }));
});

describe("a byte flipped in a tile is found at the entry that it hashes", () => {
  const places: [string, () => string, number, number][] = [
    ["the first byte of a full tile", () => hashPath(0), 0, 0],
    ["a byte within a full tile", () => hashPath(1), 32 * 100 + 7, 356],
    ["the last byte of a full tile", () => hashPath(1), -1, 511],
    ["the first byte of the partial tile", () => hashPath(2), 0, 512],
    ["the last byte of the partial tile", () => hashPath(2), -1, -1],
    ["an old partial tile", () => oldPartial("0"), 32 * 3, 515],
    ["the first hash of level 1", () => "tile/1/000.p/2", 5, 0],
    ["the second hash of level 1", () => "tile/1/000.p/2", 32, 256],
    ["an old tile of level 1", () => "tile/1/000.p/1", 31, 0],
  ];
  test.each(places)("%s", async (_, pathOf, at, place) => {
    const path = pathOf();
    const index = place < 0 ? log.size + place : place;
    const { findings, differences } = await audit(tampered(log.files, path, flip(at)), log.usage);
    expect(findings).toEqual([{ check: "tile", index, detail: `${path} is not what the log's entries hash to` }]);
    expect(differences).toEqual([]);
  });

  test("an old partial bundle", async () => {
    const path = oldPartial("entries");
    for (const at of [startOf(513), startOf(513) + 50, startOf(514) - 1]) {
      const { findings } = await audit(tampered(log.files, path, flip(at)));
      expect(findings).toEqual([{ check: "bundle", index: 513, detail: `${path} is not of the log's entries` }]);
    }
  });

  test.each([
    ["cut short", (bytes: Uint8Array) => bytes.subarray(0, -32), 511],
    ["with a hash too much", (bytes: Uint8Array) => concat(bytes, new Uint8Array(32)), 511],
    ["of nothing", () => new Uint8Array(0), 256],
  ])("a tile %s", async (_, change, index) => {
    const { findings } = await audit(tampered(log.files, hashPath(1), change));
    expect(findings).toMatchObject([{ check: "tile", index }]);
  });

  test.each([
    ["a full tile", () => hashPath(1), 256],
    ["the partial tile", () => hashPath(2), 512],
    ["the tile of level 1", () => "tile/1/000.p/2", 0],
  ])("%s that is not there is missing", async (_, pathOf, index) => {
    const { findings } = await audit(tampered(log.files, pathOf()));
    expect(findings).toEqual([{ check: "tile", index, detail: `${pathOf()} is missing` }]);
  });
});

/** A partial tile from before the last checkpoint, of at least four. */
function oldPartial(level: string): string {
  const now = level === "entries" ? bundlePath(2) : hashPath(2);
  const partials = [...log.files.keys()].filter((name) => name.startsWith(`tile/${level}/002.p/`) && name !== now);
  const path = partials.find((name) => Number(name.split("/").at(-1)) >= 4);
  if (path === undefined) throw new Error("there is no old partial tile");
  return path;
}

describe("published figures", () => {
  test("of which any one is forged differ exactly there", async () => {
    const paths = leavesOf(log.usage).filter(([top]) => top !== "meta" && top !== "size");
    expect(paths.length).toBeGreaterThan(60);
    const { figures } = await audit(log.files, log.usage);
    for (const path of paths) {
      const only = [expect.stringMatching(new RegExp(`^${path.join("\\.")}: published `))];
      expect(differencesOf(figures, forged(log.usage, path)), path.join(".")).toEqual(only);
    }
    const whole = await audit(log.files, forged(log.usage, ["totals", "decisionsReliedOn"]));
    expect(whole).toMatchObject({ findings: [], differences: ["totals.decisionsReliedOn: published 7, recomputed 6"] });
  });

  test("of more entries than there are differ in that", async () => {
    const { differences } = await audit(log.files, { ...Object(log.usage), size: log.size + 1 });
    expect(differences).toEqual([`size: published ${log.size + 1}, recomputed ${log.size}`]);
  });

  test("that leave something out or add something differ in that", async () => {
    const { exclusions: _, ...rest } = Object(log.usage);
    expect((await audit(log.files, rest)).differences).toEqual([
      expect.stringMatching(/^exclusions: published undefined/),
    ]);
    const more = { ...Object(log.usage), verified: 9 };
    expect((await audit(log.files, more)).differences).toEqual(["verified: published 9, recomputed undefined"]);
    const [first, ...others] = Object(log.usage).models;
    const fewer = { ...Object(log.usage), models: others };
    expect(first).toBeDefined();
    expect((await audit(log.files, fewer)).differences?.length).toBeGreaterThan(0);
  });

  test.each([[[]], ["none"], [null], [7], [{}]])("that are none (%j) differ", async (published) => {
    expect((await audit(log.files, published)).differences?.length).toBeGreaterThan(0);
  });
});

/** Where every figure stands: the paths of all that is neither an object nor a list. */
function leavesOf(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([key, part]) => leavesOf(part, [...path, key]));
}

/** The figures with another value at `path`. */
function forged(value: unknown, [key = "", ...rest]: string[]): unknown {
  const copy = Array.isArray(value) ? [...value] : { ...Object(value) };
  if (rest.length > 0) copy[key] = forged(copy[key], rest);
  else copy[key] = typeof copy[key] === "number" ? copy[key] + 1 : `${copy[key]}x`;
  return copy;
}
