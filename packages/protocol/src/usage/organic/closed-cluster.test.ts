import { expect, test } from "vitest";
import { idOf, marketWith } from "../../../../../test/market.ts";

const RICH = 100_000_000n;

test("who buys nearly all of a seller whose income goes round is in its closed cluster; of a seller who returns nothing, nobody is", () => {
  const market = marketWith("washed", "rival");
  market.enrol("washer", "node");
  market.affiliate("owner", "washer");
  for (const payer of ["loop", "beside"]) market.fund(payer, `purse of ${payer}`, RICH);
  market.call({ payer: "loop", model: "washed", node: "washer", calls: 2_000_000 });
  market.fund("loop", "owner", 199_000_000n);
  const beside = market.call({ payer: "beside", model: "washed", node: "washer", calls: 1_000 });
  expect(market.labelOf(beside)).toBe("closed_cluster");
  // The washer's payer buys nearly all that the rival sells, which makes neither the rival's payers suspect nor itself there.
  const poison = market.call({ payer: "loop", model: "rival", calls: 100_000 });
  const { labels } = market.judge();
  const ofRival = [...market.fold.demand.lanes.values()].filter(({ model }) => model === idOf("rival"));
  expect(ofRival.map((lane) => labels.get(lane))).toEqual(ofRival.map(() => undefined));
  expect(ofRival).toContain(poison);
});

test("a publisher that gives its buyers' money back makes nobody suspect who buys of the node that serves it", () => {
  const market = marketWith("washed", "rival");
  market.affiliate("owner", "publisher of washed");
  for (const payer of ["loop", "beside"]) market.fund(payer, `purse of ${payer}`, RICH);
  const loop = market.call({ payer: "loop", model: "washed", calls: 2_000_000 });
  market.fund("loop", "owner", 199_000_000n);
  const beside = market.call({ payer: "beside", model: "rival", calls: 1_000 });
  expect([loop, beside].map((lane) => market.labelOf(lane))).toEqual(["recirculated", "organic"]);
});

test("a credit to a node's own new payer makes its giver's purchases none of the node's, for whoever else buys of it", () => {
  const market = marketWith("model");
  market.affiliate("key of staff", "node");
  market.grant("staff");
  market.fund("staff", "stranger", 1_000_000n);
  market.fund("bulk", "stranger", RICH);
  const bulk = market.call({ payer: "bulk", model: "model", calls: 2_000_000 });
  market.fund("beside", "purse of beside", RICH);
  const beside = market.call({ payer: "beside", model: "model", calls: 1_000 });
  expect([bulk, beside].map((lane) => market.labelOf(lane))).toEqual(["common_funder", "organic"]);
});

test("a payer of twenty models that nothing is said against is judged by nobody's company", () => {
  const models = Array.from({ length: 20 }, (_, i) => `model ${i}`);
  const label = (bought: number) => {
    const market = marketWith(...models, "washed");
    market.enrol("washer", "node");
    market.affiliate("owner", "washer");
    for (const payer of ["loop", "beside"]) market.fund(payer, `purse of ${payer}`, RICH);
    market.call({ payer: "loop", model: "washed", node: "washer", calls: 2_000_000 });
    market.fund("loop", "owner", 199_000_000n);
    for (const model of models.slice(0, bought)) market.call({ payer: "beside", model });
    return market.labelOf(market.call({ payer: "beside", model: "washed", node: "washer", calls: 100_000 }));
  };
  expect([label(18), label(19)]).toEqual(["closed_cluster", "organic"]);
});
