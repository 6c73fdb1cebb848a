import { STRATA } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { barPlot, figureText, legend, linePlot, type PlotRow } from "./plots.ts";

const DAYS: PlotRow[] = [
  { start: "2026-11-20", key: "network", gross: 12_000, valid: 11_000, organic: 300, floor: 200 },
  { start: "2026-11-21", key: "network", gross: 0, valid: 0, organic: 0, floor: 0 },
  { start: "2026-11-22", key: "network", gross: 6_000, valid: 5_500, organic: 5_000, floor: 1 },
  { start: "open", key: "network", gross: 40, valid: 40, organic: null, floor: null },
];
const byDay = (width: number) => barPlot(DAYS, { strata: STRATA, nameOf: ({ start }) => start, width });

test("at 80 columns each day has a bar of four shades and its four figures beside it", () => {
  expect(byDay(80)).toMatchInlineSnapshot(`
    "                                                      gross  valid organic floor
    2026-11-20 █▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒░░░ 12,000 11,000     300   200
    2026-11-21                                                0      0       0     0
    2026-11-22 █▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▒▒░░                      6,000  5,500   5,000     1
    open       ▒                                             40     40       –     –
    "
  `);
});

test("at 40 columns the figures stay and the bar goes", () => {
  expect(byDay(40)).toMatchInlineSnapshot(`
    "            gross  valid organic floor
    2026-11-20 12,000 11,000     300   200
    2026-11-21      0      0       0     0
    2026-11-22  6,000  5,500   5,000     1
    open           40     40       –     –
    "
  `);
});

test("the ends of long names tell them apart", () => {
  const rows = ["a-publisher-with-a-long-name/model-one", "a-publisher-with-a-long-name/model-two"].map((key, i) => ({
    ...{ start: "2026-11-22", key, gross: 10 * (i + 1), valid: 8 },
  }));
  expect(barPlot(rows, { strata: ["gross", "valid"], nameOf: ({ key }) => key, width: 60 })).toMatchInlineSnapshot(`
    "                                                 gross valid
    …sher-with-a-long-name/model-one ▒▒▒▒▒▒░░           10     8
    …sher-with-a-long-name/model-two ▒▒▒▒▒▒░░░░░░░░░    20     8
    "
  `);
});

test("strata over time are lines of blocks to one scale, and a year has room in eighty columns", () => {
  expect(linePlot(DAYS, { strata: STRATA, width: 80 })).toMatchInlineSnapshot(`
    "gross   █▁▅▂ 40
    valid   ▇▁▄▂ 40
    organic ▂▁▄   –
    floor   ▂▁▂   –
    "
  `);
  const year = Array.from({ length: 365 }, (_, i) => ({ start: String(i), key: "network", gross: i, valid: i / 2 }));
  const lines = linePlot(year, { strata: ["gross", "valid"], width: 80 })
    .trimEnd()
    .split("\n");
  for (const line of lines) expect([...line]).toHaveLength(80);
  expect(lines[0]).toMatch(/^gross ▂+▃+▄+▅+▆+▇+█+ 364$/);
});

test("no line is wider than the terminal, from forty columns on", () => {
  for (const width of [40, 60, 80, 120, 200])
    for (const text of [byDay(width), linePlot(DAYS, { strata: STRATA, width })])
      for (const line of text.split("\n")) expect([...line].length).toBeLessThanOrEqual(width);
});

test("what is small is seen, and what is nothing is not", () => {
  const [, , quiet, last] = byDay(80).split("\n");
  expect(quiet).not.toMatch(/[░▒▓█]/);
  expect(last).toContain("█");
});

test("names of others cannot steer the terminal, in a plot either", () => {
  const rows = [{ start: "2026-11-22", key: "a\x1b[31mb\u202e", gross: 1 }];
  const plot = barPlot(rows, { strata: ["gross"], nameOf: ({ key }) => key, width: 60 });
  for (const steering of ["\x1b", "\u202e"]) expect(plot).not.toContain(steering);
});

test("money larger than a double is shown to the unit", () => {
  expect(figureText("18446744073709551615")).toBe("18,446,744,073,709,551,615");
  expect(figureText(null)).toBe("–");
  expect(legend(STRATA)).toBe("░ gross   ▒ valid   ▓ organic   █ floor");
});
