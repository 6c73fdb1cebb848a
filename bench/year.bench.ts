/**
 * A log of 400 days: what its fold keeps in memory and on disk, how long a start takes from it, and what a question about all of
 * its days costs (docs/design/fold-memory.md). Its signatures are zeros: nothing here verifies one.
 */
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { checkpointText, type Entry, encodeNote, findMetric, sha256, utf8 } from "@tallystick/protocol";
import { DayDocuments } from "../packages/server/src/usage/day-documents.ts";
import { createDocuments } from "../packages/server/src/usage/documents.ts";
import { answerMetric } from "../packages/server/src/usage/query.ts";
import { MetricQuery } from "../packages/server/src/usage/schemas.ts";
import { Projection } from "../packages/server/src/usage/service.ts";
import { DAY, HOUR, UsageLog } from "../test/usage-log.ts";
import type { Row } from "./ratio.ts";

const DAYS = 400;
const MODELS = 50;
const PAYERS = 200;
const CALLS_AN_HOUR = 42;
const START_SECONDS = 1_761_955_200; // 2025-11-01T00:00:00Z
const EXPIRY = START_SECONDS + 2 * DAYS * DAY;
const MB = 1e6;

/** A log that keeps none of its entries: they go to whoever folds them. */
class PassingLog extends UsageLog {
  readonly #show: (entry: Uint8Array) => void;
  #size = 0;

  constructor(show: (entry: Uint8Array) => void) {
    super();
    this.#show = show;
  }

  override append<E extends Entry>(entry: E): E {
    this.#show(entry.signed.bytes);
    this.#size++;
    return entry;
  }

  /** No fold looks at the root. */
  override epoch(timeSeconds: number): Promise<void> {
    const { signer } = this.log;
    const text = checkpointText({ origin: signer.key.name, size: this.#size, root: new Uint8Array(32) });
    return this.epochOf(utf8(encodeNote({ text, signatures: [signer.sign(text), signer.cosign(text, timeSeconds)] })));
  }
}

/** Payers that come back to a few models each, paid with money of their own, day and night. */
async function writeYear(log: UsageLog): Promise<void> {
  for (const role of ["log", "gateway", "node", "publisher", "relier"] as const) await log.enrol(role, role);
  const nameOf = (model: number) => `example/model-${model}`;
  for (let i = 0; i < MODELS; i++)
    await log.publish(nameOf(i), "publisher", log.manifestOf(nameOf(i)), { priceAtomic: 100n });
  for (let i = 0; i < PAYERS; i++) {
    const payer = `payer ${i}`;
    const reference = sha256(utf8(payer)).slice(0, 16);
    await log.topUp(payer, 10_000_000_000n, { funder: sha256(utf8(`purse ${i}`)), reference });
    await log.grant(payer, payer, "account", payer, {
      ...{ paymentClass: "credits", budget: 1_000_000_000n, expiry: EXPIRY },
    });
  }
  let seed = 1;
  const next = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  for (let hour = 0, call = 0; hour < 24 * DAYS; hour++) {
    for (let i = 0; i < CALLS_AN_HOUR; i++, call++) {
      const payer = next(PAYERS);
      const receipt = await log.call({
        ...{ session: `payer ${payer}`, model: nameOf((7 * payer + 11 * next(1 + next(6))) % MODELS) },
        ...{ authorization: { maxPrice: 100n, expiry: EXPIRY }, receipt: { price: 100n, sequence: call } },
      });
      if (call % 50 === 0) await log.rely(receipt);
    }
    await log.epoch(START_SECONDS + hour * HOUR + 1_800);
  }
  await log.epoch(START_SECONDS + (DAYS + 2) * DAY);
}

const ROOT = new Uint8Array(32);
const inSeconds = (sinceMs: number) => (performance.now() - sinceMs) / 1_000;

function openProjection(folder: string): { documents: DayDocuments; projection: Promise<Projection> } {
  const report = (message: string) => console.log(`     ${message}`);
  const documents = new DayDocuments({ folder: join(folder, "documents"), nowMs: () => performance.now(), report });
  const log = { size: Number.MAX_SAFE_INTEGER, rootAt: async () => ROOT };
  return { documents, projection: Projection.resume(folder, log, documents) };
}

/** Folds the log, keeps the fold, and gives how long the folding took. */
async function foldYear(folder: string): Promise<number> {
  const { documents, projection } = openProjection(folder);
  const fold = await projection;
  let foldedMs = 0;
  let seen = 0;
  const log = new PassingLog((entry) => {
    const started = performance.now();
    fold.apply([entry]);
    foldedMs += performance.now() - started;
    if (++seen % 50_000 === 0) console.log(`     ${seen} entries`);
  });
  await writeYear(log);
  await documents.written();
  await fold.save(ROOT);
  return foldedMs / 1_000;
}

export async function benchYear(): Promise<Row[]> {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const folder = await mkdtemp(join(tmpdir(), "tallystick-bench-"));
  try {
    const replayedS = await foldYear(folder);
    const started = performance.now();
    const { documents: closed, projection: opening } = openProjection(folder);
    const projection = await opening;
    const { fold } = projection;
    const startedS = inSeconds(started);
    collect();
    const heap = process.memoryUsage().heapUsed / MB;
    const files = await readdir(join(folder, "documents"));
    const sizes = await Promise.all(files.map(async (name) => (await stat(join(folder, "documents", name))).size));
    const rows: Row[] = [
      { name: `entries of ${DAYS} days`, value: fold.size, unit: "entries" },
      { name: "the kept state", value: (await stat(join(folder, "fold"))).size / MB, unit: "MB" },
      { name: "the heap with it", value: heap, unit: "MB" },
      { name: `documents of ${files.length} days`, value: sizes.reduce((sum, size) => sum + size, 0) / MB, unit: "MB" },
      {
        name: "a start from the kept state",
        value: startedS,
        unit: "s",
        baseline: `a replay: ${replayedS.toFixed(0)} s`,
      },
    ];
    const figured = performance.now();
    projection.figures();
    rows.push({ name: "all figures", value: inSeconds(figured), unit: "s" });
    const documents = createDocuments({
      ...{ fold, closed, nowMs: () => performance.now() },
      head: () => ({ size: fold.size, root: ROOT, note: { text: "", signatures: [] } }),
    })();
    const metric = findMetric("inferences");
    const days = documents?.days ?? [];
    if (documents === undefined || metric === undefined) throw new Error("there is nothing to ask");
    const query = MetricQuery.parse({ by: "model", from: days[0], to: days.at(-1) });
    const delay = monitorEventLoopDelay({ resolution: 5 });
    for (const time of ["the first time", "again"]) {
      delay.enable();
      const asked = performance.now();
      const { rows: found } = await answerMetric(metric, { ...query, top: 10 }, { documents, fold });
      const name = `inferences by model of ${days.length} days, ${found.length} rows, ${time}`;
      rows.push({ name, value: inSeconds(asked), unit: "s" });
    }
    delay.disable();
    rows.push({ name: "the longest that it held up others", value: delay.max / 1e6, unit: "ms" });
    return rows;
  } finally {
    await rm(folder, { recursive: true });
  }
}
