/** The models of `tensors@1`, whose calls share a run. */
import { floats, floatTensor, type Tensor } from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { openModel } from "./load.ts";
import { shuffled } from "./train/table.ts";

const WIDTHS = { "breast-cancer": 30, "credit-default": 52, "seattle-temperature": 7 };

/** A call of `rows` rows, whose numbers `seed` fixes. */
function call(rows: number, width: number, seed: number): Tensor[] {
  const values = shuffled(rows * width, seed).map((value) => (value % 997) / 31 - 9);
  return [floatTensor("features", [rows, width], values)];
}

describe.each(Object.entries(WIDTHS))("%s", (folder, width) => {
  test("gives each row the same bits whatever rows share its run, for batches of every size to 70", async () => {
    const { run } = await openModel(folder);
    const calls = Array.from({ length: 70 }, (_, i) => call(1, width, 3 * i + 1));
    const alone = [];
    for (const one of calls) alone.push(...(await run([one])));
    for (let size = 2; size <= calls.length; size++)
      expect(await run(calls.slice(0, size))).toEqual(alone.slice(0, size));
    const uneven = [call(3, width, 5), call(1, width, 7), call(17, width, 11)];
    const together = await run(uneven);
    for (const [i, one] of uneven.entries()) expect(await run([one])).toEqual([together[i]]);
    expect(together.map((outcome) => outcome.ok && outcome.unitCount)).toEqual([3, 1, 17]);
  });

  test("refuses what is not finite, alone", async () => {
    const { run } = await openModel(folder);
    const good = call(2, width, 1);
    const values = floats(good[0]!);
    const bad = [Number.NaN, Number.POSITIVE_INFINITY].map((value) => [
      floatTensor(
        "features",
        [2, width],
        values.map((one, i) => (i === width + 1 ? value : one)),
      ),
    ]);
    const [first, nan, infinity, last] = await run([good, ...bad, good]);
    const message = `"features" has a NaN or an infinity at element ${width + 1}: send finite numbers`;
    expect([nan, infinity]).toEqual([
      { ok: false, message },
      { ok: false, message },
    ]);
    expect(first).toMatchObject({ ok: true, unitCount: 2 });
    expect(last).toEqual(first);
  });

  test("refuses no rows, and answers no calls with nothing", async () => {
    const { run } = await openModel(folder);
    expect(await run([call(0, width, 1)])).toEqual([
      { ok: false, message: '"features" has no rows: send at least one' },
    ]);
    expect(await run([])).toEqual([]);
  });
});

test("a good applicant is a smaller risk than a bad one", async () => {
  const { manifest, answer } = await openModel("credit-default");
  const columns = manifest.forms[0]?.[0]?.columns ?? [];
  const chance = async (facts: Record<string, number>) => {
    const row = columns.map((name) => facts[name] ?? 0);
    const output = (await answer([floatTensor("features", [1, row.length], row)])).get("default_probability");
    return output ? floats(output)[0] : undefined;
  };
  const loan = { duration_months: 24, amount_dm: 3000, instalment_rate_class: 3 };
  const safe = await chance({
    ...loan,
    "checking_account.none": 1,
    "credit_history.critical": 1,
    "savings.above_1000_dm": 1,
  });
  const risky = await chance({
    ...loan,
    "checking_account.below_0_dm": 1,
    "credit_history.no_credit_or_all_paid": 1,
    "savings.below_100_dm": 1,
  });
  expect(safe).toBeLessThan(0.2);
  expect(risky).toBeGreaterThan(0.6);
});

test("the forecast for July is warmer than that for January from the same day's weather", async () => {
  const { answer } = await openModel("seattle-temperature");
  const weather = [15, 15, 15, 8, 0, 2];
  const output = (await answer([floatTensor("features", [2, 7], [...weather, 15, ...weather, 196])])).get(
    "temp_max_tomorrow",
  );
  const [january = 0, july = 0] = output ? floats(output) : [];
  expect(july).toBeGreaterThan(january + 1);
});
