import { createVerifiedFetch, UnverifiedError } from "@tallystick/client";
import { describe, expect, test } from "vitest";
import { maxPriceOf } from "../../packages/client/src/price-bound.ts";
import { API_KEY } from "./tiny-network.ts";
import { type OpenAiSettings, openTinyOpenAi, TEXT, TINY_MODEL } from "./tiny-openai.ts";

const URL = "http://tiny.example";
const CHAT = `${URL}/v1/chat/completions`;
const BODY = JSON.stringify({ model: TINY_MODEL, messages: [{ role: "user", content: "What is a tally stick?" }] });

async function open(settings: OpenAiSettings = {}) {
  const tiny = await openTinyOpenAi(settings);
  const { trust } = tiny.network.log;
  const edges = { fetch: tiny.fetch, sleep: async () => {} };
  return { ...tiny, fetch: createVerifiedFetch({ url: URL, apiKey: API_KEY, trust, edges }) };
}

const post = (body: string, headers: Record<string, string> = {}) => ({ method: "POST", headers, body });

test("a request may be an address, a URL or a Request", async () => {
  const { fetch } = await open();
  for (const given of [CHAT, new globalThis.URL(CHAT)]) {
    const body = await (await fetch(given, post(BODY))).json();
    expect(body).toMatchObject({ choices: [{ message: { content: TEXT } }] });
  }
  expect((await fetch(new Request(CHAT, post(BODY)))).ok).toBe(true);
});

test("what a call by API key says in headers is signed, and sent in no header", async () => {
  const { fetch, received, network } = await open();
  const said = { "x-tally-max-price": "77", "x-tally-traffic": "test", "x-tally-decision": "05".repeat(16) };
  await fetch(CHAT, post(BODY, { ...said, authorization: "Bearer secret", "x-title": "an app" }));
  expect(network.asked).toMatchObject([{ maxPrice: 77n, traffic: "test", decision: new Uint8Array(16).fill(5) }]);
  const { headers } = received[0]!;
  for (const name of [...Object.keys(said), "authorization"]) expect(headers.get(name)).toBeNull();
  expect(headers.get("x-title")).toBe("an app");
});

test.each([
  { "x-tally-max-price": "-1" },
  { "x-tally-traffic": "organic" },
  { "x-tally-decision": "05" },
  { "x-tally-app": "example/shop" },
])("%o is refused before anything is signed", async (headers) => {
  const { fetch, network } = await open();
  const response = await fetch(CHAT, post(BODY, headers));
  expect(response.status).toBe(400);
  expect(response.headers.get("x-should-retry")).toBe("false");
  expect(await response.json()).toMatchObject({ error: { code: "invalid_request" } });
  expect(network.sessions).toEqual([]);
});

test("what cannot be verified is not sent; what is only read passes", async () => {
  const { fetch, received } = await open();
  expect((await fetch(`${URL}/v1/audio/speech`, post(BODY))).status).toBe(404);
  expect((await fetch(`${URL}/v1/chat/completions/`, post(BODY))).status).toBe(404);
  expect((await fetch(`${URL}/v1/models/x`, { method: "DELETE" })).status).toBe(404);
  expect((await fetch(`${URL}/v1/models/${TINY_MODEL}`)).status).toBe(200);
  await expect(fetch("http://elsewhere.example/v1/chat/completions", post(BODY))).rejects.toThrow(TypeError);
  expect(received).toEqual([]);
});

test("a network may lie beneath a path", async () => {
  const tiny = await openTinyOpenAi();
  const fetch = createVerifiedFetch({
    url: `${URL}/tally/`,
    apiKey: API_KEY,
    edges: { fetch: (url, init) => tiny.fetch(url.replace("/tally/", "/"), init) },
  });
  const body = await (await fetch(`${URL}/tally/v1/chat/completions`, post(BODY))).json();
  expect(body).toMatchObject({ choices: [{ message: { content: TEXT } }] });
});

test("an answer that does not hold fails in the reading, so that no client takes it for a lost connection", async () => {
  const { fetch } = await open({ body: ({ receipt: _, ...body }) => body });
  const response = await fetch(CHAT, post(BODY));
  await expect(response.text()).rejects.toThrow(UnverifiedError);
});

test("an answer that names another receipt in its header does not hold", async () => {
  const { fetch } = await open({ answer: (path) => (path.endsWith("completions") ? Response.json({}) : undefined) });
  const response = await fetch(CHAT, post(BODY));
  await expect(response.text()).rejects.toThrow(/another receipt than was asked for/);
});

test("no answer at all is the runtime's own error, which clients know", async () => {
  const cause = new TypeError("fetch failed");
  const tiny = await openTinyOpenAi();
  const fetch = createVerifiedFetch({
    ...{ url: URL, apiKey: API_KEY },
    edges: { fetch: (url, init) => (url === CHAT ? Promise.reject(cause) : tiny.fetch(url, init)) },
  });
  await expect(fetch(CHAT, post(BODY))).rejects.toBe(cause);
});

describe("the most that a call can cost", () => {
  const priced = { priceAtomic: 5n, unitPriceAtomic: 2_000_000n, outputUnitPriceAtomic: 3_000_000n };
  type Model = Parameters<typeof maxPriceOf>[0];
  const model = (changes: Partial<Model>) => ({ ...priced, ...changes }) as Model;

  test("is what its bytes and the longest answer can cost", () => {
    expect(maxPriceOf(model({ contextLength: 4_096 }), { max_tokens: 100 }, 1_000)).toBe(5n + 2n * 2_024n + 3n * 100n);
    expect(maxPriceOf(model({ contextLength: 4_096 }), { max_tokens: 100, n: 3 }, 1_000)).toBe(5n + 2n * 2_024n + 900n);
    expect(maxPriceOf(model({ contextLength: 4_096 }), {}, 1_000)).toBe(5n + 2n * 2_024n + 3n * 4_096n);
    expect(maxPriceOf(model({ contextLength: 1_500 }), { max_tokens: 1 }, 9_000)).toBe(5n + 2n * 1_500n + 3n);
  });

  test("of an image is what the context holds", () => {
    const messages = [{ role: "user", content: [{ type: "image_url", image_url: { url: "https://x" } }] }];
    expect(maxPriceOf(model({ contextLength: 4_096 }), { messages, max_tokens: 1 }, 100)).toBe(5n + 2n * 4_096n + 3n);
  });

  test("is nothing where it is free, and has to be named where nothing bounds it", () => {
    const free = { priceAtomic: 0n, unitPriceAtomic: 0n, outputUnitPriceAtomic: 0n };
    expect(maxPriceOf(model(free), {}, 1_000)).toBe(0n);
    expect(() => maxPriceOf(model({}), {}, 1_000)).toThrow(/max_completion_tokens, or maxPrice/);
  });
});
