import fc from "fast-check";
import { expect, test } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { RUNS } from "../../../../test/runs.ts";
import { plainOf, SlowLog, slowFigures } from "../../../../test/slow-figures.ts";
import { SlowMoney } from "../../../../test/slow-money.ts";
import { DAY, tagOf, UsageLog, unsignedSigner } from "../../../../test/usage-log.ts";
import { hex } from "../bytes.ts";
import { type Entry, parseEntry } from "../entry/entry.ts";
import { keyId } from "../sign/cose.ts";
import { figuresOf } from "./figures.ts";
import { applyEntry } from "./fold.ts";
import { bytesOf, createFold, type FoldState, keyOf } from "./state.ts";

/** Something that happens to a log; numbers choose among what there is. */
type Happening =
  | { kind: "enrol" | "retire"; key: string; role: "node" | "relier" }
  | { kind: "publish" | "yank"; model: string; publisher: string }
  | { kind: "grant"; session: string; payer: string }
  | { kind: "call"; call: Call }
  | { kind: "rely" | "reverse" | "acknowledge"; receipt: number; by: string }
  | { kind: "affiliate"; one: string; other: string; isMutual: boolean }
  | { kind: "verify"; receipt: number; by: string }
  | { kind: "epoch"; days: number; lag: number }
  | { kind: "again"; entry: number }
  | {
      kind: "topup";
      payer: string;
      amount: number;
      source: "operator" | "transfer";
      funder: string | undefined;
      reference: number;
    }
  | {
      kind: "charge";
      payer: string;
      from: number;
      count: number;
      amount: number | undefined;
      twice: boolean;
      beside: "nothing" | "first" | "unknown";
      gateway: string;
    }
  | { kind: "refund"; payer: string; receipt: number; amount: number; gateway: string }
  | { kind: "payout"; payee: string; amount: number; reference: number };
type Call = {
  session: string;
  asker: string | undefined;
  model: string;
  node: string;
  nonce: number | undefined;
  status: "ok" | "failed";
  price: bigint;
  traffic: "production" | "test" | "probe";
  decision: number | undefined;
  units: number;
  outputUnits: number | undefined;
};

const session = fc.constantFrom("session", "second", "relier", "node");
const model = fc.constantFrom("example/double", "example/a", "example/b");
const mostly = <T>(usual: T, ...others: T[]) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
const call: fc.Arbitrary<Call> = fc.record({
  session,
  asker: mostly<string | undefined>(undefined, "second", "stranger"),
  model,
  node: mostly("node", "second node", "relier"),
  nonce: mostly<number | undefined>(undefined, 0, 1),
  status: mostly<"ok" | "failed">("ok", "failed"),
  price: mostly(0n, 3n, 6n),
  traffic: mostly<"production" | "test" | "probe">("production", "test", "probe"),
  decision: fc.option(fc.nat(2), { nil: undefined }),
  // Steps of the ladder, and what is between two or over the last.
  units: mostly(1, 0, 23, 5, 2 ** 32, 2 ** 32 + 1, 2 ** 33),
  outputUnits: mostly<number | undefined>(undefined, 3, 5, 2 ** 40),
});
const paidCall: fc.Arbitrary<Call> = call.chain((some) =>
  fc.record({ session: mostly("paying", "paying too"), price: mostly(13n, 12n, 14n, 21n) }).map((paid) => ({
    ...some,
    ...paid,
    model: "example/priced",
    nonce: undefined,
    asker: undefined,
  })),
);
const payer = fc.oneof({ weight: 9, arbitrary: fc.constant("paying") }, fc.constant("second"));
const key = fc.constantFrom("node", "second node", "relier", "second", "second relier");
const money: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("topup" as const),
      payer,
      amount: fc.nat(40),
      source: mostly<"operator" | "transfer">("transfer", "operator"),
      funder: mostly<string | undefined>(undefined, "node", "relier", "second node"),
      reference: fc.nat(20),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("charge" as const),
      payer,
      from: fc.nat(4),
      count: fc.nat(3),
      amount: fc.option(fc.nat(40), { nil: undefined, freq: 8 }),
      twice: mostly(false, true),
      beside: mostly<"nothing" | "first" | "unknown">("nothing", "first", "unknown"),
      gateway: mostly("gateway", "another gateway"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("refund" as const),
      ...{ payer, receipt: fc.nat(4), amount: fc.nat(15) },
      gateway: fc.oneof(
        { weight: 5, arbitrary: fc.constant("gateway") },
        { weight: 1, arbitrary: fc.constant("another gateway") },
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("payout" as const),
      payee: fc.constantFrom("node", "publisher", "gateway", "stranger"),
      amount: fc.nat(12),
      reference: fc.nat(20),
    }),
  },
);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 8, arbitrary: call.map((some): Happening => ({ kind: "call", call: some })) },
  { weight: 8, arbitrary: paidCall.map((some): Happening => ({ kind: "call", call: some })) },
  { weight: 9, arbitrary: money },
  fc.record({
    kind: fc.constantFrom("enrol" as const, "retire" as const),
    key,
    role: fc.constantFrom("node" as const, "relier" as const),
  }),
  fc.record({
    kind: fc.constantFrom("publish" as const, "yank" as const),
    model,
    publisher: mostly("publisher", "node"),
  }),
  fc.record({ kind: fc.constant("grant" as const), session, payer: fc.constantFrom("session", "second") }),
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("rely" as const, "rely" as const, "reverse" as const),
      receipt: fc.nat(),
      by: mostly("relier", "node", "second", "second relier"),
    }),
  },
  fc.record({ kind: fc.constant("acknowledge" as const), receipt: fc.nat(), by: session }),
  fc.record({
    kind: fc.constant("affiliate" as const),
    one: fc.constantFrom("node", "publisher"),
    other: mostly("second relier", "second node", "second"),
    isMutual: mostly(true, false),
  }),
  fc.record({
    kind: fc.constant("verify" as const),
    receipt: fc.nat(),
    by: fc.constantFrom("relier", "node", "verifier"),
  }),
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("epoch" as const),
      days: fc.integer({ min: -1, max: 40 }),
      lag: fc.nat(4),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("again" as const), entry: fc.nat() }) },
);
const happenings = fc.array(happening, { maxLength: 40 });
/** Calls that cost something, and what is settled of them. */
const dealings = fc.array(
  fc.oneof({ weight: 2, arbitrary: paidCall.map((some): Happening => ({ kind: "call", call: some })) }, money),
  { minLength: 10, maxLength: 40 },
);

/** The log of what happened; a receipt or an entry is chosen among those that there are by then. */
async function logOf(all: readonly Happening[]): Promise<UsageLog> {
  const log = await UsageLog.open();
  const price = { priceAtomic: 12n, unitPriceAtomic: 1_000_000n };
  await log.publish("example/priced", "publisher", log.manifestOf("example/priced"), price);
  const terms = { paymentClass: "credits", budget: 90n } as const;
  await log.grant("paying", "paying", "account", "paying", terms);
  await log.grant("paying too", "paying", "gateway", "paying too", { ...terms, budget: 30n });
  await log.topUp("paying", 30n);
  await log.topUp("paying", 20n, { source: "operator" });
  const receipts: Uint8Array[] = [];
  const payable: Uint8Array[] = [];
  let timeSeconds = NOON_SECONDS;
  for (const some of all) {
    if (some.kind === "enrol" || some.kind === "retire") await log.enrol(some.key, some.role, some.kind);
    else if (some.kind === "publish") await log.publish(some.model, some.publisher);
    else if (some.kind === "yank") await log.yank(some.model, some.publisher);
    else if (some.kind === "grant") await log.grant(some.session, some.payer);
    else if (some.kind === "call") {
      const receipt = await callOf(log, some.call);
      receipts.push(receipt);
      if (some.call.model === "example/priced") payable.push(receipt);
    } else if (some.kind === "topup") {
      const { payer: to, source, funder, reference } = some;
      const changes = { source, reference: tagOf(`reference ${reference}`) };
      const own = funder === undefined ? {} : { funder: keyId(unsignedSigner(funder).spki) };
      await log.topUp(to, BigInt(some.amount), { ...changes, ...own });
    } else if (some.kind === "charge") {
      const { uncharged } = foldOf(log.entries).credits;
      const open = some.twice ? payable : payable.filter((id) => uncharged.has(keyOf(id)));
      const ids = open.slice(some.from % Math.max(1, open.length)).slice(0, 1 + some.count);
      const beside = { nothing: [], first: ids.slice(0, 1), unknown: [new Uint8Array(32)] }[some.beside];
      const amount = BigInt(some.amount ?? dueOf(log.entries, ids));
      if (ids.length > 0) await log.charge(some.payer, amount, [...ids, ...beside], some.gateway);
    } else if (some.kind === "refund") {
      const receipt = payable[some.receipt % Math.max(1, payable.length)] ?? new Uint8Array(32);
      await log.refund(some.payer, BigInt(some.amount), receipt, some.gateway);
    } else if (some.kind === "payout")
      await log.payOut(some.payee, BigInt(some.amount), tagOf(`reference ${some.reference}`));
    else if (some.kind === "affiliate") {
      await log.affiliate(some.one, [some.other]);
      if (some.isMutual) await log.affiliate(some.other, [some.one]);
    } else if (some.kind === "again") log.append(log.entries[some.entry % log.entries.length] ?? never());
    else if (some.kind === "epoch") {
      timeSeconds += some.days * DAY;
      await log.epoch(timeSeconds, Math.max(0, log.entries.length - some.lag));
    } else if (some.kind === "verify")
      await log.verify(some.by, receipts[some.receipt % Math.max(1, receipts.length)] ?? new Uint8Array(32));
    else if (some.kind === "rely" || some.kind === "reverse" || some.kind === "acknowledge") {
      const receipt = receipts[some.receipt % Math.max(1, receipts.length)] ?? new Uint8Array(32);
      if (some.kind === "rely") await log.rely(receipt, some.by);
      else if (some.kind === "reverse") await log.reverse(receipt, some.by);
      else await log.acknowledge(receipt, some.by);
    }
  }
  return log;
}

/** What receipts still come to, so that most charges are right. */
function dueOf(entries: readonly Entry[], ids: readonly Uint8Array[]): bigint {
  const { payments } = foldOf(entries).credits;
  return ids.reduce((sum, id) => {
    const payment = payments.get(keyOf(id));
    return payment === undefined ? sum : sum + payment.priceAtomic - payment.refundedAtomic;
  }, 0n);
}

function callOf(log: UsageLog, call: Call): Promise<Uint8Array> {
  const { nonce, decision, traffic, status, price, units, outputUnits, asker, ...rest } = call;
  const receipt = { status, price, units, ...(outputUnits === undefined ? {} : { outputUnits }) };
  const authorization = {
    traffic,
    maxPrice: rest.model === "example/priced" ? 20n : 5n,
    ...(nonce === undefined ? {} : { nonce }),
    ...(decision === undefined ? {} : { decision: new Uint8Array(16).fill(decision) }),
  };
  return log.call({ ...rest, ...(asker === undefined ? {} : { asker }), authorization, receipt });
}

function never(): never {
  throw new Error("a log starts with entries");
}

function foldOf(entries: readonly Entry[]): FoldState {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}

function figuresFor(entries: readonly Entry[]) {
  return figuresOf(foldOf(entries));
}

test("the fold gives the figures that the rules define, asked one by one of the whole log", async () => {
  await fc.assert(
    fc.asyncProperty(happenings, async (all) => {
      const { entries } = await logOf(all);
      expect(plainOf(figuresFor(entries))).toEqual(slowFigures(entries));
    }),
    RUNS,
  );
});

test("the fold gives the money that the rules define, asked one by one of all settlements", async () => {
  await fc.assert(
    fc.asyncProperty(dealings, async (all) => {
      const { entries } = await logOf(all);
      expect(plainOf(figuresFor(entries))).toEqual(slowFigures(entries));
    }),
    RUNS,
  );
});

test("whose money paid for each receipt is what the rules define, asked of all settlements", async () => {
  await fc.assert(
    fc.asyncProperty(dealings, async (all) => {
      const { entries } = await logOf(all);
      const { receipts } = foldOf(entries);
      const slow = new SlowMoney(entries, new SlowLog(entries).receipts().bills).fundings();
      const fundings = new Map([...slow.keys()].map((id) => [id, "free"]));
      for (const [id, { lane }] of receipts) if (lane.funding !== "free") fundings.set(hex(bytesOf(id)), lane.funding);
      expect(fundings).toEqual(slow);
    }),
    RUNS,
  );
});

test("the same entries give the same bytes of JSON, replayed from their bytes", async () => {
  await fc.assert(
    fc.asyncProperty(happenings, async (all) => {
      const { entries } = await logOf(all);
      const replayed = entries.map(({ signed }) => parseEntry(signed.bytes.slice()));
      expect(JSON.stringify(figuresFor(replayed))).toBe(JSON.stringify(figuresFor(entries)));
    }),
    RUNS,
  );
});

test("gross is never under valid, the strata add up, and days sum to the totals", async () => {
  await fc.assert(
    fc.asyncProperty(happenings, async (all) => {
      const { totals, days, models, exclusions } = figuresFor((await logOf(all)).entries);
      const excluded = Object.values(exclusions).reduce((sum, count) => sum + count, 0);
      expect(totals.gross).toBe(totals.valid + excluded);
      for (const { gross, valid, acknowledged, requesters } of [totals, ...days, ...models]) {
        expect(gross).toBeGreaterThanOrEqual(valid);
        expect(valid).toBeGreaterThanOrEqual(requesters);
        expect(totals.valid).toBeGreaterThanOrEqual(acknowledged);
      }
      const sum = (counts: readonly { gross: number }[]) => counts.reduce((all, { gross }) => all + gross, 0);
      expect(sum(days)).toBe(totals.gross);
      expect(sum(models)).toBeLessThanOrEqual(totals.gross); // What nobody published is no model.
      expect(totals.decisionsReliedOn).toBeLessThanOrEqual(totals.valid);
      const ofDays = days.reduce((all, { decisionsReliedOn }) => all + decisionsReliedOn, 0);
      expect(ofDays).toBe(totals.decisionsReliedOn);
    }),
    RUNS,
  );
});

/** Whether an entry that did nothing where it first stood can do nothing further on either. */
function isSettledAtFirst({ kind, says }: Entry): boolean {
  if (kind === "reliance" || kind === "acknowledgement" || kind === "policy") return false;
  return kind === "key" ? says.action === "enrol" : kind === "model" ? says.action === "publish" : true;
}

test("what enrols, publishes, grants, answers or dates changes the size and nothing else when it is logged again", async () => {
  await fc.assert(
    fc.asyncProperty(happenings, fc.array(fc.nat(), { minLength: 1, maxLength: 10 }), async (all, again) => {
      const { entries } = await logOf(all);
      const settled = entries.filter(isSettledAtFirst);
      const repeated = again.flatMap((some) => settled[some % settled.length] ?? []);
      const figures = figuresFor(entries);
      expect(figuresFor([...entries, ...repeated])).toEqual({ ...figures, size: figures.size + repeated.length });
    }),
    RUNS,
  );
});

/** What may show that a relier is of one party with who answered or checked. */
const JOINING: readonly Entry["kind"][] = ["grant", "receipt", "settlement", "affiliation", "verification"];

test("an entry later on never lowers gross or valid, nor decisions relied on but by a reversal, which takes one at most, or by joining reliers to sellers", async () => {
  await fc.assert(
    fc.asyncProperty(happenings, async (all) => {
      const fold = createFold();
      let before = figuresOf(fold).totals;
      for (const entry of (await logOf(all)).entries) {
        applyEntry(fold, entry);
        const { totals } = figuresOf(fold);
        for (const figure of ["gross", "valid", "acknowledged", "requesters"] as const)
          expect(totals[figure]).toBeGreaterThanOrEqual(before[figure]);
        const least = before.decisionsReliedOn - (entry.kind === "reversal" ? 1 : 0);
        if (!JOINING.includes(entry.kind)) expect(totals.decisionsReliedOn).toBeGreaterThanOrEqual(least);
        before = totals;
      }
    }),
    { numRuns: Math.ceil(RUNS.numRuns / 4) },
  );
});
