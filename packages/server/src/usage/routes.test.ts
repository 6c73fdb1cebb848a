import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  applyEntry,
  createFold,
  documentDigest,
  type Entry,
  type FoldState,
  figuresOf,
  hex,
  keyId,
  METRICS,
  type Metric,
  sha256,
  signEntry,
  utf8,
} from "@tallystick/protocol";
import type { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { DAY, HOUR, UsageLog, unsignedSigner } from "../../../../test/usage-log.ts";
import { errorResponse } from "../platform/http.ts";
import { DayDocuments } from "./day-documents.ts";
import { createDocuments } from "./documents.ts";
import { usageRoutes } from "./routes.ts";
import { BADGE_METRICS, Catalogue, DayAnswer, Recomputations, UsageAnswer } from "./schemas.ts";

const [BOUGHT, FREE] = ["example/bought", "example/free"];
/** Two days before and on the day of NOON_SECONDS: the first is closed, the last is not. */
const [CLOSED, OPEN] = ["2026-11-20", "2026-11-22"];

/** Twelve payers with money of their own and one with none, and a day that is closed after it. */
async function demandLog(): Promise<UsageLog> {
  const log = await UsageLog.open(unsignedSigner);
  for (const [name, priceAtomic] of [
    [BOUGHT, 100n],
    [FREE, 0n],
  ] as const)
    await log.publish(name, "publisher", log.manifestOf(name), { priceAtomic });
  for (let i = 0; i < 12; i++) {
    await log.topUp(`payer ${i}`, 10_000n, { funder: sha256(utf8(`purse ${i}`)) });
    await log.grant(`payer ${i}`, `payer ${i}`, "account", `key ${i}`, { paymentClass: "credits", budget: 10_000n });
  }
  const buy = (i: number) =>
    log.call({
      ...{ session: `payer ${i}`, asker: `key ${i}`, model: BOUGHT },
      ...{ authorization: { maxPrice: 100n }, receipt: { price: 100n } },
    });
  for (let i = 0; i < 12; i++) {
    await log.rely(await buy(i));
    await log.epoch(NOON_SECONDS - 2 * DAY + (i - 12) * (HOUR / 1.5)); // Who all begin together look like one.
  }
  for (let i = 0; i < 40; i++) await log.call({ model: FREE });
  await log.epoch(NOON_SECONDS - 2 * DAY);
  await buy(0);
  await log.epoch(NOON_SECONDS);
  return log;
}

const digestOf = (text: string) => sha256(utf8(text));

const note = { text: "example.org/log\n9\ncm9vdA==\n", signatures: [] };
const headOf = (fold: { size: number }) => () => ({ size: fold.size, root: digestOf("root"), note });

let folder: string;
/** The documents of closed days, on disk as those of a network are. */
const createClosed = (name: string) =>
  new DayDocuments({ folder: join(folder, name), nowMs: () => nowMs, report: () => {} });

/** Folds `entries` into `fold`, and takes the documents of the days that close into `closed`. */
function foldInto(fold: FoldState, entries: readonly Entry[], closed: DayDocuments): void {
  for (const entry of entries) {
    const count = fold.closedDays.size;
    applyEntry(fold, entry);
    if (fold.closedDays.size > count) closed.take(fold);
  }
}

let app: Hono;
let fold: ReturnType<typeof createFold>;
let nowMs = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "usage-routes-"));
  const log = await demandLog();
  fold = createFold();
  const closed = createClosed("all");
  foldInto(fold, log.entries, closed);
  const head = headOf(fold);
  app = usageRoutes({
    ...{ fold, head, published: () => ({ figures: figuresOf(fold), head: head() }) },
    documents: createDocuments({ fold, closed, head, nowMs: () => nowMs }),
  });
  app.onError((error, c) => errorResponse(c, error, () => {}));
});
afterAll(() => rm(folder, { recursive: true }));

const get = async (path: string) => {
  const response = await app.request(path);
  return { status: response.status, headers: response.headers, text: await response.text() };
};
const answerTo = async (path: string) => UsageAnswer.parse(JSON.parse((await get(path)).text));
const refusalOf = async (path: string) => {
  const { status, text } = await get(path);
  return { status, ...JSON.parse(text).error };
};

describe("one metric", () => {
  test("has its strata side by side, by day, and says what it is a figure of", async () => {
    const { rows, meta, ...rest } = await answerTo("/v1/usage/inferences");
    expect(rest).toEqual({
      ...{ metric: "inferences", unit: "inferences", by: "network", per: "day" },
      strata: ["gross", "valid", "organic", "floor"],
    });
    expect(rows[0]).toEqual({
      start: CLOSED,
      key: "",
      gross: 52,
      valid: 52,
      organic: 12,
      floor: 12,
      provisional: false,
    });
    expect(meta).toMatchObject({ size: fold.size, rules: "tallystick-organic-v2", provisional: true });
    expect(meta.as_of).toBe("2026-11-22T12:00:00.000Z");
  });

  test("by model has the names that go with the revisions, and what is free is not organic", async () => {
    const { rows } = await answerTo(`/v1/usage/inferences?by=model&to=${CLOSED}`);
    const found = rows.map(({ name, gross, organic }) => [name?.split(" ")[0], gross, organic]);
    expect(found.sort()).toEqual([
      [BOUGHT, 12, 12],
      [FREE, 40, 0],
    ]);
  });

  test("of closed days alone is not provisional, of a day that is open it is", async () => {
    expect((await answerTo(`/v1/usage/inferences?to=${CLOSED}`)).meta.provisional).toBe(false);
    expect((await answerTo(`/v1/usage/inferences?from=${OPEN}`)).meta.provisional).toBe(true);
  });

  test("says of each row whether a day in it is open, and of a day on which nothing happened yet, too", async () => {
    const rowsOf = async (query: string) =>
      (await answerTo(`/v1/usage/inferences?${query}`)).rows.map(({ start, provisional }) => [start, provisional]);
    expect(await rowsOf("")).toEqual([
      [CLOSED, false],
      [OPEN, true],
    ]);
    const hours = await rowsOf("per=hour");
    expect(hours.at(-1)).toEqual([`${OPEN}T12:00:00Z`, true]);
    expect(hours[0]?.[1]).toBe(false);
    expect(await rowsOf(`per=week&to=${CLOSED}`)).toEqual([["2026-11-16", false]]);
    // The day before the open one has no call, and is not over yet.
    expect(await rowsOf("per=week&to=2026-11-21")).toEqual([["2026-11-16", true]]);
    expect(await rowsOf(`per=month&to=${OPEN}`)).toEqual([["2026-11-01", true]]);
    const quiet = await answerTo("/v1/usage/inferences?from=2026-11-10&to=2026-11-19");
    expect([quiet.rows, quiet.meta.provisional]).toEqual([[], false]);
    expect((await answerTo("/v1/usage/inferences?from=2026-11-21&to=2026-11-21")).meta.provisional).toBe(true);
  });

  test("of a week is that of the last day that is asked about", async () => {
    const week = async (to: string) => (await answerTo(`/v1/usage/inferences?per=week&to=${to}`)).rows;
    expect(await week(CLOSED)).toMatchObject([{ start: "2026-11-16", gross: 52 }]);
    expect(await week(OPEN)).toMatchObject([{ start: "2026-11-16", gross: 53 }]);
  });

  test("has the strata that are asked for, and no other", async () => {
    const { rows } = await answerTo(`/v1/usage/inferences?strata=organic,gross&to=${CLOSED}`);
    expect(rows).toEqual([{ start: CLOSED, key: "", organic: 12, gross: 52, provisional: false }]);
  });

  test("comes as CSV and NDJSON too, whose headers say of how many entries", async () => {
    const csv = await get(`/v1/usage/inferences?format=csv&to=${CLOSED}&strata=gross,organic`);
    expect(csv.text).toBe(`start,key,name,gross,organic,provisional\r\n${CLOSED},,,52,12,false\r\n`);
    expect(csv.headers.get("x-tally-size")).toBe(String(fold.size));
    const ndjson = await get(`/v1/usage/inferences?format=ndjson&to=${CLOSED}`);
    expect(JSON.parse(ndjson.text)).toMatchObject({ start: CLOSED, gross: 52 });
  });

  test("each has an address of its own that answers, where there is a figure", async () => {
    for (const { id, needs, by } of METRICS as readonly Metric[]) {
      const { status, text } = await get(`/v1/usage/${id}`);
      expect(status, id).toBe(needs === undefined ? 200 : 404);
      if (needs === undefined) expect(UsageAnswer.parse(JSON.parse(text)), id).toMatchObject({ metric: id, by: by[0] });
    }
  });

  test("as shares sums to one in every stratum, with a row for the rest", async () => {
    const { rows } = await answerTo(`/v1/usage/inferences?by=model&share=yes&top=1&to=${CLOSED}`);
    expect(rows.map(({ key }) => key).at(-1)).toBe("other");
    expect(rows).toMatchObject([
      { gross: 0.230769, organic: 1 },
      { gross: 0.769231, organic: 0 },
    ]);
  });

  test("cut to its largest rows has the rest as one, in money too", async () => {
    const { rows } = await answerTo(`/v1/usage/revenue_gross?by=model&top=1&from=${OPEN}&to=${OPEN}`);
    expect(rows).toMatchObject([{ valid: "100" }]);
  });
});

describe("a question that has no answer says why", () => {
  test.each([
    ["/v1/usage/nonsense", 404, "metric", /^no metric "nonsense": GET \/v1\/usage\/metrics lists them$/],
    ["/v1/usage/Inference", 404, "metric", /lists them; did you mean inferences\?$/],
    ["/v1/usage/payer", 404, "metric", /did you mean payers\?/],
    ["/v1/usage/revenue", 404, "metric", /did you mean revenue_/],
    ["/v1/usage/days", 404, null, /GET \/v1\/usage\/days\/2026-11-22/],
    ["/v1/usage?by=model", 400, "by", /takes no parameter "by": one metric is GET \/v1\/usage\/inferences\?by=model/],
    ["/v1/usage/metrics?by=model", 400, "by", /takes no parameter "by"/],
    ["/v1/usage/inferences?by=colour", 400, "by", /^by is one of network, model, .*reason, not "colour"$/],
    ["/v1/usage/inferences?by=models", 400, "by", /not "models"; did you mean model\?$/],
    ["/v1/usage/inferences?by=model&by=node", 400, "by", /^by is there 2 times: give it once$/],
    ["/v1/usage/inferences?by=stake", 400, "by", /^by is one of network, .*, not "stake"$/],
    ["/v1/usage/inferences?per=minute", 400, "per", /^per is one of hour, day, week, month, not "minute"$/],
    ["/v1/usage/payers?per=hour", 400, "per", /^per is one of day, week, month, not "hour"$/],
    ["/v1/usage/revenue_gross?strata=gross", 400, "strata", /is of valid, organic, floor, not of gross/],
    ["/v1/usage/inferences?strata=net", 400, "strata", /^strata is of gross, valid, organic, floor, .* not "net"/],
    ["/v1/usage/inferences?from=2026-02-30", 400, "from", /^from is a day .* as 2026-11-22, not "2026-02-30"$/],
    ["/v1/usage/inferences?to=today", 400, "to", /^to is a day .* not "today"$/],
    ["/v1/usage/inferences?from=2026-11-22&to=2026-11-20", 400, "from", /is after/],
    ["/v1/usage/inferences?from=1999-01-01", 400, "from", /at most 400 days, not from 1999-01-01 to 2026-11-22/],
    ["/v1/usage/inferences?per=hour&from=2026-01-01", 400, "from", /at most 31 days/],
    [
      "/v1/usage/inferences?form=csv",
      400,
      "form",
      /^there is no parameter "form": there are by, .*did you mean from\?$/,
    ],
    ["/v1/usage/inferences?formt=csv&by=x", 400, "formt", /did you mean format\?$/],
    ["/v1/usage/inferences?format=parquet", 400, "format", /json, csv, ndjson/],
    ["/v1/usage/inferences?rules=mine", 404, "rules", /^no rules "mine": there are figures by tallystick-organic-v2/],
    [
      `/v1/usage/inferences?rules=${"x".repeat(200)}`,
      400,
      "rules",
      /^rules is the version or the digest of rules, not "x{60}…"$/,
    ],
    ["/v1/usage/payers?top=3", 400, "top", /does not add up/],
    ["/v1/usage/inferences?by=column&share=yes", 400, "share", /does not add up/],
    ["/v1/usage/inferences?by=model&share=no", 400, "share", /^share is yes, not "no"$/],
    ["/v1/usage/inferences?by=model&top=0", 400, "top", /^top is a whole number from 1 to 1000, not "0"$/],
    ["/v1/usage/inferences?by=model&top=many", 400, "top", /^top is a whole number from 1 to 1000, not "many"$/],
    ["/v1/usage/decisions_enforced", 404, null, /needs a chain/],
    ["/v1/usage/days/2026-02-30", 400, "day", /2026-11-22, not "2026-02-30"/],
    ["/v1/usage/days/2020-01-01", 404, "day", /nothing happened.* its days are from 2026-11-20 to 2026-11-22/],
    [`/v1/usage/days/${CLOSED}?by=model`, 400, "by", /^there is no parameter "by": there is rules$/],
    ["/v1/recomputations?limit=0", 400, "limit", /^limit is a whole number from 1 to 1000, not "0"$/],
    ["/v1/recomputations?cursor=7", 400, "cursor", /`next` of the page before/],
    ["/v1/recomputations?auditor=me", 400, "auditor", /64 hex digits/],
    ["/v1/recomputations?agrees=maybe", 400, "agrees", /^agrees is one of yes, no, not "maybe"$/],
    ["/v1/models/no/such/badge.svg", 404, null, /^no model "no\/such": GET \/v1\/models lists them$/],
    ["/v1/models/example/bougth/badge.svg", 404, null, /did you mean example\/bought\?$/],
    [
      `/v1/models/${BOUGHT}/badge.svg?metric=stars`,
      400,
      "metric",
      /^metric is one of decisions_relied_on, organic_inferences, not "stars"$/,
    ],
  ])("%s", async (path, status, param, message) => {
    expect(await refusalOf(path)).toMatchObject({ status, param, message: expect.stringMatching(message) });
  });
});

describe("the rest of it", () => {
  test("the catalogue says of each metric how it can be gamed", async () => {
    const { metrics } = Catalogue.parse(JSON.parse((await get("/v1/usage/metrics")).text));
    expect(metrics.length).toBeGreaterThan(30);
    for (const { gamed_by, formula, source } of metrics)
      for (const text of [gamed_by, formula, source]) expect(text.length).toBeGreaterThan(3);
  });

  test("a closed day has the digest of its document, an open one has none", async () => {
    const day = async (name: string) => DayAnswer.parse(JSON.parse((await get(`/v1/usage/days/${name}`)).text));
    const document = fold.series[0]?.documents.get(CLOSED);
    if (document === undefined) throw new Error("the day is the last that closed");
    expect(await day(CLOSED)).toMatchObject({ digest: hex(documentDigest(document)), meta: { provisional: false } });
    expect(await day(OPEN)).toMatchObject({ digest: null, snapshot: null, meta: { provisional: true } });
  });

  test("a closed day's document is in the answer as the very text that has its digest, and so many ask for one at once", async () => {
    const { text } = await get(`/v1/usage/days/${CLOSED}`);
    const { digest } = DayAnswer.parse(JSON.parse(text));
    const document = text.slice(text.indexOf('"document":') + '"document":'.length, -1);
    expect(hex(sha256(utf8(document)))).toBe(digest);
    const answers = await Promise.all(Array.from({ length: 70 }, () => get(`/v1/usage/days/${CLOSED}`)));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200).length).toBe(66); // Two at a time, and those that may wait.
    expect(statuses.filter((status) => status === 503).length).toBe(4);
  });

  test("a snapshot stands beside its day, and an auditor who disagrees with it is named, by its last word", async () => {
    const rules = Buffer.from((await answerTo("/v1/usage/inferences")).meta.rules_digest, "hex");
    const says = { version: 1, size: 9, rules, result: digestOf("result") } as const;
    const [logKey, auditor] = [unsignedSigner("log"), unsignedSigner("auditor")];
    const enrolment = { version: 1, action: "enrol", role: "auditor", spki: auditor.spki, name: "auditor-1" } as const;
    for (const entry of [
      await signEntry(logKey, "snapshot", { ...says, day: CLOSED }),
      await signEntry(auditor, "key", enrolment),
      await signEntry(auditor, "recomputation", { ...says, size: 8, agrees: "yes" }),
    ])
      applyEntry(fold, entry);
    const snapshot = [...fold.snapshots.values()][0]?.id ?? "";
    const disagrees = { ...says, agrees: "no", snapshot: new Uint8Array(Buffer.from(snapshot, "latin1")) } as const;
    applyEntry(fold, await signEntry(auditor, "recomputation", disagrees));
    const day = DayAnswer.parse(JSON.parse((await get(`/v1/usage/days/${CLOSED}`)).text));
    expect(day.snapshot).toMatchObject({ size: 9, result_digest: hex(digestOf("result")) });
    const said = Recomputations.parse(JSON.parse((await get("/v1/recomputations")).text));
    expect(said).toMatchObject({
      ...{ agreed: 0, disagreed: 1, next: null },
      recomputations: [{ name: "auditor-1", agrees: false, disagrees_with: CLOSED, time: null }],
    });
    const id = hex(keyId(auditor.spki));
    const all = Recomputations.parse(JSON.parse((await get(`/v1/recomputations?auditor=${id}`)).text));
    expect(all.recomputations).toMatchObject([
      { auditor: id, agrees: false, size: 9 },
      { auditor: id, agrees: true, disagrees_with: null, size: 8 },
    ]);
  });

  test("a model's badge says what it is of, is kept a while, and can do nothing", async () => {
    const [relied, organic] = await Promise.all(
      BADGE_METRICS.map((metric) => get(`/v1/models/${BOUGHT}/badge.svg?metric=${metric}`)),
    );
    expect(relied?.text).toContain("12 / day");
    expect(organic?.text).toContain(`${BOUGHT}: 12 of 12 valid inferences are organic over the last day`);
    expect(relied?.headers.get("content-type")).toBe("image/svg+xml; charset=utf-8");
    expect(relied?.headers.get("cache-control")).toContain("max-age=300");
    expect(relied?.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect((await get(`/v1/models/${FREE}/badge.svg?metric=organic_inferences`)).text).toContain("0 of 40");
  });
});

test("days that are open are judged again at most every few seconds, whatever is asked; a day that closes shows at once", async () => {
  const log = await demandLog();
  const own = createFold();
  const closed = createClosed("own");
  foldInto(own, log.entries, closed);
  const documents = createDocuments({ fold: own, closed, head: headOf(own), nowMs: () => nowMs });
  const first = documents();
  const [before] = [log.entries.length];
  await log.call({ model: FREE });
  await log.epoch(NOON_SECONDS + 60);
  foldInto(own, log.entries.slice(before), closed);
  expect(documents()).toBe(first);
  nowMs += 60_000;
  const second = documents();
  expect(second?.head.size).toBe(own.size);
  const known = log.entries.length;
  await log.epoch(NOON_SECONDS + 3 * DAY);
  foldInto(own, log.entries.slice(known), closed);
  expect(second?.digestOf(OPEN)).toBeUndefined();
  expect(documents()?.digestOf(OPEN)).toBeDefined();
  await closed.written();
});
