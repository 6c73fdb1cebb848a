import { expect, test } from "vitest";
import { Market } from "../../../../../test/market.ts";
import { NOON_SECONDS } from "../../../../../test/one-receipt.ts";
import { RECEIPT_UNITS } from "../../limits.ts";
import { dayOf } from "../day.ts";
import { draftOf, takeDay } from "./series.ts";

/** Receipts of the most units that come to 2^53 between them. */
const TOO_MANY = 2 ** 53 / RECEIPT_UNITS;

/** The units of the network and of each model on a day on which a model has so many receipts of the most units, and another one of one. */
function unitsWith(receipts: number) {
  const market = new Market();
  for (const model of ["large", "small"]) market.publish(model, "publisher");
  market.call({ payer: "alice", model: "large", calls: receipts, units: RECEIPT_UNITS });
  market.call({ payer: "bob", model: "small" });
  const day = dayOf(NOON_SECONDS);
  const [series = expect.unreachable()] = market.fold.series;
  const { groups } = takeDay(market.fold, draftOf(series), day, market.judge());
  const of = (by: string) => groups.find((group) => group.per === "day" && group.by === by)?.rows ?? {};
  const valid = (row: (typeof groups)[number]["rows"][string] | undefined) => row?.units?.[1];
  return { network: valid(of("network")[""]), models: Object.values(of("model")).map(valid).sort() };
}

test("units add up exactly, however many receipts have the most that one may have: over 2^53 a sum is a text", () => {
  expect(unitsWith(TOO_MANY)).toEqual({ network: "9007199254740993", models: [1, "9007199254740992"] });
  const fewer = 2 ** 53 - RECEIPT_UNITS;
  expect(unitsWith(TOO_MANY - 1)).toEqual({ network: fewer + 1, models: [1, fewer] });
});
