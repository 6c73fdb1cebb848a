import { applyEntry, createFold, keyOf } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { type CallChanges, tagOf, UsageLog } from "../../../../test/usage-log.ts";
import { createCredits } from "./credits.ts";
import type { KeyBudgets } from "./key-budgets.ts";

/** A key of no budget of its own. */
const key = { id: "key_1", budget: { totalAtomic: undefined, dayAtomic: undefined } };
const unbounded: KeyBudgets = {
  hold: () => ({ settle: () => {} }),
  spent: () => ({ totalAtomic: 0n, dayAtomic: 0n }),
  close: () => {},
};
const payer = keyOf(tagOf("payer"));
const PAID: CallChanges = { session: "paying", authorization: { maxPrice: 500n }, receipt: { price: 100n } };
const refused = (says: RegExp) =>
  expect.objectContaining({ code: "insufficient_quota", message: expect.stringMatching(says) });

/** Credits over a log that the fold follows when it is told to. */
async function open({ toppedUp = 1_000n, budget = 10_000n, paymentClass = "credits" as "credits" | "free" } = {}) {
  const log = await UsageLog.open(undefined, { priceAtomic: 100n });
  const fold = createFold();
  const follow = () => {
    for (const entry of log.entries.slice(fold.size)) applyEntry(fold, entry);
  };
  await log.grant("paying", "payer", "account", "paying", { paymentClass, budget });
  await log.grant("also paying", "payer", "account", "also paying", { paymentClass, budget });
  if (toppedUp > 0n) await log.topUp("payer", toppedUp);
  follow();
  let seconds = NOON_SECONDS;
  const credits = createCredits({ fold, budgets: unbounded, clock: { nowMs: () => seconds * 1_000 } });
  const [first, second] = [...fold.sessions.keys()].slice(-2).map((name) => Buffer.from(name, "latin1"));
  const hold = (mostAtomic: bigint, session = first ?? Buffer.alloc(32)) => credits.hold({ session, key, mostAtomic });
  const available = () => credits.balance(payer).availableAtomic;
  const pass = (passedSeconds: number) => {
    seconds += passedSeconds;
  };
  return { log, follow, credits, hold, available, second: second ?? Buffer.alloc(32), pass };
}

test("what is held is nobody else's, and comes back where there is no receipt", async () => {
  const { hold, available } = await open();
  const one = hold(600n);
  expect(available()).toBe(400n);
  expect(() => hold(401n)).toThrow(refused(/^the account has 400 atomic units, and this call may take 401: /));
  one.release();
  one.release();
  one.settle(600n, 0);
  expect(available()).toBe(1_000n);
});

test("a receipt that is durable and not folded is counted once: before the fold knows it, and after", async () => {
  const { log, follow, hold, available } = await open();
  const held = hold(500n);
  await log.call(PAID);
  held.settle(100n, log.entries.length - 1);
  expect(available()).toBe(900n);
  follow();
  expect(available()).toBe(900n);
  await log.call(PAID);
  follow();
  expect(available()).toBe(800n);
});

test("a session's budget is held as well, and another session of the account has its own", async () => {
  const { hold, second, log } = await open({ budget: 150n });
  const held = hold(100n);
  expect(() => hold(51n)).toThrow(refused(/^the session has 50 atomic units of its budget left/));
  hold(150n, second).release();
  await log.call(PAID);
  held.settle(100n, log.entries.length - 1);
  expect(() => hold(51n)).toThrow(refused(/^the session has 50/));
  hold(50n).release();
});

test("a session for free models spends nothing, and a call that costs nothing asks for nothing", async () => {
  const { hold } = await open({ paymentClass: "free" });
  expect(() => hold(1n)).toThrow(refused(/open a new one, which may spend credits/));
  hold(0n).settle(0n, 0);
});

test("what nobody knows the outcome of is held until the log has its receipt, or none can come", async () => {
  const { log, follow, hold, available, pass } = await open();
  const found = await log.call(PAID);
  hold(500n).abandon(found, NOON_SECONDS + 300);
  hold(200n).abandon(tagOf("a receipt that never comes"), NOON_SECONDS + 300);
  expect(available()).toBe(300n);
  follow();
  expect(available()).toBe(700n); // 1,000 less the 100 that it cost and the 200 still out.
  pass(300 + 3_600 + 1);
  expect(available()).toBe(900n);
});
