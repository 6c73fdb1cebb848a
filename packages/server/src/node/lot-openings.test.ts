import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hex, type LotOpening } from "@tallystick/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Fate, type LotOpenings, OPENING_WINDOW_SECONDS, openLotOpenings } from "./lot-openings.ts";

const SECRET = "what nobody else may read";
const id = (value: number) => new Uint8Array(32).fill(value);
const openingOf = (value: number, text = SECRET): LotOpening => ({
  ...{ requestSalt: id(value), responseSalt: id(value + 100) },
  ...{ call: new TextEncoder().encode(text), answer: new Uint8Array(value).fill(1) },
});

let folder: string;
let fates: Map<string, Fate>;
let nowMs: number;
let reported: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tallystick-openings-"));
  [fates, nowMs, reported] = [new Map(), 1_000_000, []];
});
afterEach(() => rm(folder, { recursive: true }));

function open(limitBytes = 1_000_000): Promise<LotOpenings> {
  let drawn = 0;
  return openLotOpenings({
    ...{ folder, sealingKey: id(7), limitBytes },
    clock: { nowMs: () => nowMs },
    random: (count) => new Uint8Array(count).fill(++drawn),
    report: (event) => void reported.push(event),
    fates: () => (receiptId) => fates.get(hex(receiptId)) ?? "undecided",
  });
}

const decide = (value: number, fate: Fate) => void fates.set(hex(id(value)), fate);

test("an opening is there before it is written, after, and after a restart; on the disk it is sealed", async () => {
  const openings = await open();
  openings.keep(id(1), openingOf(1));
  openings.keep(id(2), openingOf(2));
  expect(await openings.find(id(1))).toEqual(openingOf(1));
  await openings.close();
  expect(await openings.find(id(2))).toEqual(openingOf(2));
  expect(await openings.find(id(3))).toBeUndefined();
  const [name = ""] = await readdir(folder);
  expect((await readFile(join(folder, name))).includes(SECRET)).toBe(false);
  const again = await open();
  expect(await again.find(id(1))).toEqual(openingOf(1));
  expect(again.held).toMatchObject({ count: 2, evictedCount: 0 });
});

test("what is not drawn is destroyed once that is known, and what is drawn once nobody waits for it", async () => {
  const openings = await open();
  for (const value of [1, 2, 3]) openings.keep(id(value), openingOf(value));
  await openings.close();
  decide(1, "done");
  decide(2, "drawn");
  await openings.sweep();
  expect(await openings.find(id(1))).toEqual(openingOf(1)); // The lot of the third is still open.
  decide(3, "done");
  await openings.sweep();
  expect(await openings.find(id(1))).toBeUndefined();
  expect(await openings.find(id(2))).toEqual(openingOf(2));
  expect(await (await open()).find(id(3))).toBeUndefined();
  decide(2, "done");
  await openings.sweep();
  expect(await openings.find(id(2))).toBeUndefined();
  expect(await readdir(folder)).toEqual([]);
  expect(openings.held).toEqual({ count: 0, sizeBytes: 0, evictedCount: 0 });
});

test("what nobody asked for in the window is destroyed, drawn or not", async () => {
  const openings = await open();
  openings.keep(id(1), openingOf(1));
  await openings.close();
  decide(1, "drawn");
  nowMs += 1000 * (OPENING_WINDOW_SECONDS + 1);
  expect(await openings.find(id(1))).toBeUndefined();
  await openings.sweep();
  expect(await readdir(folder)).toEqual([]);
});

test("past the bound the oldest go first, and are counted", async () => {
  const openings = await open(4_000);
  for (const value of [1, 2, 3, 4]) {
    openings.keep(id(value), openingOf(value, "x".repeat(1_200)));
    await openings.close();
  }
  expect(await openings.find(id(1))).toBeUndefined();
  expect(await openings.find(id(4))).toBeDefined();
  expect(openings.held).toMatchObject({ count: 2, evictedCount: 2 });
  expect(openings.held.sizeBytes).toBeLessThanOrEqual(4_000);
  const none = await open(0);
  none.keep(id(9), openingOf(9));
  await none.close();
  expect(await none.find(id(9))).toBeUndefined();
});

test("a file that was changed opens nothing, and one that was cut short is let go of", async () => {
  const openings = await open();
  openings.keep(id(1), openingOf(1));
  await openings.close();
  const [name = ""] = await readdir(folder);
  const bytes = await readFile(join(folder, name));
  for (const at of [9, 45, bytes.length - 1]) {
    await writeFile(join(folder, name), bytes.with(at, (bytes[at] ?? 0) ^ 1));
    await expect(openings.find(id(1))).rejects.toThrow();
  }
  await writeFile(join(folder, name), bytes.subarray(0, 50));
  await open();
  expect(await readdir(folder)).toEqual([]);
});

test("what the disk does not take is kept in memory, and its operator is told", async () => {
  const openings = await open();
  await rm(folder, { recursive: true });
  openings.keep(id(1), openingOf(1));
  await openings.close();
  expect(reported).toHaveLength(1);
  expect(await openings.find(id(1))).toEqual(openingOf(1));

  await mkdir(folder);
  await openings.close();
  expect(await readdir(folder)).toHaveLength(1);
});

test("a file that is damaged keeps no other from being destroyed, and is told of", async () => {
  const openings = await open();
  openings.keep(id(1), openingOf(1));
  openings.keep(id(2), openingOf(2));
  await openings.close();
  openings.keep(id(3), openingOf(3));
  await openings.close();
  const [first = "", second = ""] = (await readdir(folder)).sort();
  const bytes = await readFile(join(folder, first));
  await writeFile(join(folder, first), bytes.fill(0, bytes.length - 1));
  decide(1, "drawn");
  decide(2, "done");
  decide(3, "done");
  await openings.sweep();
  expect(await readdir(folder)).toEqual([first]);
  expect(second).not.toBe("");
  expect(reported).toHaveLength(1);
});
