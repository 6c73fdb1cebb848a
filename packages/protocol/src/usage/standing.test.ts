import { expect, test } from "vitest";
import { LABELS } from "./judgement.ts";
import { LABEL_TEXTS, standingOf, type Use } from "./standing.ts";

const use = (gross: number, valid: number, requesters: number, demand: Partial<Use["demand"]> = {}): Use => ({
  ...{ gross, valid, requesters, demand: { organic: 0, labels: {}, payingParties: 0, ...demand } },
});

test("ten thousand calls from one key, or from sixty free ones, say in a sentence why they are no demand", () => {
  expect(standingOf(use(10_000, 10_000, 1, { labels: { too_few: 10_000 }, payingParties: 1 }))).toBe(
    "10,000 calls, all from one key: too few to judge",
  );
  expect(standingOf(use(10_000, 10_000, 60, { labels: { free: 10_000 } }))).toBe(
    "10,000 calls from 60 keys: all free of charge, which shows no demand",
  );
  expect(standingOf(use(300, 300, 60, { organic: 300, payingParties: 60 }))).toBe(
    "300 calls from 60 keys: all that are valid are organic",
  );
});

test("of several reasons the largest come first, and what is not said is counted", () => {
  const labels = { free: 5, subsidised: 40, cohort: 40, too_few: 7 };
  expect(standingOf(use(200, 192, 3, { organic: 100, labels }))).toBe(
    "200 calls from 3 keys: 100 organic, 40 paid with the operator’s money, 40 by keys that moved as one, 12 for other reasons",
  );
  expect(standingOf(use(12, 12, 1, { labels: { free: 5, too_few: 7 } }))).toBe(
    "12 calls, all from one key: none organic, 7 too few to judge, 5 free of charge",
  );
});

test("what was never called, or never validly, is said to be that", () => {
  expect(standingOf(use(0, 0, 0))).toBe("never called");
  expect(standingOf(use(1, 0, 0))).toBe("1 call, none of them valid");
  expect(standingOf(use(1, 1, 1, { labels: { same_key: 1 } }))).toBe(
    "1 call from one key: all by the seller’s own key, which shows no demand",
  );
});

test("of what nobody can judge it says how many parties paid, which ranks it", () => {
  expect(standingOf(use(8, 8, 5, { labels: { too_few: 8 }, payingParties: 4 }))).toBe(
    "8 calls from 5 keys, 4 paying parties: too few to judge",
  );
});

test("every label has words", () => {
  expect(Object.keys(LABEL_TEXTS)).toEqual([...LABELS]);
});
