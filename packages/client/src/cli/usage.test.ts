import { createNoteKey, encodeNoteKey, STRATA } from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../../../../test/folder.ts";
import { type Edges, systemEdges } from "../edges.ts";
import type { Context } from "./context.ts";
import { openHome } from "./home.ts";
import { query } from "./query.ts";
import type { Terminal } from "./terminal.ts";
import { type MetricAnswer, metricText, usage } from "./usage.ts";

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

describe("of a network that answers with what steers a terminal", () => {
  const STEERING = "\x1b]0;OWNED\x07\x1b[31m\x9b2K\x7f\u202e";
  const LINES = `day,gross\r\n"a\tb${STEERING}",1\n`;
  const answer = {
    ...{ ...ANSWER, metric: STEERING, unit: STEERING, by: STEERING, per: STEERING },
    strata: ["gross", `${STEERING}floor`],
    rows: ANSWER.rows.map((row) => ({ ...row, key: STEERING, start: `${row.start}${STEERING}`, gross: STEERING })),
    meta: { ...META, rules: STEERING, as_of: STEERING },
  };
  const FORMS = { drawn: {}, csv: { csv: true }, json: { json: true } };
  const metric = (form: object) => ran((context) => usage({ ...ASKED, metric: "inferences", ...form }, context));
  const sql = (form: object) => ran((context) => query({ ...ASKED, sql: "SELECT 1", ...form }, context));
  const ASKED = { network: "http://hostile.example", query: {}, json: false, csv: false };

  /** What `command` writes on a terminal and what into a pipe, all that it asks answered as above. */
  async function ran(command: (context: Context) => Promise<unknown>): Promise<{ terminal: string; pipe: string }> {
    await using place = await temporaryFolder();
    const logVkey = encodeNoteKey(createNoteKey("hostile.example/log", "ed25519", new Uint8Array(32).fill(7)));
    const asked = { columns: [{ name: STEERING, type: "VARCHAR" }], rows: [[STEERING], [`a\tb\r\n${STEERING}`]] };
    const edges: Edges = {
      ...systemEdges,
      async fetch(url, init) {
        if (url.endsWith("/v1/network")) return Response.json({ logVkey });
        if (url.endsWith("/v1/query")) return Response.json(asked);
        return JSON.stringify(init?.headers ?? {}).includes("csv") ? new Response(LINES) : Response.json(answer);
      },
    };
    const written = async (terminal: Partial<Terminal>) => {
      const texts: string[] = [];
      const out = (text: string) => void texts.push(text);
      await command({
        ...{ edges, env: {}, home: openHome({ TALLYSTICK_HOME: place.path }) },
        terminal: { out, err: out, isTty: false, ...terminal },
      });
      return texts.join("");
    };
    return { terminal: await written({ columns: 80 }), pipe: await written({}) };
  }

  test.each(Object.entries(FORMS))(
    "a metric, %s, has no control character there but those of lines",
    async (_, form) => {
      expect((await metric(form)).terminal).not.toMatch(/[^\P{Cc}\r\n\t]|\u202e/u);
    },
  );

  test.each(["table", "csv", "ndjson"])("an answer to a question, as %s, has none either", async (format) => {
    expect((await sql({ format })).terminal).not.toMatch(/[^\P{Cc}\r\n\t]|\u202e/u);
    expect((await sql({ format, json: true })).terminal).not.toMatch(/[^\P{Cc}\r\n\t]|\u202e/u);
  });

  test("lines stay lines and JSON says the same there, and a pipe has every byte", async () => {
    const csv = await metric(FORMS.csv);
    expect(csv.pipe).toBe(LINES);
    expect(csv.terminal).toMatch(/^day,gross\r\n"a\tb +\]0;OWNED[^\r\n]*",1\n$/);
    const json = await metric(FORMS.json);
    expect(json.pipe).toBe(`${JSON.stringify(answer)}\n`);
    expect(JSON.parse(json.terminal)).toEqual(answer);
    const rows = await sql({ format: "ndjson" });
    expect(
      rows.terminal
        .split("\n")
        .slice(0, 2)
        .map((line) => JSON.parse(line)),
    ).toEqual([{ [STEERING]: STEERING }, { [STEERING]: `a\tb\r\n${STEERING}` }]);
    expect((await sql({ format: "csv" })).pipe).toContain(STEERING);
  });

  test("what is no stratum is not drawn", async () => {
    const { terminal } = await metric(FORMS.drawn);
    expect(terminal).toContain("░ gross\n");
    expect(terminal).not.toContain("floor");
  });
});
