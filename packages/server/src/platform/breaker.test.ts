import { expect, test } from "vitest";
import { createBreaker, type Trial } from "./breaker.ts";

function open(failuresMost = 3) {
  let nowMs = 1_000_000;
  const breaker = createBreaker({ clock: { nowMs: () => nowMs }, failuresMost, openMs: 1_000, openMostMs: 5_000 });
  const admit = (): Trial => {
    const trial = breaker.admit();
    if (trial === undefined) throw new Error("no call is let through");
    return trial;
  };
  const pass = (ms: number) => {
    nowMs += ms;
  };
  /** How long from here it lets nothing through; the call after that is made to fail. */
  const rest = () => {
    let restedMs = 0;
    for (; restedMs < 60_000; restedMs += 500, pass(500)) {
      const trial = breaker.admit();
      if (trial === undefined) continue;
      trial.fail();
      return restedMs;
    }
    throw new Error("it stays open");
  };
  return { breaker, admit, pass, rest };
}

test("only failures in a row open it", () => {
  const { breaker, admit } = open();
  for (const works of [false, false, true, false, false]) works ? admit().succeed() : admit().fail();
  expect(breaker.isOpen).toBe(false);
  admit().fail();
  expect(breaker.isOpen).toBe(true);
  expect(breaker.admit()).toBeUndefined();
});

test("after its time one call is let through, and the others once it succeeded", () => {
  const { breaker, admit, pass } = open(1);
  admit().fail();
  pass(999);
  expect(breaker.admit()).toBeUndefined();
  pass(1);
  const probe = admit();
  expect(breaker.admit()).toBeUndefined();
  probe.succeed();
  expect(breaker.isOpen).toBe(false);
  admit();
  admit();
});

test("each failed probe doubles the time up to its most, and a success begins anew", () => {
  const { admit, pass, rest } = open(1);
  admit().fail();
  expect([rest(), rest(), rest(), rest(), rest()]).toEqual([1_000, 2_000, 4_000, 5_000, 5_000]);
  pass(5_000);
  admit().succeed();
  admit().fail();
  expect(rest()).toBe(1_000);
});

test("a probe whose caller went away makes room for the next, and decides nothing", () => {
  const { breaker, admit, pass } = open(1);
  admit().fail();
  pass(1_000);
  admit().abandon();
  expect(breaker.isOpen).toBe(true);
  admit().succeed();
  expect(breaker.isOpen).toBe(false);
});

test("a call from before it opened neither closes it nor prolongs it", () => {
  const { breaker, admit, pass } = open(1);
  const [early, late, failing] = [admit(), admit(), admit()];
  failing.fail();
  early.succeed();
  expect(breaker.admit()).toBeUndefined();
  pass(900);
  late.fail();
  pass(100);
  admit().succeed();
  expect(breaker.isOpen).toBe(false);
});

test("who asks to be left alone is, after one failure and up to the most", () => {
  const { breaker, admit, pass } = open();
  admit().fail(3_000);
  pass(2_999);
  expect(breaker.admit()).toBeUndefined();
  pass(1);
  admit().fail(3_600_000);
  pass(5_000);
  admit().succeed();
  expect(breaker.isOpen).toBe(false);
});

test("what became of a call is heard once", () => {
  const { breaker, admit } = open(2);
  const trial = admit();
  trial.fail();
  trial.fail();
  expect(breaker.isOpen).toBe(false);
});

test("a clock that is set back does not keep it open", () => {
  const { admit, pass } = open(1);
  admit().fail();
  pass(-3_600_000);
  admit().succeed();
});
