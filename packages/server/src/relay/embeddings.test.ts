import type { JsonObject } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { sendJson, startUpstream } from "../../../../test/mock-upstream.ts";
import { openRelay } from "../../../../test/relay-fixture.ts";
import { readVectors } from "./embeddings.ts";

const VECTORS = [
  [0.5, -1.25, 3],
  [0.1, 0, -0.2],
];
const inBase64 = (vector: number[]) => Buffer.from(Float32Array.from(vector).buffer).toString("base64");
const rows = (spell: (vector: number[]) => unknown) =>
  VECTORS.map((vector, index) => ({ object: "embedding", index, embedding: spell(vector) }));
const ANSWER: JsonObject = { object: "list", model: "their-embedder", usage: { prompt_tokens: 9, total_tokens: 9 } };

test.each<[string, (vector: number[]) => unknown]>([
  ["numbers", (vector) => vector],
  ["base64", inBase64],
])("vectors in %s are read as they are, in the order of the inputs", async (_, spell) => {
  await using upstream = await startUpstream((response) =>
    sendJson(response, { ...ANSWER, data: rows(spell).reverse() }),
  );
  await using relay = openRelay(upstream.url);
  expect(await relay.embed({ input: ["a", "b"], encoding_format: "float", dimensions: 3 })).toEqual({
    ...{ kind: "answered", promptTokens: 9, upstream: { model: "their-embedder" } },
    vectors: VECTORS.map((vector) => Float32Array.from(vector)),
    attempts: [{ at: "acme", outcome: "answered", ms: expect.any(Number) }],
  });
  expect(upstream.asked[0]).toMatchObject({
    path: "/v1/embeddings",
    body: { model: "their-model-7b", input: ["a", "b"], encoding_format: "base64", dimensions: 3 },
  });
});

test("an upstream that has no base64 is asked for numbers", async () => {
  await using upstream = await startUpstream((response) => sendJson(response, { ...ANSWER, data: rows((v) => v) }));
  await using relay = openRelay(upstream.url, { embeddingFormat: "float" });
  expect(await relay.embed({ input: [[1, 2], [3]] })).toMatchObject({ kind: "answered" });
  expect(upstream.asked[0]?.body.encoding_format).toBe("float");
});

const good = rows(inBase64);
test.each<[string, unknown, string]>([
  ["a vector too few", { ...ANSWER, data: good.slice(1) }, "malformed"],
  ["a vector too many", { ...ANSWER, data: [...good, { index: 2, embedding: [1, 2, 3] }] }, "malformed"],
  ["a vector twice", { ...ANSWER, data: [good[0], good[0]] }, "malformed"],
  ["a vector without its index", { ...ANSWER, data: good.map(({ embedding }) => ({ embedding })) }, "malformed"],
  ["vectors of two sizes", { ...ANSWER, data: [good[0], { index: 1, embedding: [1] }] }, "malformed"],
  ["empty vectors", { ...ANSWER, data: rows(() => []) }, "malformed"],
  ["a number beyond FP32", { ...ANSWER, data: rows(() => [1e39, 0, 0]) }, "malformed"],
  ["an infinite number", { ...ANSWER, data: rows(() => inBase64([Infinity, 0, 0])) }, "malformed"],
  ["a text in a vector", { ...ANSWER, data: rows(() => ["1", 2, 3]) }, "malformed"],
  ["half a number", { ...ANSWER, data: rows(() => "AAAAAAA=") }, "malformed"],
  ["what is no base64", { ...ANSWER, data: rows(() => "....") }, "malformed"],
  ["no vectors", ANSWER, "malformed"],
  ["no usage", { ...ANSWER, data: good, usage: undefined }, "no_usage"],
  ["an error", { error: { message: "no" } }, "error"],
  ["a list", [], "malformed"],
])("an answer with %s is none", (_, answer, kind) => {
  expect(() => readVectors(answer, 2, undefined)).toThrow(expect.objectContaining({ kind }));
});

test("vectors of other dimensions than were asked for are no answer", () => {
  expect(() => readVectors({ ...ANSWER, data: good }, 2, 256)).toThrow(/dimensions/);
});
