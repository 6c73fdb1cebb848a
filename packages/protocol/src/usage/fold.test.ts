import { expect, test } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { slowFigures } from "../../../../test/slow-figures.ts";
import { type CallChanges, DAY, HOUR, UsageLog } from "../../../../test/usage-log.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { parseBase64, utf8 } from "../bytes.ts";
import { type Entry, parseEntry } from "../entry/entry.ts";
import { type Figures, figuresOf } from "./figures.ts";
import { applyEntry } from "./fold.ts";
import { createFold, type Exclusion, type FoldState, isOperator, signerOf } from "./state.ts";

function foldOf(entries: readonly Entry[]): FoldState {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}
const figuresFor = ({ entries }: { entries: readonly Entry[] }) => figuresOf(foldOf(entries));

type UsageVector = Vector & { entries: string[]; figures: Figures };

test.each(readVectors<UsageVector>("usage/logs.json"))(
  "$desc folds to the figures of its vector",
  ({ entries, figures }) => {
    const parsed = entries.map((entry) => parseEntry(parseBase64(entry) ?? new Uint8Array(0)));
    expect(JSON.stringify(figuresFor({ entries: parsed }))).toBe(JSON.stringify(figures));
  },
);

/** What each exclusion takes, in the order in which the rules look for them. */
const FAULTS: [Exclusion, CallChanges][] = [
  ["unknown_session", { asker: "another key" }],
  ["reused_nonce", { authorization: { nonce: 0 } }],
  ["unknown_node", { node: "stranger" }],
  ["unknown_model", { model: "example/unpublished" }],
  ["yanked_model", { model: "example/yanked" }],
  ["not_ok", { receipt: { status: "failed" } }],
  ["broken_terms", { receipt: { price: 6n } }],
  ["overpriced", { receipt: { price: 4n } }],
  ["unpaid", { receipt: { price: 3n } }],
  ["test_traffic", { authorization: { traffic: "test" } }],
  ["probe_traffic", { authorization: { traffic: "probe" } }],
  ["self_dealing", { session: "operator" }],
];

/** A log in which each fault can be made, and one good receipt. */
async function openWithFaults(): Promise<UsageLog> {
  const log = await UsageLog.open(undefined, { priceAtomic: 3n });
  await log.enrol("operator", "node");
  await log.grant("operator");
  await log.publish("example/yanked");
  await log.yank("example/yanked");
  await log.call();
  await log.call({ session: "operator" }); // Nonce 0 of both sessions is used.
  return log;
}

test.each(FAULTS)("a receipt with the fault %s counts as gross, not as valid", async (reason, changes) => {
  const log = await openWithFaults();
  const before = figuresFor(log);
  await log.call({ ...changes, authorization: { expiry: NOON_SECONDS, ...changes.authorization } });
  const after = figuresFor(log);
  expect(after.totals.gross).toBe(before.totals.gross + 1);
  expect(after.totals.valid).toBe(before.totals.valid);
  expect(after.exclusions).toEqual({ ...before.exclusions, [reason]: (before.exclusions[reason] ?? 0) + 1 });
});

const pairs = FAULTS.flatMap(([first, a], i) =>
  FAULTS.slice(i + 1).flatMap(([second, b]): [Exclusion, Exclusion, CallChanges][] => {
    if (a.receipt?.price && b.receipt?.price) return []; // A price that is too high for one is so for those behind it.
    if ((a.model && b.model) || (a.authorization?.traffic && b.authorization?.traffic)) return [];
    const changes = { ...a, ...b };
    if (a.authorization || b.authorization) changes.authorization = { ...a.authorization, ...b.authorization };
    if (a.receipt || b.receipt) changes.receipt = { ...a.receipt, ...b.receipt };
    return [[first, second, changes]];
  }),
);

test.each(pairs)("of %s and %s, the first is the reason", async (first, _, changes) => {
  const log = await openWithFaults();
  const before = figuresFor(log).exclusions[first] ?? 0;
  await log.call({ ...changes, authorization: { expiry: NOON_SECONDS, ...changes.authorization } });
  expect(figuresFor(log).exclusions[first]).toBe(before + 1);
});

test.each<[string, CallChanges["receipt"]]>([
  ["says an upstream gave what its node ran", { provenance: "relayed" }],
  ["names an upstream for what its node ran", { upstream: { name: "acme", model: new Uint8Array(32) } }],
  ["has units between two steps of the ladder", { units: 5 }],
  ["has units over the last step", { units: 2 ** 33 }],
  ["has as many units as a number can say", { units: Number.MAX_SAFE_INTEGER }],
  ["has output units between two steps of the ladder", { outputUnits: 24 }],
  ["has output units over the last step", { outputUnits: 2 ** 32 + 1 }],
  ["failed and is for a stream", { status: "failed", stream: { frames: 1, head: new Uint8Array(32) } }],
])("a receipt that %s does not count, by the fold and by the slow one", async (_, receipt) => {
  const log = await UsageLog.open();
  await log.call({ receipt: receipt ?? {} });
  const { totals, exclusions } = figuresFor(log);
  expect(slowFigures(log.entries).exclusions).toEqual(exclusions);
  expect(totals).toMatchObject({ gross: 1, valid: 0 });
  expect(exclusions).toEqual(receipt?.status === "failed" ? { not_ok: 1 } : { broken_terms: 1 });
});

test("a receipt id counts once, at its lowest index, whoever signs it again", async () => {
  const log = await UsageLog.open();
  await log.enrol("second node", "node");
  const id = await log.call({ authorization: { nonce: 0 }, receipt: { status: "failed" } });
  expect(await log.call({ authorization: { nonce: 0 } })).toEqual(id);
  expect(await log.call({ authorization: { nonce: 0 }, node: "second node" })).toEqual(id);
  expect(figuresFor(log).totals).toMatchObject({ gross: 1, valid: 0 });
  expect(figuresFor(log).exclusions).toEqual({ not_ok: 1 });
});

test("a second receipt of one id is an equivocation of the key that signed the first, and another node's is none", async () => {
  const log = await UsageLog.open();
  await log.enrol("second node", "node"); // Under the first one's name.
  for (const node of ["node", "second node", "second node"]) await log.call({ authorization: { nonce: 0 }, node });
  expect(figuresFor(log)).toMatchObject({ equivocations: 0, totals: { gross: 1, valid: 1 } });
  await log.call({ authorization: { nonce: 0 } });
  expect(figuresFor(log)).toMatchObject({ equivocations: 1, totals: { gross: 1, valid: 1 } });
});

test("a nonce is used up by its session's own key alone", async () => {
  const log = await UsageLog.open();
  await log.call({ asker: "another key", authorization: { nonce: 0 } });
  await log.call({ authorization: { nonce: 0 } });
  expect(figuresFor(log)).toMatchObject({ totals: { gross: 2, valid: 1 }, exclusions: { unknown_session: 1 } });
  await log.call({ authorization: { nonce: 0, expiry: NOON_SECONDS } });
  expect(figuresFor(log).exclusions).toEqual({ reused_nonce: 1, unknown_session: 1 });
});

test("requesters are distinct payers of valid receipts, however many sessions they have", async () => {
  const log = await UsageLog.open();
  await log.grant("again", "session");
  await log.grant("another");
  await log.call();
  await log.call({ session: "again" });
  await log.call({ session: "another", receipt: { status: "failed" } });
  expect(figuresFor(log).totals).toMatchObject({ valid: 2, requesters: 1 });
});

const DECISION = new Uint8Array(16).fill(7);
const reliedOn = (log: UsageLog) => figuresFor(log).totals.decisionsReliedOn;

test("a decision is relied on once, however many calls are behind it and however many say so", async () => {
  const log = await UsageLog.open();
  await log.enrol("second relier", "relier");
  const calls = [
    await log.call({ authorization: { decision: DECISION } }),
    await log.call({ authorization: { decision: DECISION } }),
  ];
  for (const relier of ["relier", "second relier", "relier"]) for (const id of calls) await log.rely(id, relier);
  expect(reliedOn(log)).toBe(1);
  await log.rely(await log.call()); // Without a decision of its requester's, a receipt is its own.
  await log.rely(await log.call());
  expect(reliedOn(log)).toBe(3);
});

test("the same decision bytes of two payers are two decisions", async () => {
  const log = await UsageLog.open();
  await log.grant("another");
  for (const session of ["session", "another"])
    await log.rely(await log.call({ session, authorization: { decision: DECISION } }));
  expect(reliedOn(log)).toBe(2);
});

test("a decision behind which are two models is one in the total and one for each model", async () => {
  const log = await UsageLog.open();
  await log.publish("example/second");
  for (const model of ["example/double", "example/second"])
    await log.rely(await log.call({ model, authorization: { decision: DECISION } }));
  const figures = figuresFor(log);
  expect(figures.totals.decisionsReliedOn).toBe(1);
  expect(figures.days).toMatchObject([{ decisionsReliedOn: 1 }]);
  expect(figures.models.map(({ decisionsReliedOn }) => decisionsReliedOn)).toEqual([1, 1]);
});

test.each(["log", "gateway", "node", "publisher", "session", "stranger"])(
  "no decision is relied on by the word of the %s key",
  async (label) => {
    const log = await UsageLog.open();
    await log.rely(await log.call(), label);
    expect(reliedOn(log)).toBe(0);
  },
);

test("an operator's key that enrols again as a relier stays an operator's, and a relier's stays a relier's", async () => {
  const log = await UsageLog.open();
  await log.enrol("node", "relier");
  await log.enrol("relier", "node");
  const id = await log.call();
  await log.rely(id, "node");
  expect(reliedOn(log)).toBe(0);
  await log.rely(id, "relier");
  expect(reliedOn(log)).toBe(1);
  const fold = foldOf(log.entries);
  const roles = [...fold.keys].map(([kid, { role }]) => [role, isOperator(fold, kid)]);
  expect(Object.fromEntries(roles)).toEqual({ log: true, gateway: true, node: true, publisher: true, relier: false });
});

test("neither reliance nor acknowledgement counts on a receipt that is excluded, unknown or yet to come", async () => {
  const log = await UsageLog.open();
  const failed = await log.call({ receipt: { status: "failed" } });
  const preview = await UsageLog.open();
  await preview.call();
  const coming = await preview.call();
  for (const id of [failed, coming, new Uint8Array(32)]) {
    await log.rely(id);
    await log.acknowledge(id);
  }
  expect(await log.call()).toEqual(coming);
  expect(figuresFor(log).totals).toMatchObject({ valid: 1, acknowledged: 0, decisionsReliedOn: 0 });
});

test("an answer is acknowledged once", async () => {
  const log = await UsageLog.open();
  const id = await log.call();
  await log.acknowledge(id);
  await log.acknowledge(id);
  expect(figuresFor(log).totals.acknowledged).toBe(1);
});

test("a model is yanked by its own publisher alone, and what was used before stays valid", async () => {
  const log = await UsageLog.open();
  await log.enrol("second publisher", "publisher");
  await log.call();
  await log.yank("example/double", "second publisher");
  await log.call();
  expect(figuresFor(log)).toMatchObject({ totals: { valid: 2, models: 1 }, models: [{ state: "active" }] });
  await log.yank("example/double");
  await log.publish("example/double");
  await log.call();
  const { totals, models } = figuresFor(log);
  expect(totals).toMatchObject({ gross: 3, valid: 2, models: 0, activeModels: 0, idleModels: 0 });
  expect(models).toMatchObject([{ name: "example/double", state: "yanked" }]);
});

test("a revision is published only with the manifest that it is the digest of", async () => {
  const log = await UsageLog.open();
  await log.publish("example/second", "publisher", log.manifestOf("example/third"));
  await log.publish("example/junk", "publisher", utf8("junk"));
  expect(figuresFor(log).models.map(({ name }) => name)).toEqual(["example/double"]);
});

test("an entry's day is that of the first epoch that covers it, and no later epoch moves it", async () => {
  const log = await UsageLog.open();
  await log.call();
  const covered = log.entries.length;
  await log.call();
  await log.epoch(NOON_SECONDS, covered);
  await log.epoch(NOON_SECONDS + DAY);
  await log.epoch(NOON_SECONDS - 9 * DAY);
  await log.call();
  const { days, today, asOfSeconds } = figuresFor(log);
  expect(days.map(({ day, gross }) => `${day}: ${gross}`)).toEqual(["2026-11-22: 1", "2026-11-23: 1", "open: 1"]);
  expect([today, asOfSeconds]).toEqual(["2026-11-13", NOON_SECONDS - 9 * DAY]); // The log's clock may be set back.
});

test("midnight in UTC divides the days", async () => {
  const log = await UsageLog.open();
  await log.call();
  await log.epoch(NOON_SECONDS + 12 * HOUR - 1);
  await log.call();
  await log.epoch(NOON_SECONDS + 12 * HOUR);
  expect(figuresFor(log).days.map(({ day }) => day)).toEqual(["2026-11-22", "2026-11-23"]);
});

test("an epoch that covers what is not yet logged, says nothing or names no time of a calendar gives no day", async () => {
  const log = await UsageLog.open();
  await log.call();
  const own = log.log.checkpointFile(NOON_SECONDS);
  await log.epochOf(utf8(own.replace(/\n\d+\n/, `\n${log.entries.length + 1}\n`)));
  await log.epochOf(utf8("junk"));
  await log.epochOf(new Uint8Array(0));
  await log.epochOf(utf8(`${own.split("\n").slice(0, 5).join("\n")}\n`)); // Signed, but by no cosigner.
  expect(figuresFor(log)).toMatchObject({ today: null, asOfSeconds: null, days: [{ day: "open", gross: 1 }] });
});

test("a time after 2106 is no time: the fold goes on, and the entries wait for the next epoch", async () => {
  const log = await UsageLog.open();
  await log.call();
  await log.epoch(9e15);
  expect(figuresFor(log)).toMatchObject({ today: null, days: [{ day: "open" }] });
  await log.epoch(NOON_SECONDS);
  expect(figuresFor(log)).toMatchObject({ today: "2026-11-22", days: [{ day: "2026-11-22" }] });
});

test("a model is active while a valid inference is less than thirty days old, by the log's clock", async () => {
  const log = await UsageLog.open();
  await log.publish("example/unused");
  await log.call();
  const states = () => Object.fromEntries(figuresFor(log).models.map(({ name, state }) => [name, state]));
  expect(states()).toEqual({ "example/double": "active", "example/unused": "idle" }); // Not yet covered: it is today's.
  await log.epoch(NOON_SECONDS);
  await log.epoch(NOON_SECONDS + 29 * DAY);
  expect(states()).toEqual({ "example/double": "active", "example/unused": "idle" });
  await log.epoch(NOON_SECONDS + 30 * DAY);
  expect(states()).toEqual({ "example/double": "idle", "example/unused": "idle" });
  expect(figuresFor(log).totals).toMatchObject({ models: 2, activeModels: 0, idleModels: 2 });
});

test("models are ranked by decisions relied on, then valid, then gross inferences, then name", async () => {
  const log = await UsageLog.open();
  for (const name of ["b", "a", "c", "d"]) await log.publish(`example/${name}`);
  await log.rely(await log.call({ model: "example/d" }));
  for (let i = 0; i < 3; i++) await log.call({ model: "example/c" });
  await log.call({ model: "example/b", receipt: { status: "failed" } });
  expect(figuresFor(log).models.map(({ rank, name }) => `${rank} ${name}`)).toEqual([
    "1 example/d",
    "2 example/c",
    "3 example/b",
    "4 example/a",
    "5 example/double",
  ]);
});

test("figures are read from a fold without changing it", async () => {
  const log = await UsageLog.open();
  await log.rely(await log.call());
  const fold = foldOf(log.entries);
  const once = JSON.stringify(figuresOf(fold));
  expect(JSON.stringify(figuresOf(fold))).toBe(once);
  await log.epoch(NOON_SECONDS);
  for (const entry of log.entries.slice(-1)) applyEntry(fold, entry);
  expect(figuresOf(fold).days.map(({ day }) => day)).toEqual(["2026-11-22"]);
});

test("who may sign an entry is the key enrolled for its kind, while it is not retired", async () => {
  const log = await UsageLog.open();
  const id = await log.call();
  await log.acknowledge(id);
  await log.rely(id);
  await log.yank("example/double");
  await log.epoch(NOON_SECONDS);
  const fold = foldOf(log.entries);
  const may = () => log.entries.map((entry) => [entry.kind, signerOf(fold, entry) !== undefined]);
  expect(may().filter(([, allowed]) => !allowed)).toEqual([]);
  for (const role of ["log", "gateway", "node", "publisher", "relier"] as const) await log.enrol(role, role, "retire");
  for (const entry of log.entries.slice(-5)) applyEntry(fold, entry);
  expect(new Set(may().flatMap(([kind, allowed]) => (allowed ? [kind] : [])))).toEqual(
    new Set(["key", "acknowledgement"]),
  );
});

test("an acknowledgement is its requester's to sign, and nobody's for a receipt that is not logged", async () => {
  const log = await UsageLog.open();
  await log.acknowledge(await log.call(), "stranger");
  await log.acknowledge(new Uint8Array(32));
  const fold = foldOf(log.entries);
  const [byStranger, ofNothing] = log.entries.slice(-2);
  if (byStranger === undefined || ofNothing === undefined) return expect.fail("two entries were logged");
  const session = [...fold.sessions.values()][0];
  expect(signerOf(fold, byStranger)).toEqual(session?.sessionKey);
  expect(signerOf(fold, ofNothing)).toBeUndefined();
});

test("a node's next sequence is one more than its highest", async () => {
  const log = await UsageLog.open();
  for (const sequence of [0, 7, 3]) await log.call({ receipt: { sequence } });
  const [next] = foldOf(log.entries).nodeSequences.values();
  expect(next).toBe(8);
});

test("a receipt whose authorization is malformed counts as nothing", async () => {
  const log = await UsageLog.open();
  await log.call({ receipt: { authorization: utf8("junk") } });
  expect(figuresFor(log)).toMatchObject({ size: log.entries.length, totals: { gross: 0 }, exclusions: {} });
});
