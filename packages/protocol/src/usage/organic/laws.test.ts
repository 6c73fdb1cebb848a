import fc from "fast-check";
import { expect, test } from "vitest";
import { type Call, Market, tag } from "../../../../../test/market.ts";
import { NOON_SECONDS } from "../../../../../test/one-receipt.ts";
import { RUNS } from "../../../../../test/runs.ts";
import type { Judgement } from "../judgement.ts";
import type { Lane } from "../lanes.ts";
import type { Key } from "../state.ts";
import { WASH_RULES, type WashRules } from "../wash-rules.ts";

/** Thresholds that a small market meets. */
const RULES: WashRules = {
  ...WASH_RULES,
  fewestClusters: 3,
  diversifiedModels: 3,
  cohort: { ...WASH_RULES.cohort, fewest: 3, timesEven: 1 },
};
const MODELS = ["one", "two", "three", "own"];
const PAYERS = ["a", "b", "c", "d", "e", "f", "g", "h"];
const PURSE_ATOMIC = 2_000_000n;

type Gift = { owner: string; payer: string; amountAtomic: bigint };
type Acts = { calls: Call[]; gifts: Gift[] };
type Options = { payers?: readonly string[]; models?: readonly string[]; owners?: readonly string[] };

/** Who calls what of whom, and what sellers' owners give to payers. Each model is served by a node of its own owner. */
function anyActs({ payers = PAYERS, models = MODELS, owners = models }: Options = {}): fc.Arbitrary<Acts> {
  const call = fc.record({
    payer: fc.constantFrom(...payers),
    model: fc.constantFrom(...models),
    calls: fc.constantFrom(1, 10, 11, 12, 500),
    minute: fc.constantFrom(0, 10, 20, 300),
  });
  const gift = fc.record({
    owner: fc.constantFrom(...owners),
    payer: fc.constantFrom(...payers),
    amountAtomic: fc.constantFrom(1n, 900n, 60_000n),
  });
  return fc.record({
    calls: fc.array(call, { maxLength: 30 }).map((calls) =>
      calls.map(({ model, minute, ...rest }) => ({
        ...rest,
        model,
        node: `node ${model}`,
        atSeconds: NOON_SECONDS + 60 * minute,
      })),
    ),
    gifts: fc.array(gift, { maxLength: 8 }),
  });
}

/** `owned`: what the owner of each model's publisher owns besides. */
function marketOf({ calls, gifts }: Acts, owned: "its node" | "no node" = "its node"): Market {
  const market = new Market();
  for (const model of MODELS) {
    market.publish(model, `publisher ${model}`);
    market.enrol(`node ${model}`, "node");
    if (owned === "its node") market.affiliate(`owner ${model}`, `node ${model}`);
    market.affiliate(`owner ${model}`, `publisher ${model}`);
  }
  for (const payer of PAYERS) {
    market.grant(payer);
    market.fund(payer, `purse ${payer}`, PURSE_ATOMIC);
  }
  for (const { owner, payer, amountAtomic } of gifts) market.fund(payer, `owner ${owner}`, amountAtomic);
  for (const call of calls) market.call(call);
  return market;
}

/** What each lane is, by payer and model. */
function labelsOf(market: Market, nameOf: (payer: Key) => Key = (payer) => payer): Map<string, string> {
  const judgement = market.judge(undefined, RULES);
  return new Map(
    lanesOf(market).map((lane) => [nameOf(lane.payer) + lane.model, judgement.labels.get(lane) ?? "organic"]),
  );
}

function lanesOf(market: Market): Lane[] {
  return [...market.fold.demand.lanes.values()];
}

const isOrganic = ([, label]: [string, string]) => label === "organic";

test("who splits into many payers, of one key or of one purse, changes no label and no number of clusters", () => {
  const splits = fc.array(fc.nat(3), { minLength: 30, maxLength: 30 });
  fc.assert(
    fc.property(anyActs(), splits, fc.boolean(), (acts, parts, byKey) => {
      const whole = marketOf(acts);
      const names = ["a", "a 1", "a 2", "a 3"];
      const split = marketOf({ ...acts, calls: [] });
      for (const name of names.slice(1)) {
        split.grant(name, byKey ? { key: "key of a" } : {});
        split.fund(name, byKey ? `purse ${name}` : "purse a", PURSE_ATOMIC);
      }
      for (const [i, call] of acts.calls.entries())
        split.call(call.payer === "a" ? { ...call, payer: names[parts[i] ?? 0] ?? "a" } : call);
      const joined = new Map(names.map((name) => [tag(name), tag("a")]));
      expect(labelsOf(split, (payer) => joined.get(payer) ?? payer)).toEqual(labelsOf(whole));
      expect(clustersOf(split)).toEqual(clustersOf(whole));
    }),
    RUNS,
  );
});

/** The payer clusters of each model. */
function clustersOf(market: Market): Set<string> {
  const { clusterOf } = market.judge(undefined, RULES);
  return new Set(lanesOf(market).map(({ payer, model }) => clusterOf(payer) + model));
}

test("wash traffic on one's own model takes nothing organic from a rival, whose customers the washers may be as well", () => {
  const washers = ["a", "b", "c"];
  const wash = anyActs({ payers: washers, models: ["own"] });
  const base = anyActs({ models: ["one", "two"], owners: ["own"] });
  fc.assert(
    fc.property(base, wash, ({ calls, gifts }, washed) => {
      const honest = { calls, gifts: gifts.filter(({ payer }) => washers.includes(payer)) };
      const before = labelsOf(marketOf(honest));
      const after = labelsOf(
        marketOf({ calls: [...calls, ...washed.calls], gifts: [...honest.gifts, ...washed.gifts] }),
      );
      for (const [name] of [...before].filter(isOrganic)) expect(after.get(name)).toBe("organic");
    }),
    RUNS,
  );
});

test("gifts to payers who had money worth naming before change nobody's label", () => {
  const gifts = fc.array(fc.tuple(fc.constantFrom(...PAYERS), fc.constantFrom(1n, 60_000n, 9_000_000n)));
  fc.assert(
    fc.property(anyActs(), gifts, (acts, given) => {
      const market = marketOf(acts);
      const before = labelsOf(market);
      for (const [payer, amountAtomic] of given) market.fund(payer, "a stranger", amountAtomic);
      expect(labelsOf(market)).toEqual(before);
    }),
    RUNS,
  );
});

test("whatever others do, publishers among them, nobody is in a closed cluster at a node whose owner gives nobody money", () => {
  const welcomes = fc.array(fc.tuple(fc.constantFrom(...MODELS), fc.constantFrom(...MODELS, "a", "b")));
  fc.assert(
    fc.property(anyActs(), welcomes, (acts, welcomed) => {
      const market = marketOf(acts, "no node");
      for (const [i, [model, giver]] of welcomed.entries()) {
        // A new payer of the node's own owner, whose first money is another's.
        market.affiliate(`key of staff ${i}`, `node ${model}`);
        market.grant(`staff ${i}`);
        market.fund(`staff ${i}`, giver.length === 1 ? `purse ${giver}` : `owner ${giver}`, PURSE_ATOMIC);
      }
      expect([...labelsOf(market).values()]).not.toContain("closed_cluster");
    }),
    RUNS,
  );
});

test("the order of what is at one time changes nothing", () => {
  fc.assert(
    fc.property(anyActs(), fc.infiniteStream(fc.nat()), (acts, ranks) => {
      const shuffled = acts.calls
        .map((call) => ({ call, rank: ranks.next().value ?? 0 }))
        .sort((a, b) => a.rank - b.rank)
        .map(({ call }) => call);
      expect(labelsOf(marketOf({ ...acts, calls: shuffled }))).toEqual(labelsOf(marketOf(acts)));
    }),
    RUNS,
  );
});

test("what is floor is organic, what is organic has no label, and both are of the day", () => {
  fc.assert(
    fc.property(anyActs(), (acts) => {
      const market = marketOf(acts);
      const { labels, floor }: Judgement = market.judge(undefined, RULES);
      for (const lane of floor) expect([labels.get(lane), lanesOf(market).includes(lane)]).toEqual([undefined, true]);
    }),
    RUNS,
  );
});

test("no payer of many models that nothing is said against is in a closed cluster or a cohort, whatever others do", () => {
  fc.assert(
    fc.property(anyActs(), (acts) => {
      const market = marketOf(acts);
      const { labels, clusterOf } = market.judge(undefined, RULES);
      const company = (lane: Lane) => ["closed_cluster", "cohort"].includes(labels.get(lane) ?? "");
      const fair = (lane: Lane) => company(lane) || [undefined, "too_few"].includes(labels.get(lane));
      for (const payer of PAYERS) {
        const own = lanesOf(market).filter((lane) => clusterOf(lane.payer) === clusterOf(tag(payer)));
        if (own.filter(fair).length >= RULES.diversifiedModels) expect(own.filter(company)).toEqual([]);
      }
    }),
    RUNS,
  );
});

test("these markets are not all honest: every rule of the log's own evidence finds something in them", () => {
  const found = new Set<string>();
  fc.assert(
    fc.property(anyActs(), (acts) => {
      for (const label of labelsOf(marketOf(acts)).values()) found.add(label);
    }),
    { seed: 1, numRuns: 400 },
  );
  expect([...found].sort()).toEqual(["closed_cluster", "cohort", "organic", "recirculated", "too_few"]);
});
