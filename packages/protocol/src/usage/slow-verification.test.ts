import fc from "fast-check";
import { expect, test } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { RUNS } from "../../../../test/runs.ts";
import { slowVerification, verificationOf } from "../../../../test/slow-verification.ts";
import { DAY, HOUR, JUDGE, MEASUREMENT, UsageLog, VENDOR_ROOT } from "../../../../test/usage-log.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { parseBase64 } from "../bytes.ts";
import { type Entry, parseEntry } from "../entry/entry.ts";
import { figuresOf } from "./figures.ts";
import { applyEntry } from "./fold.ts";
import { drawnFor, isDrawn, revealDue } from "./lots.ts";
import { bytesOf, createFold, type FoldState, keyOf } from "./state.ts";

function foldOf(entries: readonly Entry[]): FoldState {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}

/** Something that happens to a log with lots; numbers choose among what there is. */
type Happening =
  | { kind: "call"; node: string; session: string; model: string; openness: "lot" | "none"; isAsked: boolean }
  | { kind: "epoch"; afterSeconds: number; lag: number }
  | { kind: "reveal"; verifier: string }
  | { kind: "commit" | "retire"; verifier: string }
  | { kind: "work"; verifier: string; outcome: Outcome; count: number }
  | { kind: "check"; verifier: string; receipt: number; outcome: Outcome; method: "reexecution" | "forcing" | "proof" }
  | { kind: "dispute"; disputer: string; receipt: number }
  | { kind: "resolve"; dispute: number; outcome: "upheld" | "rejected" | "undecided" }
  | { kind: "appraise"; verifier: string; node: string; outcome: "passed" | "failed"; afterHours: number }
  | { kind: "refer"; action: "approve" | "withdraw"; publisher: string }
  | { kind: "revoke"; root: number; since: number | undefined };
type Outcome = "passed" | "failed" | "unopened" | "undecided";

const mostly = <T>(usual: T, ...others: T[]) =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(usual) }, { weight: 2, arbitrary: fc.constantFrom(...others) });
const verifier = mostly("one", "two", "two", "late");
const outcome = mostly<Outcome>("passed", "failed", "unopened", "undecided");
const rare: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({ kind: fc.constantFrom("commit" as const, "retire" as const), verifier }),
  fc.record({ kind: fc.constant("revoke" as const), root: fc.nat(), since: fc.option(fc.nat(30), { nil: undefined }) }),
  fc.record({
    kind: fc.constant("appraise" as const),
    verifier,
    node: mostly("node", "second node", "session"),
    outcome: mostly<"passed" | "failed">("passed", "failed"),
    afterHours: mostly(24, 1, 0),
  }),
  fc.record({
    kind: fc.constant("refer" as const),
    action: mostly<"approve" | "withdraw">("approve", "withdraw"),
    publisher: mostly("publisher", "second publisher"),
  }),
);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("call" as const),
      node: mostly("node", "second node", "one"),
      session: mostly("session", "second", "nobody's"),
      model: mostly("example/double", "example/other", "example/unpublished"),
      openness: mostly<"lot" | "none">("lot", "none"),
      isAsked: mostly(false, false, true),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("epoch" as const),
      afterSeconds: mostly(60, 0, 5 * HOUR, DAY, 25 * HOUR, -2 * HOUR),
      lag: mostly(0, 1, 3),
    }),
  },
  { weight: 9, arbitrary: fc.record({ kind: fc.constant("reveal" as const), verifier }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("work" as const), verifier, outcome, count: fc.nat(4) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("check" as const),
      verifier,
      receipt: fc.nat(),
      outcome,
      method: mostly<"reexecution" | "forcing" | "proof">("reexecution", "forcing", "proof"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("dispute" as const),
      disputer: mostly("disputer", "two"),
      receipt: fc.nat(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("resolve" as const),
      dispute: fc.nat(),
      outcome: fc.constantFrom("upheld" as const, "rejected" as const, "undecided" as const),
    }),
  },
  { weight: 2, arbitrary: rare },
);

const NOTHING = new Uint8Array(32);

/** The log of what happened. */
async function logOf(all: readonly Happening[]): Promise<UsageLog> {
  const log = await UsageLog.open();
  await log.enrol("second node", "node");
  await log.enrol("second publisher", "publisher");
  await log.enrol("disputer", "disputer");
  await log.enrol("referee", "referee");
  await log.publish("example/other");
  await log.grant("second");
  for (const name of ["one", "two", "late"]) await log.enrol(name, "verifier");
  await log.commitLot("one", 20);
  await log.commitLot("two", 3);
  await log.reference("publisher");
  let nowSeconds = NOON_SECONDS;
  await log.epoch(nowSeconds);
  const receipts: Uint8Array[] = [];
  const disputes: Uint8Array[] = [];
  const one = (ids: readonly Uint8Array[], at: number) => ids[at % Math.max(1, ids.length)] ?? NOTHING;
  const roots = () =>
    [
      ...["node", "second node", "gateway", "one", "two", "publisher", "referee"].map((name) => [
        "key",
        log.idOf(name),
      ]),
      ...[["judge", JUDGE] as const, ["release", MEASUREMENT] as const, ["vendor", VENDOR_ROOT] as const],
      ["ceremony", NOTHING],
    ] as ["key" | "judge" | "release" | "vendor" | "ceremony", Uint8Array][];
  for (const some of all) {
    if (some.kind === "call") {
      const { node, session, model, openness, isAsked } = some;
      const authorization = { openness, tier: isAsked ? "reexecuted" : "signed" } as const;
      receipts.push(await log.call({ node, session, model, authorization }));
    } else if (some.kind === "epoch") {
      nowSeconds += some.afterSeconds;
      await log.epoch(nowSeconds, log.entries.length - some.lag);
    } else if (some.kind === "reveal") {
      const [due] = revealDue(foldOf(log.entries), keyOf(log.idOf(some.verifier)));
      if (due !== undefined) await log.revealLot(some.verifier, due);
      else await log.reveal(some.verifier, log.entries.length - 1, NOTHING);
    } else if (some.kind === "commit" || some.kind === "retire") {
      if (some.kind === "commit") await log.commitLot(some.verifier, 3);
      else await log.enrol(some.verifier, "verifier", "retire");
    } else if (some.kind === "work") {
      const waiting = drawnFor(foldOf(log.entries), keyOf(log.idOf(some.verifier))).slice(0, 1 + some.count);
      for (const { receipt, epoch } of waiting)
        await log.verify(some.verifier, bytesOf(receipt), { outcome: some.outcome, epoch });
    } else if (some.kind === "check") {
      const { outcome, method } = some;
      const receipt = one(receipts, some.receipt);
      const ceremony = method === "proof" ? { ceremony: NOTHING } : {};
      const draw = some.receipt % 2 === 0 ? isDrawn(foldOf(log.entries), keyOf(receipt)) : undefined;
      const epoch = draw && { epoch: draw.epoch }; // Late, by another, or twice: whoever names it.
      await log.verify(some.verifier, receipt, { outcome, method, ...ceremony, ...epoch });
    } else if (some.kind === "dispute") disputes.push(await log.dispute(some.disputer, one(receipts, some.receipt)));
    else if (some.kind === "resolve") await log.resolve("referee", one(disputes, some.dispute), some.outcome);
    else if (some.kind === "appraise") {
      const expiry = nowSeconds + some.afterHours * HOUR;
      await log.appraise(some.verifier, some.node, { outcome: some.outcome, expiry });
    } else if (some.kind === "refer") await log.reference(some.publisher, { action: some.action });
    else if (some.kind === "revoke") {
      const [kind, root] = roots()[some.root % roots().length] ?? ["key", NOTHING];
      await log.revoke(kind, root, some.since === undefined ? undefined : NOON_SECONDS + some.since * HOUR);
    }
  }
  return log;
}

test.each(readVectors<Vector & { entries: string[] }>("usage/logs.json"))("$desc: as its definitions say", (vector) => {
  const entries = vector.entries.map((entry) => parseEntry(parseBase64(entry) ?? NOTHING));
  const figures = figuresOf(foldOf(entries));
  expect(verificationOf(figures)).toEqual(slowVerification(entries, figures));
});

const call = (node: string): Happening => ({
  kind: "call",
  ...{ node, session: "session", model: "example/double", openness: "lot", isAsked: false },
});
const epoch = (afterSeconds: number, lag = 0): Happening => ({ kind: "epoch", afterSeconds, lag });
/** A lot that waits a day for one verifier's reveal, and is closed after a younger one that waits for none of it. */
const CLOSED_OUT_OF_ORDER: Happening[] = [
  ...[call("node"), epoch(60), call("second node"), { kind: "reveal", verifier: "one" } as const],
  ...[epoch(25 * HOUR), epoch(60), call("node"), epoch(0, 1), epoch(0)],
  ...[
    { kind: "reveal", verifier: "one" } as const,
    { kind: "reveal", verifier: "one" } as const,
    call("node"),
    epoch(0),
  ],
  ...[{ kind: "reveal", verifier: "one" } as const, epoch(60), epoch(60)],
];

const said: Happening = { kind: "check", verifier: "one", receipt: 0, outcome: "passed", method: "reexecution" };
/** A drawn check that comes in time, and once more when the time for it is over. */
const ANSWERED_TWICE: Happening[] = [
  ...[
    call("node"),
    epoch(60),
    { kind: "reveal", verifier: "two" } as const,
    { kind: "reveal", verifier: "one" } as const,
  ],
  ...[{ kind: "work", verifier: "one", outcome: "passed", count: 0 } as const, epoch(25 * HOUR), said],
];

test("the fold gives the figures of verification that the rules define, asked one by one of the whole log", async () => {
  let drawn = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 50, size: "max" }), async (all) => {
      const { entries } = await logOf(all);
      const figures = figuresOf(foldOf(entries));
      drawn += figures.totals.verification.checked;
      expect(verificationOf(figures)).toEqual(slowVerification(entries, figures));
    }),
    { numRuns: Math.ceil(RUNS.numRuns / 2), examples: [[CLOSED_OUT_OF_ORDER], [ANSWERED_TWICE]] },
  );
  expect(drawn).toBeGreaterThan(0);
}, 600_000);
