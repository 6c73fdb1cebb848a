import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type FoldState, leafHash, rootOf, TILE_WIDTH, WASH_RULES } from "@tallystick/protocol";
import { beforeAll, expect, test } from "vitest";
import { foldDays } from "../../../../test/day-documents.ts";
import { temporaryFolder } from "../../../../test/folder.ts";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { DAY, UsageLog } from "../../../../test/usage-log.ts";
import { DayDocuments } from "./day-documents.ts";
import { Projection, type PublishedLog, replayDays } from "./service.ts";

const DAYS = 5;
let entries: readonly Uint8Array[];
let whole: ReturnType<typeof foldDays>;
beforeAll(async () => {
  const log = await UsageLog.open();
  for (let day = 0; day < DAYS + 2; day++) {
    for (let call = 0; call <= day; call++) await log.call();
    await log.epoch(NOON_SECONDS + day * DAY);
  }
  entries = log.log.entries;
  whole = foldDays(log.entries);
  expect(whole.documents.size).toBe(DAYS);
});

const published = (): PublishedLog => ({
  ...{ size: entries.length, root: rootOf(entries.map(leafHash)) },
  readBundle: async (index, width) => entries.slice(index * TILE_WIDTH, index * TILE_WIDTH + width),
});
const rootAt = async (size: number) => rootOf(entries.slice(0, size).map(leafHash));

type Opened = { documents: DayDocuments; projection: Projection; fold: FoldState; reports: string[] };

async function openIn(folder: string, recentBytes?: number): Promise<Opened> {
  const reports: string[] = [];
  const recent = recentBytes === undefined ? {} : { recentBytes };
  const documents = new DayDocuments({
    ...{ folder: join(folder, "documents"), ...recent, nowMs: () => 0 },
    report: (message) => reports.push(message),
  });
  const projection = await Projection.open(folder, published(), rootAt, documents);
  await documents.begin(projection.fold, (...shown) => replayDays(published(), [WASH_RULES], ...shown));
  return { documents, projection, fold: projection.fold, reports };
}

const digestsOf = ({ fold }: Opened) => fold.series[0]?.digests ?? new Map<string, Uint8Array>();

/** The documents of all days as they are read. */
async function readAll(opened: Opened): Promise<unknown[]> {
  const read: unknown[] = [];
  for (const [day, digest] of digestsOf(opened)) read.push(JSON.parse(await opened.documents.read(day, digest)));
  return read;
}

test("every closed day is read as it was when it closed, after a restart too, and the fold holds the last alone", async () => {
  await using folder = await temporaryFolder();
  const first = await openIn(folder.path);
  expect(first.fold.series[0]?.documents.size).toBe(1);
  expect(await readAll(first)).toEqual([...whole.documents.values()]);
  await first.projection.save(await rootAt(entries.length));
  const second = await openIn(folder.path);
  expect(await readAll(second)).toEqual([...whole.documents.values()]);
  expect([...first.reports, ...second.reports]).toEqual([]);
});

test("a part of a document that is read is the groups that the document has of it", async () => {
  await using folder = await temporaryFolder();
  const { documents, fold } = await openIn(folder.path);
  for (const [day, document] of whole.documents)
    for (const { per, by } of document.groups) {
      const groups = await documents.groups(day, fold.series[0]?.digests.get(day) ?? new Uint8Array(0), per, by);
      expect(groups).toEqual(document.groups.filter((group) => group.per === per && group.by === by));
    }
});

test("what was read of documents is kept up to a size, and is the same once it was let go", async () => {
  await using folder = await temporaryFolder();
  const opened = await openIn(folder.path, 2_000);
  for (let round = 0; round < 2; round++)
    for (const [day, digest] of digestsOf(opened)) {
      const groups = await opened.documents.groups(day, digest, "day", "model");
      expect(groups).toEqual(whole.documents.get(day)?.groups.filter(({ per, by }) => per === "day" && by === "model"));
      expect(opened.documents.recentBytes).toBeLessThanOrEqual(2_000);
    }
});

test("whatever is missing or damaged is refused until it is made again from the log", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "documents");
  await (await openIn(folder.path)).documents.written();
  const [name = ""] = (await readdir(path)).sort();
  const good = await readFile(join(path, name));
  const [[day, digest] = expect.unreachable()] = whole.fold.series[0]?.digests ?? [];
  const damages: (() => Promise<void>)[] = [
    () => rm(join(path, name)),
    () => writeFile(join(path, name), good.subarray(0, good.length / 2)),
    () => writeFile(join(path, name), new Uint8Array(0)),
    ...[0, 1, 7, 20, good.length - 1].map(
      (at) => () =>
        writeFile(
          join(path, name),
          good.map((b, i) => (i === at ? b ^ 4 : b)),
        ),
    ),
  ];
  for (const damage of damages) {
    const opened = await openIn(folder.path);
    await damage();
    const refused = await opened.documents.read(day, digest).then(
      () => undefined,
      (error: unknown) => error,
    );
    // Whichever bit it was, what is given out is the document or a refusal.
    if (refused !== undefined) expect(refused).toMatchObject({ code: "unavailable", retryAfterMs: 60_000 });
    await opened.documents.idle();
    expect(await readAll(opened)).toEqual([...whole.documents.values()]);
  }
});

test("all are made again where the folder was removed, and a file of no closed day goes", async () => {
  await using folder = await temporaryFolder();
  const opened = await openIn(folder.path);
  await opened.projection.save(await rootAt(entries.length));
  const path = join(folder.path, "documents");
  const files = (await readdir(path)).sort();
  expect(files).toHaveLength(DAYS);
  await rm(path, { recursive: true });
  await mkdir(path);
  await writeFile(join(path, "2026-11-22-0000.json.br.123-4.new"), "half");
  const next = await openIn(folder.path);
  await next.documents.idle();
  expect((await readdir(path)).sort()).toEqual(files);
  expect(next.reports).toEqual([
    "documents of days are missing or damaged, and are made again from the log",
    "documents of days were made again",
  ]);
});

test("a fold is not kept before the documents that it has dropped are durable", async () => {
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, "documents"), "in the way of the folder");
  const documents = new DayDocuments({ folder: join(folder.path, "documents"), nowMs: () => 0, report: () => {} });
  const projection = await Projection.resume(folder.path, { size: 0, rootAt }, documents);
  projection.apply(entries);
  await expect(projection.save(await rootAt(entries.length))).rejects.toThrow();
  expect(await readdir(folder.path)).toEqual(["documents"]);
  await rm(join(folder.path, "documents"));
  await projection.save(await rootAt(entries.length));
  expect((await readdir(folder.path)).sort()).toEqual(["documents", "fold"]);
  expect(await readdir(join(folder.path, "documents"))).toHaveLength(DAYS);
});
