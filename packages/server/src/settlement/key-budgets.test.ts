import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { RUNS } from "../../../../test/runs.ts";
import { closeDatabase, openDatabase } from "../platform/database.ts";
import { createKeyBudgets, type KeyBudgets, type KeyHold, type SpendingKey } from "./key-budgets.ts";
import { createSpendingStore, type SpendingStore } from "./store.ts";

const DAY_MS = 86_400_000;

let folder: string;
let database: ReturnType<typeof openDatabase>;
let nowMs: number;
let writes: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tallystick-"));
  database = openDatabase(join(folder, "database"));
  nowMs = 20_000 * DAY_MS;
  writes = 0;
});
afterEach(async () => {
  closeDatabase(database);
  await rm(folder, { recursive: true });
});

/** The budgets as a start finds them: what was kept in the database, and nothing of what was in memory. */
function open(): KeyBudgets {
  const store = createSpendingStore(database);
  const counted: SpendingStore = {
    ...store,
    put: (...args) => {
      writes++;
      store.put(...args);
    },
  };
  return createKeyBudgets({ store: counted, clock: { nowMs: () => nowMs } });
}

const keyWith = (total?: bigint, day?: bigint, id = "key_1"): SpendingKey => ({
  id,
  budget: { totalAtomic: total, dayAtomic: day },
});
const refused = expect.objectContaining({ code: "insufficient_quota" });

test("a key spends its budget and no more, and what a call did not take comes back", () => {
  const budgets = open();
  const key = keyWith(100n);
  const hold = budgets.hold(key, 60n);
  expect(() => budgets.hold(key, 41n)).toThrow(refused);
  hold.settle(10n);
  hold.settle(0n); // A second time does nothing.
  expect(budgets.spent(key)).toEqual({ totalAtomic: 10n, dayAtomic: 10n });
  budgets.hold(key, 90n).settle(90n);
  expect(() => budgets.hold(key, 1n)).toThrow(refused);
  budgets.hold(keyWith(100n, undefined, "key_2"), 100n).settle(100n); // Another key has its own.
});

test("a day's budget comes back with the next day in UTC, and a call counts on the day that it began", () => {
  const budgets = open();
  const key = keyWith(1_000n, 100n);
  const late = budgets.hold(key, 100n);
  expect(() => budgets.hold(key, 1n)).toThrow(refused);
  nowMs += DAY_MS;
  budgets.hold(key, 70n).settle(70n);
  late.settle(40n);
  expect(budgets.spent(key)).toEqual({ totalAtomic: 110n, dayAtomic: 70n });
});

test("after an ordered end exactly what was spent is known", () => {
  const budgets = open();
  const key = keyWith(1_000n, 500n);
  for (const price of [3n, 5n, 7n]) budgets.hold(key, 20n).settle(price);
  budgets.close();
  expect(open().spent(key)).toEqual({ totalAtomic: 15n, dayAtomic: 15n });
});

test("after a crash at any moment a key has spent at least what it had, and at most a block and what was in flight more", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("hold" as const), most: fc.bigInt(1n, 50n) }),
    fc.record({ kind: fc.constant("settle" as const), which: fc.nat(), part: fc.bigInt(0n, 100n) }),
    fc.record({ kind: fc.constant("day" as const) }),
    fc.record({ kind: fc.constant("crash" as const) }),
  );
  let ids = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const key = keyWith(640n, 320n, `key_${ids++}`);
      let budgets = open();
      let held: { hold: KeyHold; most: bigint }[] = [];
      /** What calls really cost, those in flight at their most; and by how much more a crash may have made it seem. */
      let [spent, slack] = [0n, 0n];
      const inFlight = () => held.reduce((sum, { most }) => sum + most, 0n);
      for (const some of steps) {
        if (some.kind === "hold") {
          try {
            held.push({ hold: budgets.hold(key, some.most), most: some.most });
          } catch (error) {
            expect(error).toEqual(refused);
          }
        } else if (some.kind === "settle" && held.length > 0) {
          const [one] = held.splice(some.which % held.length, 1);
          const price = ((one?.most ?? 0n) * some.part) / 100n;
          one?.hold.settle(price);
          spent += price;
        } else if (some.kind === "day") nowMs += DAY_MS;
        else if (some.kind === "crash") {
          const before = budgets.spent(key).totalAtomic;
          budgets = open();
          const after = budgets.spent(key).totalAtomic;
          expect(after).toBeGreaterThanOrEqual(spent + inFlight());
          slack = after - spent;
          expect(after).toBeGreaterThanOrEqual(before);
          held = [];
        }
        expect(budgets.spent(key).totalAtomic).toBeLessThanOrEqual(640n);
        expect(spent).toBeLessThanOrEqual(640n);
        expect(slack).toBeGreaterThanOrEqual(0n);
      }
    }),
    RUNS,
  );
});

test("a crash costs a key with nothing in flight at most a sixty-fourth of its budget", () => {
  const budgets = open();
  const key = keyWith(6_400n);
  for (let i = 1n; i <= 30n; i++) {
    budgets.hold(key, 7n).settle(7n);
    const { totalAtomic } = open().spent(key);
    expect(totalAtomic).toBeGreaterThanOrEqual(7n * i);
    expect(totalAtomic).toBeLessThanOrEqual(7n * i + 100n);
  }
});

test("a write is for many calls, and keys without a budget write nothing", () => {
  const budgets = open();
  for (let i = 0; i < 6_400; i++) budgets.hold(keyWith(6_400n), 1n).settle(1n);
  expect(writes).toBeLessThan(100);
  writes = 0;
  for (let i = 0; i < 10; i++) budgets.hold(keyWith(undefined, undefined, "key_3"), 1n).settle(1n);
  expect(writes).toBe(0);
});
