import { expect, test } from "vitest";
import { addHonest, idOf, labelsOf, Market, marketWith, tag } from "../../../../../test/market.ts";
import { NOON_SECONDS } from "../../../../../test/one-receipt.ts";
import { dayOf, OPEN_DAY } from "../day.ts";
import type { Lane } from "../lanes.ts";
import { WASH_RULES } from "../wash-rules.ts";
import { irrecoverablePerMille, isEligibleRelier } from "./reliers.ts";

const DAY = 86_400;
const RICH = 100_000_000n;

test("300 calls of 60 payers with their own money are organic; 10,000 of one key, or of 60 free keys, are not", () => {
  const market = new Market();
  for (const model of ["bought", "by one", "free"]) market.publish(model, "publisher");
  const bought = addHonest(market, "bought", 60, 5);
  market.fund("one", "purse of one", RICH);
  const byOne = market.call({ payer: "one", model: "by one", calls: 10_000 });
  const free = Array.from({ length: 60 }, (_, i) =>
    market.call({ payer: `free ${i}`, model: "free", calls: 167, funding: "free" }),
  );
  expect(labelsOf(market, bought)).toEqual(new Set(["organic"]));
  expect(market.labelOf(byOne)).toBe("too_few");
  expect(labelsOf(market, free)).toEqual(new Set(["free"]));
});

test("money that is an operator's, or of nobody who is named, is no demand, nor is that of an anonymous payer judged", () => {
  const market = marketWith("model");
  market.grant("hidden", { tagMode: "anonymous" });
  expect(market.labelOf(market.call({ payer: "a", model: "model", funding: "subsidised" }))).toBe("subsidised");
  expect(market.labelOf(market.call({ payer: "b", model: "model", funding: "unattributed" }))).toBe("unattributed");
  expect(market.labelOf(market.call({ payer: "hidden", model: "model" }))).toBe("anonymous");
});

test("a payer whose session key is the node's, the publisher's or the gateway's is the seller itself", () => {
  for (const key of ["node", "publisher of model", "gateway"]) {
    const market = marketWith("model");
    market.grant("self", { key });
    expect(market.labelOf(market.call({ payer: "self", model: "model" }))).toBe("same_key");
  }
});

test("a declaration of common ownership joins nobody until the other declares it, too", () => {
  const market = marketWith("model");
  const lane = market.call({ payer: "payer", model: "model" });
  market.declare("key of payer", "node");
  expect(market.labelOf(lane)).toBe("organic");
  market.declare("node", "key of payer");
  expect(market.labelOf(lane)).toBe("declared_owner");
});

test("a payer that the seller's party funded first is the seller's; one that it gives to later is not", () => {
  const market = marketWith("model");
  market.affiliate("owner", "node");
  market.fund("kept", "owner", 2_000_000n);
  market.fund("own", "purse", 2_000_000n);
  market.fund("own", "owner", 10n);
  expect(market.labelOf(market.call({ payer: "kept", model: "model" }))).toBe("common_funder");
  expect(market.labelOf(market.call({ payer: "own", model: "model", calls: 10_000 }))).toBe("organic");
});

test("of the links that make a payer the seller the strongest is named, and a chain is as strong as its weakest link", () => {
  const market = marketWith("model");
  market.affiliate("owner", "node");
  market.fund("payer", "owner", 2_000_000n);
  const lane = market.call({ payer: "payer", model: "model" });
  expect(market.labelOf(lane)).toBe("common_funder");
  market.affiliate("key of payer", "owner");
  expect(market.labelOf(lane)).toBe("declared_owner");
  market.grant("payer", { key: "node" });
  expect(market.labelOf(lane)).toBe("same_key");
});

test("a stranger's dust before the first money worth naming does not make a payer the stranger's", () => {
  const market = marketWith("model");
  market.fund("payer", "stranger", 1n);
  market.fund("payer", "purse", 5_000_000n);
  market.fund("payer", "a later one", 5_000_000n);
  market.fund("other", "stranger", 1n);
  market.fund("small", "stranger", 1n);
  market.fund("small", "a later one", 1n);
  const { clusterOf } = market.judge();
  expect(clusterOf(tag("payer"))).toBe(clusterOf(idOf("purse")));
  expect(clusterOf(tag("payer"))).not.toBe(clusterOf(tag("other")));
  expect(clusterOf(tag("small"))).toBe(clusterOf(tag("other")));
});

test("an operator's welcome money is nobody's first, and payers of one exchange are no cluster where the rules know it", () => {
  const market = new Market();
  for (const payer of ["one", "two"]) {
    market.fund(payer, "node", 9_000_000n);
    market.fund(payer, "exchange", 9_000_000n);
  }
  const shared = { ...WASH_RULES, sharedFunders: [Buffer.from(idOf("exchange"), "latin1").toString("hex")] };
  const isOne = (rules = WASH_RULES) => {
    const { clusterOf } = market.judge(undefined, rules);
    return clusterOf(tag("one")) === clusterOf(tag("two"));
  };
  expect([isOne(), isOne(shared)]).toEqual([true, false]);
});

test("a cluster is named by the payer of its first grant, and keeps its name when others join", () => {
  const market = new Market();
  market.grant("first", { key: "shared" });
  market.grant("another");
  market.grant("second", { key: "shared" });
  market.call({ payer: "second", model: "model" });
  expect(market.judge().clusterOf(tag("second"))).toBe(tag("first"));
  market.affiliate("shared", "key of another");
  for (const member of [tag("another"), idOf("shared")]) expect(market.judge().clusterOf(member)).toBe(tag("first"));
  expect(market.judge().clusterOf(tag("nobody"))).toBe(tag("nobody"));
});

test("whoever has other payers' keys granted to itself joins nobody, before such a key signs a call in its session", () => {
  const market = marketWith("model");
  const rivals = addHonest(market, "small", 12);
  const keys = rivals.map((_, i) => `key of honest small ${i}`);
  for (const key of keys) market.grant("attacker", { key });
  expect(labelsOf(market, rivals)).toEqual(new Set(["organic"]));
  expect(market.judge().clusterOf(tag("honest small 0"))).toBe(tag("honest small 0"));
  market.call({ payer: "attacker", model: "small" }); // By the last of those keys.
  const { clusterOf } = market.judge();
  expect(clusterOf(tag("attacker"))).toBe(tag("honest small 11"));
  expect(clusterOf(idOf("key of honest small 10"))).toBe(tag("honest small 10"));
});

test("what came back to its payer by half is no demand, straight, over another or over two, and not over three", () => {
  const pay = (hops: number, amountAtomic: bigint) => {
    const market = marketWith("model");
    market.fund("payer", "purse", RICH);
    const lane = market.call({ payer: "payer", model: "model", calls: 1_000 });
    // The node's party gives 70 % of the price on to a payer, which gives it on.
    market.affiliate("owner", "node");
    for (let hop = 1; hop <= hops; hop++) {
      market.fund(`mule ${hop}`, `purse of ${hop}`, 2_000_000n);
      market.affiliate(`out ${hop}`, `key of mule ${hop}`);
      market.grant(`mule ${hop}`);
    }
    for (let hop = 0; hop <= hops; hop++)
      market.fund(hop === hops ? "payer" : `mule ${hop + 1}`, hop === 0 ? "owner" : `out ${hop}`, amountAtomic);
    return market.labelOf(lane);
  };
  expect([0, 1, 2, 3].map((hops) => pay(hops, 50_000n))).toEqual([
    "recirculated",
    "recirculated",
    "recirculated",
    "organic",
  ]);
  expect([0, 1, 2].map((hops) => pay(hops, 49_999n))).toEqual(["organic", "organic", "organic"]);
});

test("washers who pay one another's models and fund one another's payers are found out", () => {
  const market = marketWith("one", "two");
  for (const [at, other] of [
    ["one", "two"],
    ["two", "one"],
  ]) {
    market.enrol(`node ${at}`, "node");
    market.affiliate(`owner ${at}`, `node ${at}`);
    market.affiliate(`owner ${at}`, `publisher of ${at}`);
    market.fund(`payer ${at}`, `purse ${at}`, 1_000_000n);
    market.fund(`payer ${other}`, `owner ${at}`, 60_000n);
  }
  const lanes = ["one", "two"].map((at) =>
    market.call({ payer: `payer ${at}`, model: at, node: `node ${at}`, calls: 1_000 }),
  );
  expect(labelsOf(market, lanes)).toEqual(new Set(["recirculated"]));
});

test("what came back once does not count against each of two trades with one seller", () => {
  const market = marketWith("one", "two");
  market.affiliate("owner", "node");
  market.fund("payer", "purse", RICH);
  const lanes = ["one", "two"].map((model) => market.call({ payer: "payer", model, calls: 1_000 }));
  market.fund("payer", "owner", 60_000n);
  expect(labelsOf(market, lanes)).toEqual(new Set(["organic"]));
  market.fund("payer", "owner", 40_000n);
  expect(labelsOf(market, lanes)).toEqual(new Set(["recirculated"]));
});

test("money that came back before the window, after the judged day is closed, or from an operator, is not counted", () => {
  const cameBack = (atSeconds: number, funder = "owner") => {
    const market = marketWith("model");
    market.affiliate("owner", "node");
    market.fund("payer", "purse", RICH);
    const lane = market.call({ payer: "payer", model: "model", calls: 1_000 });
    market.fund("payer", funder, 90_000n, atSeconds);
    return market.labelOf(lane);
  };
  const midnight = NOON_SECONDS - (NOON_SECONDS % DAY);
  const edges = [midnight - 29 * DAY - 1, midnight - 29 * DAY, midnight + 2 * DAY - 1, midnight + 2 * DAY];
  expect(edges.map((at) => cameBack(at))).toEqual(["organic", "recirculated", "recirculated", "organic"]);
  expect(cameBack(NOON_SECONDS, "node")).toBe("organic");
});

/** Payers of their own money who begin `apart` seconds from one another and call as often as `calls` says. */
function addStarters(market: Market, count: number, apart: number, calls: (i: number) => number): Lane[] {
  return Array.from({ length: count }, (_, i) => {
    market.fund(`farm ${i}`, `purse of farm ${i}`, 5_000_000n);
    const atSeconds = NOON_SECONDS + Math.floor(i * apart);
    return market.call({ payer: `farm ${i}`, model: "model", calls: calls(i), atSeconds });
  });
}

test("ten payers who came within half an hour and call alike are a cohort, and nobody else of the model is in it", () => {
  const market = marketWith("model");
  const honest = [...market.fold.demand.lanes.values()];
  const farm = addStarters(market, 60, 25, (i) => 40 + (i % 7));
  expect(labelsOf(market, farm)).toEqual(new Set(["cohort"]));
  expect(labelsOf(market, honest)).toEqual(new Set(["organic"]));
});

test("a cohort's units a call are those of input and output together, as its node states them", () => {
  const starters = (countsOf: (i: number) => { units: number; outputUnits: number }) => {
    const market = marketWith("model");
    const farm = Array.from({ length: 30 }, (_, i) => {
      market.fund(`farm ${i}`, `purse ${i}`, 5_000_000n);
      return market.call({
        payer: `farm ${i}`,
        model: "model",
        calls: 40,
        atSeconds: NOON_SECONDS + i,
        ...countsOf(i),
      });
    });
    return labelsOf(market, farm);
  };
  expect(starters((i) => (i % 2 === 0 ? { units: 64, outputUnits: 1 } : { units: 1, outputUnits: 64 }))).toEqual(
    new Set(["cohort"]),
  );
  expect(starters((i) => ({ units: 1, outputUnits: 8 ** (i % 4) }))).toEqual(new Set(["organic"]));
});

test("a payer of twenty other models is in no cohort, and those it came with are", () => {
  const models = Array.from({ length: 20 }, (_, i) => `model ${i}`);
  const market = marketWith("model", ...models);
  const farm = addStarters(market, 30, 25, () => 40);
  for (const model of models) market.call({ payer: "farm 3", model });
  const { labels } = market.judge();
  expect(farm.map((lane) => labels.get(lane) === "cohort")).toEqual(farm.map((_, i) => i !== 3));
});

test("payers who begin to buy elsewhere as well make no cohort of those whom they came with", () => {
  const models = Array.from({ length: 20 }, (_, i) => `model ${i}`);
  const market = marketWith("model", ...models);
  const lanes = addStarters(market, 40, 7, (i) => (i < 12 ? 4_000 : 40));
  expect(labelsOf(market, lanes)).toEqual(new Set(["organic"]));
  for (const model of models) for (let i = 0; i < 12; i++) market.call({ payer: `farm ${i}`, model });
  expect(labelsOf(market, lanes)).toEqual(new Set(["organic"]));
});

test("payers who came together and call unlike one another, or call alike and came one after another, are no cohort", () => {
  const unlike = marketWith("model");
  expect(
    labelsOf(
      unlike,
      addStarters(unlike, 30, 25, (i) => 1 + i * i),
    ),
  ).toEqual(new Set(["organic"]));
  // Two kinds, each within a factor of two of the few between them.
  const twofold = marketWith("model");
  expect(
    labelsOf(
      twofold,
      addStarters(twofold, 30, 9, (i) => (i < 14 ? 20 : i < 16 ? 40 : 80)),
    ),
  ).toEqual(new Set(["organic"]));
  const scattered = marketWith("model");
  expect(
    labelsOf(
      scattered,
      addStarters(scattered, 30, 400, () => 40),
    ),
  ).toEqual(new Set(["organic"]));
  const nine = marketWith("model");
  expect(
    labelsOf(
      nine,
      addStarters(nine, 9, 25, () => 40),
    ),
  ).toEqual(new Set(["organic"]));
});

test("of a model that hundreds come to each hour, those who come in one half hour are no cohort", () => {
  const market = new Market();
  market.publish("model", "publisher");
  const lanes = addHonest(market, "model", 3_000, 1);
  expect(labelsOf(market, lanes)).toEqual(new Set(["organic"]));
});

test("one more of the other kind does not hide a cohort", () => {
  const market = marketWith("model");
  const farm = addStarters(market, 30, 25, (i) => (i === 3 ? 100_000 : 40));
  const { labels } = market.judge();
  expect(farm.map((lane) => labels.get(lane) === "cohort")).toEqual(farm.map((_, i) => i !== 3));
});

test("a model with nine payer clusters is too small to judge, however many tags they have, and one with ten is not", () => {
  const label = (clusters: number) => {
    const market = new Market();
    market.publish("model", "publisher");
    const lanes = addHonest(market, "model", clusters);
    for (const i of [0, 1, 2]) {
      market.grant(`tag ${i}`, { key: "key of honest model 0" });
      lanes.push(market.call({ payer: `tag ${i}`, model: "model" }));
    }
    return [...labelsOf(market, lanes)];
  };
  expect([label(9), label(10)]).toEqual([["too_few"], ["organic"]]);
});

test("whoever starts nine purses beside a newcomer labels it, and nobody else; nor is any number of them more than one payer", () => {
  for (const [honest, purses, label] of [
    [9, 10, "organic"],
    [8, 10, "too_few"],
    [8, 40, "too_few"],
  ] as const) {
    const market = new Market();
    market.publish("model", "publisher");
    const others = addHonest(market, "model", honest, 4_000);
    const beside = addStarters(market, purses, 25, () => 40);
    expect(labelsOf(market, beside)).toEqual(new Set(["cohort"]));
    expect(labelsOf(market, others)).toEqual(new Set([label]));
  }
});

test("who bought of a model before the window or after the judged day is not counted for it", () => {
  const label = (days: number) => {
    const market = new Market();
    market.publish("model", "publisher");
    const lanes = addHonest(market, "model", 9);
    market.call({ payer: "tenth", model: "model", atSeconds: NOON_SECONDS + days * DAY });
    return [...labelsOf(market, lanes)];
  };
  expect([-30, -29, 0, 1].map(label)).toEqual([["too_few"], ["organic"], ["organic"], ["too_few"]]);
});

test("thirty days of one payer with a tag a day are one payer", () => {
  const label = (scoped: number) => {
    const market = new Market();
    market.publish("model", "publisher");
    const lanes = addHonest(market, "model", 7);
    for (let day = 0; day < 30; day++)
      for (let i = 0; i < scoped; i++) {
        const payer = `scoped ${day} ${i}`;
        market.grant(payer, { tagMode: "scoped" });
        lanes.push(market.call({ payer, model: "model", atSeconds: NOON_SECONDS - day * DAY }));
      }
    return market.labelOf(lanes[0] ?? market.call({ payer: "nobody", model: "model" }));
  };
  expect([label(2), label(3)]).toEqual(["too_few", "organic"]);
});

test("what a referee overruled stands on that day, but for whose money it was", () => {
  const market = marketWith("model");
  market.grant("self", { key: "node" });
  const lane = market.call({ payer: "self", model: "model" });
  const free = market.call({ payer: "self", model: "model", funding: "free" });
  for (const own of [lane, free]) market.addReceipt(own, `receipt ${own.funding}`);
  expect(market.labelOf(lane)).toBe("same_key");
  for (const id of market.fold.receipts.keys()) market.fold.demand.overruled.add(id);
  expect([market.labelOf(lane), market.labelOf(free)]).toEqual(["organic", "free"]);
  const nextDay = market.call({ payer: "self", model: "model", atSeconds: NOON_SECONDS + DAY });
  expect(market.labelOf(nextDay, dayOf(NOON_SECONDS + DAY))).toBe("same_key");
});

test("floor is what leaves for good: not where the gateway is the payer's or the seller's, nor where its share is nothing", () => {
  const market = marketWith("model");
  for (const payer of ["outside", "inside", "cheap"]) market.fund(payer, `purse of ${payer}`, RICH);
  market.enrol("own gateway", "gateway");
  market.affiliate("own gateway", "node");
  market.grant("inside", { gateway: "own gateway" });
  const outside = market.call({ payer: "outside", model: "model" });
  const inside = market.call({ payer: "inside", model: "model" });
  const cheap = market.call({ payer: "cheap", model: "model", priceAtomic: 9n });
  const judgement = market.judge();
  expect([outside, inside, cheap].map((lane) => judgement.labels.get(lane))).toEqual([undefined, undefined, undefined]);
  expect([outside, inside, cheap].map((lane) => judgement.floor.has(lane))).toEqual([true, false, false]);
  expect([outside, inside].map((lane) => irrecoverablePerMille(market.fold, judgement, lane))).toEqual([100, 0]);
});

test("a relier in the cluster of the receipt's node, its publisher or its verifier counts for nothing", () => {
  const market = marketWith("model");
  market.addReceipt(market.call({ payer: "payer", model: "model" }), "receipt");
  const check = {
    method: "reexecution",
    outcome: "passed",
    drawn: true,
    judge: undefined,
    ceremony: undefined,
  } as const;
  const counted = {
    drawn: undefined,
    unopened: false,
    undecided: false,
    omitted: false,
    requested: undefined,
    upheld: false,
  };
  const checks = [{ ...check, verifier: idOf("verifier") }];
  market.fold.proofs.examinations.set("receipt", { draw: undefined, checks, disputes: [], rulings: [], counted });
  const parties = ["node", "publisher of model", "verifier", "stranger"];
  for (const party of parties) market.affiliate(party, `relier of ${party}`);
  const judgement = market.judge();
  const eligible = (party: string) =>
    isEligibleRelier(market.fold, judgement, { relier: idOf(`relier of ${party}`), receipt: "receipt" });
  expect(parties.map(eligible)).toEqual([false, false, false, true]);
});

test("the open day is judged by what no epoch covers yet together with the days before", () => {
  const market = marketWith("model");
  const lane = market.call({ payer: "honest model 0", model: "model" });
  const facts = market.fold.demand.facts.get(dayOf(NOON_SECONDS)) ?? new Map();
  market.fold.demand.facts.set(OPEN_DAY, new Map([[lane, facts.get(lane) ?? []]]));
  expect(market.labelOf(lane, OPEN_DAY)).toBe("organic");
  expect(market.judge(OPEN_DAY).floor).toEqual(new Set([lane]));
});
