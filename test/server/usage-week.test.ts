/**
 * A week of traffic through the real gateway, node and log, in minutes: its clock is the test's. What was asked, by whom and with
 * whose money is written down as it is asked, and the figures are held against that.
 */
import { join } from "node:path";
import { fetchSource, systemEdges } from "@tallystick/client";
import { type DayDocument, dayOf, hex, type Row, sha256, utf8 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { auditAndFold } from "../../packages/client/src/audit/audit.ts";
import { Random } from "../../packages/client/src/simulate/random.ts";
import { serveFiles } from "../client/file-server.ts";
import { readLogFiles } from "../client/log-files.ts";
import { createTestClock, creditInput, startNetwork, type TestNetwork } from "../network.ts";
import { changeModel, PRICED } from "./refusals.ts";
import { enrolRelier, relianceOn, submit } from "./requester.ts";

const FREE = "statlog/credit-default";
const PRICE = 100;
const INPUT = { name: "features", datatype: "FP32", shape: [1, 30], data: Array.from({ length: 30 }, () => 1) };

/** 2026-11-16T00:00:00Z, a Monday. */
const MONDAY_MS = Date.UTC(2026, 10, 16);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DAYS = 7;
const CALLS = 240;
/** An epoch every two hours, at half past: what is asked after the last one of a day is dated to the next. */
const EPOCH_MS = 2 * HOUR_MS;

type Money = "own" | "operator" | "unnamed";
type Payer = { apiKey: string; money: Money };
/** A call before it is made: when, by whom, of what, what for, and whether somebody relies on it. */
type Planned = { atMs: number; payer: number; isPriced: boolean; traffic: "production" | "test"; isRelied: boolean };

/** Fourteen payers have money of their own, two an operator's, one nobody knows whose. The i-th asks as much as 1/(i + 2). */
const MONEY: readonly Money[] = [...Array<Money>(14).fill("own"), "operator", "operator", "unnamed"];

/** Everybody once on the first day, hours apart; the rest when people are awake, more by day than by night. */
function plan(random: Random): Planned[] {
  const weights = MONEY.map((_, i) => Math.floor(1_000 / (i + 2)));
  const first = MONEY.map((_, payer): Planned => {
    const atMs = MONDAY_MS + payer * 80 * 60_000 + random.below(60) * 1_000;
    return { atMs, payer, isPriced: true, traffic: "production", isRelied: false };
  });
  const rest = Array.from({ length: CALLS - first.length }, (): Planned => {
    const hour = random.chance(850) ? random.between(7, 23) : random.between(0, 6);
    return {
      atMs: MONDAY_MS + random.below(DAYS) * DAY_MS + hour * HOUR_MS + random.below(3_600) * 1_000,
      payer: random.weighted(weights),
      isPriced: random.chance(800),
      traffic: random.chance(60) ? "test" : "production",
      isRelied: random.chance(80),
    };
  });
  return [...first, ...rest].sort((a, b) => a.atMs - b.atMs);
}

async function openPayer(network: TestNetwork, money: Money, name: string): Promise<Payer> {
  const { payerTag, apiKey } = (await (await network.operate("POST", "/v1/accounts", { name })).json()) as {
    payerTag: string;
    apiKey: string;
  };
  const answer = await network.operate("POST", "/v1/settlements/topups", {
    account: payerTag,
    amount: String(PRICE * CALLS),
    source: money === "operator" ? "operator" : "transfer",
    reference: hex(sha256(utf8(`top-up of ${name}`)).slice(0, 16)),
    ...(money === "own" ? { funder: hex(sha256(utf8(`wallet of ${name}`))) } : {}),
  });
  expect(answer.status, await answer.text()).toBe(201);
  return { apiKey, money };
}

async function ask(network: TestNetwork, { apiKey }: Payer, { isPriced, traffic }: Planned): Promise<string> {
  const answer = await network.fetch(`/v2/models/${isPriced ? PRICED : FREE}/infer`, {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({
      inputs: [isPriced ? INPUT : creditInput()],
      parameters: { max_price: String(PRICE), ...(traffic === "test" ? { traffic } : {}) },
    }),
  });
  expect(answer.status, await answer.clone().text()).toBe(200);
  return answer.headers.get("x-receipt-id") ?? "";
}

/** Makes the calls, each at its time, with the epochs between them, and goes on until the last day is closed. */
async function live(network: TestNetwork, planned: readonly Planned[], moveTo: (timeMs: number) => void) {
  const payers = await Promise.all(MONEY.map((money, i) => openPayer(network, money, `payer ${i}`)));
  const relier = await enrolRelier(network);
  // An idle log's first epoch has an old checkpoint, and makes a new one, which the next has: that one closes the last day.
  const endMs = MONDAY_MS + (DAYS + 1) * DAY_MS + 2 * EPOCH_MS;
  let next = 0;
  for (let epochMs = MONDAY_MS + HOUR_MS / 2; epochMs <= endMs; epochMs += EPOCH_MS) {
    for (let call = planned[next]; call !== undefined && call.atMs < epochMs; call = planned[++next]) {
      const payer = payers[call.payer];
      if (payer === undefined) throw new Error("nobody makes this call");
      moveTo(call.atMs);
      const receipt = await ask(network, payer, call);
      await network.idle();
      if (call.isRelied) await submit(network, await relianceOn(receipt, relier));
    }
    moveTo(epochMs);
    await network.closeEpoch();
  }
}

type Truth = { gross: number; valid: number; organic: number; payers: number; revenue: number; relied: number };

/** What a day comes to, by when each call was made or dated. */
function truthOf(planned: readonly Planned[], day: string, timeOf: (call: Planned) => number): Truth {
  const own = planned.filter((call) => dayOf(timeOf(call) / 1_000) === day);
  const valid = own.filter(({ traffic }) => traffic === "production");
  const paid = valid.filter(({ isPriced }) => isPriced);
  return {
    gross: own.length,
    valid: valid.length,
    organic: paid.filter(({ payer }) => MONEY[payer] === "own").length,
    payers: new Set(valid.map(({ payer }) => payer)).size,
    revenue: paid.length * PRICE,
    relied: valid.filter(({ isRelied }) => isRelied).length,
  };
}

/** The time that the log gives a call: that of the newest checkpoint by the next epoch, which is that of the last call before it. */
function datedMs(planned: readonly Planned[]): (call: Planned) => number {
  const epochOf = ({ atMs }: Planned) => Math.floor((atMs - MONDAY_MS - HOUR_MS / 2) / EPOCH_MS);
  const last = new Map(planned.map((call) => [epochOf(call), call.atMs]));
  return (call) => last.get(epochOf(call)) ?? call.atMs;
}

test("a week's figures are those of what was asked, day by day, and an audit of a bare copy of its tiles finds no difference", {
  timeout: 300_000,
}, async () => {
  const planned = plan(new Random("a week"));
  const clock = createTestClock(MONDAY_MS - HOUR_MS);
  await using network = await startNetwork({ models: ["breast-cancer", "credit-default"], clock });
  await network.restart(() => changeModel(network.models, "breast-cancer", { version: "2.0.0", price: String(PRICE) }));
  await live(network, planned, (timeMs) => clock.advance(timeMs - clock.nowMs()));
  await network.idle();

  const published: unknown = await (await network.fetch("/v1/usage")).json();
  const files = await readLogFiles(join(network.data, "log", "tiles"));
  const { trust } = network;
  await network.stop(); // What follows has the files, and nobody to ask.
  await using copy = await serveFiles(files);
  const documents = new Map<string, DayDocument>();
  const onDocument = (document: DayDocument) => documents.set(document.day, document);
  const source = fetchSource(copy.url, systemEdges);
  const { audit, fold } = await auditAndFold(source, { trust, published, onDocument });
  expect(audit.findings).toEqual([]);
  expect(audit.differences).toEqual([]);

  const days = Array.from({ length: DAYS }, (_, i) => dayOf((MONDAY_MS + i * DAY_MS) / 1_000));
  expect([...fold.closedDays.keys()].filter((day) => days.includes(day))).toEqual(days);
  const dated = datedMs(planned);
  const late = planned.filter((call) => dayOf(dated(call) / 1_000) !== dayOf(call.atMs / 1_000));
  expect(late.length).toBeGreaterThan(0);
  for (const day of days) {
    const figures = audit.figures.days.find((one) => one.day === day);
    const truth = truthOf(planned, day, dated);
    // What can be equal is.
    const { gross, valid, requesters: payers, decisionsReliedOn: relied } = figures ?? {};
    expect({ gross, valid, payers, relied, revenue: Number(figures?.revenue.gross) }, day).toEqual({
      ...truth,
      organic: undefined,
    });
    const row: Row =
      documents.get(day)?.groups.find(({ per, by }) => per === "day" && by === "network")?.rows[""] ?? {};
    // One operator has the gateway, the node and the publisher, and says so: of no price does an outsider keep a part.
    expect(row.inferences, day).toEqual([truth.gross, truth.valid, truth.organic, 0]);
    // By the moment of the call a day is off by no more than what was asked after the last epochs of it and of the day before.
    const spoken = truthOf(planned, day, ({ atMs }) => atMs);
    const error = late.filter((call) => [call.atMs, dated(call)].some((ms) => dayOf(ms / 1_000) === day)).length;
    expect(Math.abs(spoken.gross - truth.gross), day).toBeLessThanOrEqual(error);
  }
  expect(audit.figures.totals.gross).toBe(CALLS);
  expect(audit.figures.credits.spent).toBe(String(planned.filter(({ isPriced }) => isPriced).length * PRICE));
});
