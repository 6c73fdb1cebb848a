import { Hono } from "hono";
import { expect, test } from "vitest";
import { errorResponse } from "../platform/http.ts";
import { formatOf, respondIn, TEXT_FORMATS } from "./formats.ts";
import type { UsageAnswer } from "./schemas.ts";

const ANSWER: UsageAnswer = {
  ...{ metric: "revenue", unit: "atomic", by: "app", per: "day", strata: ["gross", "organic"] },
  rows: [
    { start: "2026-11-22", key: 'a "quoted", app', gross: "12000000000000000000", organic: null, provisional: false },
    { start: "2026-11-22", key: "plain", name: "Plain", gross: "5", organic: "1", provisional: true },
  ],
  meta: {
    ...{ as_of: "2026-11-22T12:00:00Z", size: 14, root: "cm9vdA==", checkpoint: "example\n14\ncm9vdA==\n\n" },
    ...{ rules: "tallystick-organic-v2", rules_digest: "ab".repeat(32), provisional: true },
  },
};

const app = new Hono().get("/", (c) => respondIn(formatOf(c, TEXT_FORMATS), ANSWER));
app.onError((error, c) => errorResponse(c, error, () => {}));

const textOf = async (path: string, accept?: string) => {
  const response = await app.request(path, accept === undefined ? {} : { headers: { accept } });
  return { type: response.headers.get("content-type"), headers: response.headers, text: await response.text() };
};

test("a metric as CSV has a head, CRLF, quotes where a key needs them, and nothing for null", async () => {
  const { text, type } = await textOf("/?format=csv");
  expect(type).toBe("text/csv");
  expect(text).toBe(
    'start,key,name,gross,organic,provisional\r\n2026-11-22,"a ""quoted"", app",,12000000000000000000,,false\r\n2026-11-22,plain,Plain,5,1,true\r\n',
  );
});

test("a metric as NDJSON is a row a line and nothing else", async () => {
  const { text } = await textOf("/", "application/x-ndjson");
  expect(text.endsWith("\n")).toBe(true);
  expect(
    text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual(ANSWER.rows);
});

test("whatever the format, its headers say what the figures are of and that they may change", async () => {
  for (const format of ["json", "csv", "ndjson"]) {
    const { headers } = await textOf(`/?format=${format}`);
    expect(Object.fromEntries([...headers].filter(([name]) => name.startsWith("x-tally-")))).toEqual({
      "x-tally-as-of": "2026-11-22T12:00:00Z",
      "x-tally-size": "14",
      "x-tally-root": "cm9vdA==",
      "x-tally-rules": "tallystick-organic-v2",
      "x-tally-rules-digest": "ab".repeat(32),
      "x-tally-provisional": "true",
    });
    expect(headers.get("vary")).toBe("accept");
  }
});

test("Accept picks the format by its weights, the parameter goes before it, and JSON is for all else", async () => {
  const types = async (path: string, accept?: string) => (await textOf(path, accept)).type;
  expect(await types("/")).toBe("application/json");
  expect(await types("/", "*/*")).toBe("application/json");
  expect(await types("/", "text/html,image/webp;q=0.8")).toBe("application/json");
  expect(await types("/", "*/*, text/csv;q=0.1")).toBe("application/json");
  expect(await types("/", "text/csv, */*;q=0.1")).toBe("text/csv");
  expect(await types("/", "text/csv;q=0.5, application/x-ndjson;q=0.9")).toBe("application/x-ndjson");
  expect(await types("/?format=csv", "application/json")).toBe("text/csv");
});

test("a format that is not written here is refused by its name", async () => {
  const { text } = await textOf("/?format=xlsx");
  expect(JSON.parse(text).error).toMatchObject({
    code: "invalid_request",
    param: "format",
    message: 'format is one of json, csv, ndjson, not "xlsx"',
  });
});
