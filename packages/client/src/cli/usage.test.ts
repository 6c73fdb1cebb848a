import { STRATA } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { type MetricAnswer, metricText } from "./usage.ts";

const META = { size: 118, as_of: "2026-11-22T12:00:00.000Z", rules: "tallystick-organic-v2", provisional: true };
const ANSWER: MetricAnswer = {
  ...{ metric: "inferences", unit: "inferences", by: "network", per: "day", strata: [...STRATA], meta: META },
  rows: [
    { start: "2026-11-20", key: "", gross: 52, valid: 50, organic: 12, floor: 12 },
    { start: "2026-11-21", key: "", gross: 30, valid: 30, organic: 20, floor: 4 },
    { start: "2026-11-22", key: "", gross: 8, valid: 8, organic: 8, floor: 0 },
  ],
};

test("a metric of the network over days is a line for each stratum, then a bar for each day, and says what may change", () => {
  expect(metricText(ANSWER, 80)).toMatchInlineSnapshot(`
    "inferences, per day

    gross   █▅▂ 8
    valid   █▅▂ 8
    organic ▃▄▂ 8
    floor   ▃▂▁ 0

                                                           gross valid organic floor
    2026-11-20 ██████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒░░    52    50      12    12
    2026-11-21 ███▓▓▓▓▓▓▓▓▓▓▓▓▓▓▒▒▒▒▒▒▒▒                      30    30      20     4
    2026-11-22 ▓▓▓▓▓▓▓                                         8     8       8     0

    ░ gross   ▒ valid   ▓ organic   █ floor
    118 entries, tallystick-organic-v2, as of 2026-11-22 12:00 UTC
    provisional: a day among these may still change
    "
  `);
});

test("by model over days each has its own line, by name, with the figures of its last day", () => {
  const rows = ANSWER.rows.flatMap(({ start, ...row }) => [
    { ...row, start, key: "ab".repeat(32), name: "example/double 1.0.0" },
    { start, key: "cd".repeat(32), name: "example/other 2", gross: 1, valid: 1, organic: 0, floor: 0 },
  ]);
  expect(metricText({ ...ANSWER, by: "model", rows }, 80)).toMatchInlineSnapshot(`
    "inferences, by model, per day

                         organic                           gross valid organic floor
    example/double 1.0.0 ▅█▄                                   8     8       8     0
    example/other 2      ▁▁▁                                   1     1       0     0

    ░ gross   ▒ valid   ▓ organic   █ floor
    118 entries, tallystick-organic-v2, as of 2026-11-22 12:00 UTC
    provisional: a day among these may still change
    "
  `);
});

test("of one period it is a bar for each key", () => {
  const rows = [
    { start: "2026-11-22", key: "finance", gross: 5, valid: 5, organic: 1, floor: 1 },
    { start: "2026-11-22", key: "vision", gross: 2, valid: 2, organic: 2, floor: 2 },
  ];
  expect(
    metricText({ ...ANSWER, by: "category", rows, meta: { ...META, provisional: false } }, 60),
  ).toMatchInlineSnapshot(`
    "inferences, by category, per day

                                       gross valid organic floor
    finance █████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒     5     5       1     1
    vision  ██████████                     2     2       2     2

    ░ gross   ▒ valid   ▓ organic   █ floor
    118 entries, tallystick-organic-v2, as of 2026-11-22 12:00 UTC
    "
  `);
});

test("no line is wider than eighty columns or than forty", () => {
  for (const width of [40, 80])
    for (const line of metricText(ANSWER, width).split("\n").slice(0, -4))
      expect([...line].length).toBeLessThanOrEqual(width);
  for (const line of metricText(ANSWER, 80).split("\n")) expect([...line].length).toBeLessThanOrEqual(80);
});

test("where there is nothing it says so", () => {
  expect(metricText({ ...ANSWER, rows: [] }, 80)).toContain("nothing in these days");
});
