import { createClient, RefusedError, UnreachableError, UnverifiedError } from "@tallystick/client";
import {
  base64,
  encodeJson,
  type JsonObject,
  parseBase64,
  parseEntry,
  parseReceiptMember,
  signEntry,
  utf8,
} from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { fixedSigner } from "../fixed-keys.ts";
import { API_KEY, refusal } from "./tiny-network.ts";
import { type OpenAiSettings, openTinyOpenAi, TEXT, TINY_MODEL } from "./tiny-openai.ts";

const URL = "http://tiny.example";
const BODY = { model: TINY_MODEL, messages: [{ role: "user", content: "What is a tally stick?" }] };

async function open(settings: OpenAiSettings = {}) {
  const tiny = await openTinyOpenAi(settings);
  const { trust } = tiny.network.log;
  const edges = { fetch: tiny.fetch, sleep: async () => {} };
  return { ...tiny, client: createClient({ url: URL, apiKey: API_KEY, trust, edges }) };
}

async function readAll(chunks: AsyncIterable<JsonObject>) {
  let text = "";
  const all: JsonObject[] = [];
  for await (const chunk of chunks) {
    all.push(chunk);
    const [choice] = (chunk.choices ?? []) as { delta: { content?: string } }[];
    text += choice?.delta.content ?? "";
  }
  return { text, all };
}

const stateOf = (checks: readonly { name: string; state: string }[]) =>
  Object.fromEntries(checks.map(({ name, state }) => [name, state]));

describe("a chat completion", () => {
  test("is given with its receipt, whose file verifies with the opening", async () => {
    const { client } = await open();
    const { body, receiptId, opening, checks } = await client.chat(BODY);
    expect(body).toMatchObject({ choices: [{ message: { content: TEXT } }], receipt: { id: receiptId } });
    expect(stateOf(checks)).toEqual({
      authorization: "passed",
      terms: "passed",
      response: "passed",
      "node signature": "passed",
      "node enrolment": "passed",
      inclusion: "not_checked",
      execution: "not_checked",
    });
    const verdict = await client.receipt(receiptId, opening);
    expect(verdict.outcome).toBe("verified");
    const opened = verdict.checks.filter(({ name }) => name.endsWith("opening"));
    expect(opened.map(({ state }) => state)).toEqual(["passed", "passed"]);
  });

  test("is asked for without the API key, by a half that this side signed", async () => {
    const { client, received, network } = await open();
    const decision = new Uint8Array(16).fill(5);
    await client.chat(BODY, { maxPrice: 9n, traffic: "probe", decision });
    const { headers, body } = received[0]!;
    expect(body).toEqual(BODY);
    expect(headers.get("authorization")).toBeNull();
    expect(parseBase64(`${headers.get("x-tally-salt")?.replaceAll("-", "+").replaceAll("_", "/")}=`)?.length).toBe(32);
    expect(network.asked).toMatchObject([{ maxPrice: 9n, traffic: "probe", decision }]);
  });

  test("comes in chunks, the last with the receipt and what was checked", async () => {
    const { client, received } = await open();
    const stream = await client.chat({ ...BODY, stream: true });
    const { text, all } = await readAll(stream);
    expect(text).toBe(TEXT);
    const { receiptId, checks, opening } = await stream.verified;
    expect(all.at(-1)).toMatchObject({ choices: [{ finish_reason: "stop" }], receipt: { id: receiptId } });
    expect(stateOf(checks)).toMatchObject({ stream: "passed", response: "passed", "node signature": "passed" });
    expect(received[0]?.headers.get("x-tally-seal")).toBe("1000");
    expect(await client.receipt(receiptId, opening)).toMatchObject({ outcome: "verified" });
  });

  test("whole and in chunks is the same to the receipt", async () => {
    const { client } = await open();
    const stream = await client.chat({ ...BODY, stream: true, stream_options: { include_usage: true } });
    const { all } = await readAll(stream);
    expect(all.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 14 } });
    const { opening } = await stream.verified;
    expect(opening.response?.bytes).toEqual((await client.chat(BODY)).opening.response?.bytes);
  });

  test("of which only the beginning was read is not said to be verified", async () => {
    const { client } = await open();
    const stream = await client.chat({ ...BODY, stream: true });
    for await (const _ of stream) break;
    await expect(stream.verified).rejects.toThrow(UnverifiedError);
  });

  test("with no key of the log has its node taken at the network's word, and says so", async () => {
    const { fetch } = await openTinyOpenAi();
    const { checks } = await createClient({ url: URL, apiKey: API_KEY, edges: { fetch } }).chat(BODY);
    expect(checks.find(({ name }) => name === "node enrolment")).toMatchObject({
      state: "not_checked",
      detail: expect.stringContaining("the network's word"),
    });
  });
});

describe("a node's key that the log is not shown to hold is believed by nobody who knows the log", () => {
  type Part = { entry: string; proof?: string };
  const wrongs: [string, RegExp, (parts: { node: Part; gateway: Part }) => Part][] = [
    ["without a proof", /does not prove that the node's key is in its log/, ({ node }) => ({ entry: node.entry })],
    [
      "with another's proof",
      /not where in the log its proof says/,
      ({ node, gateway }) => ({ ...gateway, entry: node.entry }),
    ],
    ["that enrols another's role", /not one that the network enrolled as a node's/, ({ gateway }) => gateway],
    [
      "that did not sign its enrolment",
      /not signed by that key/,
      ({ node: { entry, ...node } }) => {
        const bytes = parseBase64(entry) ?? new Uint8Array(0);
        return { ...node, entry: base64(bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1)) };
      },
    ],
  ];
  test.each(wrongs)("%s", async (_, message, node) => {
    let nowMs = Date.now();
    const tiny = await openTinyOpenAi({
      answer(path) {
        if (!path.includes("/receipts/")) return undefined;
        const file = JSON.parse(tiny.network.file(path.split("/").at(-1) ?? ""));
        return Response.json({ ...file, node: node(file) });
      },
    });
    const sleep = async (ms: number) => {
      nowMs += ms;
    };
    const edges = { fetch: tiny.fetch, nowMs: () => nowMs, sleep };
    const client = createClient({ url: URL, apiKey: API_KEY, trust: tiny.network.log.trust, edges });
    await expect(client.chat(BODY)).rejects.toThrow(message);
  });
});

test("embeddings are given as they were asked for, with their receipt", async () => {
  const { client } = await open();
  const { body, checks } = await client.embed({ model: TINY_MODEL, input: ["a", "b"] });
  expect(body).toMatchObject({ object: "list", data: [{ index: 0 }, { index: 1 }], usage: { total_tokens: 3 } });
  expect(stateOf(checks)).toMatchObject({ response: "passed" });
});

describe("a whole answer that does not hold is not given", () => {
  const wrongs: [string, RegExp, OpenAiSettings["body"]][] = [
    ["no receipt", /without its receipt/, ({ receipt: _, ...body }) => body],
    ["another text", /not the one that the receipt commits to/, (body) => replaced(body, "split", "burnt")],
    [
      "another usage",
      /not the one that the receipt commits to/,
      (body) => replaced(body, '"total_tokens":14', '"total_tokens":15'),
    ],
    [
      "another reason to finish",
      /not the one that the receipt commits to/,
      (body) => replaced(body, '"stop"', '"length"'),
    ],
    ["no object", /not an object/, () => []],
    [
      "a body of another kind",
      /choices that are no list/,
      ({ receipt }) => ({ object: "list", data: [], receipt: receipt! }),
    ],
    [
      "half a receipt",
      /receipt without entry/,
      ({ receipt, ...body }) => ({ ...body, receipt: without(receipt, "entry") }),
    ],
  ];
  test.each(wrongs)("%s", async (_, message, body) => {
    const { client } = await open(body === undefined ? {} : { body });
    const asking = client.chat(BODY);
    await expect(asking).rejects.toThrow(UnverifiedError);
    await expect(asking).rejects.toThrow(message);
  });

  test("a receipt under another's id", async () => {
    const body = ({ receipt, ...rest }: JsonObject) => ({
      ...rest,
      receipt: { ...(receipt as JsonObject), id: "00".repeat(32) },
    });
    const { client } = await open({ body });
    await expect(client.chat(BODY)).rejects.toThrow(/for another request/);
  });

  test("a receipt whose signature is not the node's", async () => {
    const { client } = await open({
      body: (body) => withEntry(body, (entry) => entry.with(-1, (entry.at(-1) ?? 0) ^ 1)),
    });
    await expect(client.chat(BODY)).rejects.toThrow(/not signed by the node's key/);
  });

  test("a receipt by a key that is no node's", async () => {
    const stranger = fixedSigner("stranger");
    const { client } = await open({
      async body(body) {
        const receipt = parseReceiptMember(body.receipt);
        const entry = parseEntry(receipt.entry);
        if (entry.kind !== "receipt") throw new Error("no receipt");
        const { bytes } = (await signEntry(stranger, "receipt", entry.says)).signed;
        return withEntry(body, () => bytes);
      },
    });
    await expect(client.chat(BODY)).rejects.toThrow(/not one that the network enrolled as a node's/);
  });

  test.each([
    ["evidence", /evidence/, { evidence: { attempts: [] } }],
    ["upstream's name for a model", /upstream model/, { upstream: { model: "a better one" } }],
  ])("with an %s told beside it that nobody signed", async (_, message, told) => {
    const body = ({ receipt, ...rest }: JsonObject) => ({ ...rest, receipt: { ...(receipt as JsonObject), ...told } });
    const { client } = await open({ body });
    const asking = client.chat(BODY);
    await expect(asking).rejects.toThrow(UnverifiedError);
    await expect(asking).rejects.toThrow(message);
  });

  test("what no receipt covers is left out", async () => {
    const { client } = await open({
      body: ({ choices, ...body }) => ({
        ...body,
        evil: "you were promised a refund",
        choices: (choices as JsonObject[]).map((choice) => ({
          ...choice,
          evil: 1,
          message: { ...(choice.message as JsonObject), function_call: { name: "pay", arguments: "{}" } },
        })),
      }),
    });
    const { body } = await client.chat(BODY);
    expect(JSON.stringify(body)).not.toMatch(/evil|function_call/);
    expect(body).toMatchObject({ choices: [{ message: { content: TEXT } }] });
  });

  test("a receipt that no node of the log signed", async () => {
    const tiny = await openTinyOpenAi();
    const other = await openTinyOpenAi();
    await other.network.log.append(utf8("something else"));
    const edges = { fetch: tiny.fetch, sleep: async () => {} };
    const client = createClient({ url: URL, apiKey: API_KEY, trust: { ...other.network.log.trust, keys: [] }, edges });
    await expect(client.chat(BODY)).rejects.toThrow(/checkpoint over the node's key/);
  });
});

describe("a stream that does not hold errors", () => {
  const isFrame = (block: string) => block.startsWith("data: ");
  const frameAt = (blocks: string[], n: number) => blocks.indexOf(blocks.filter(isFrame)[n] ?? "");
  const swapped = (blocks: string[], a: number, b: number) =>
    blocks.map((block, i) => (i === a ? (blocks[b] ?? "") : i === b ? (blocks[a] ?? "") : block));
  const wrongs: [string, RegExp, NonNullable<OpenAiSettings["blocks"]>][] = [
    ["cut off before its receipt", /before its receipt came/, (blocks) => blocks.slice(0, 6)],
    ["with nothing in it", /before its receipt came/, () => []],
    ["cut off within a frame", /before its receipt came/, (blocks) => [...blocks.slice(0, 4), "data: {"]],
    [
      "with a frame left out",
      /not those that the node signed for|signed for \d+ frames/,
      (blocks) => blocks.toSpliced(frameAt(blocks, 1), 1),
    ],
    [
      "with two frames the other way round",
      /not those that the node signed for/,
      (blocks) => swapped(blocks, frameAt(blocks, 1), frameAt(blocks, 2)),
    ],
    [
      "with another word",
      /not those that the node signed for/,
      (blocks) => blocks.map((block) => block.replace("stick", "stock")),
    ],
    [
      "with a frame twice",
      /signed for \d+ frames/,
      (blocks) => blocks.toSpliced(frameAt(blocks, 1), 0, blocks[frameAt(blocks, 1)]!),
    ],
    ["without the chain's beginning", /how its chain begins/, (blocks) => blocks.slice(1)],
    [
      "of another receipt",
      /of another receipt/,
      ([first = "", ...rest]) => [first.replace(/"receipt":"..../, '"receipt":"0000'), ...rest],
    ],
    [
      "by another node than it began with",
      /another key than the stream began with/,
      ([first = "", ...rest]) => [first.replace(/"node":"..../, '"node":"0000'), ...rest.filter(isFrame)],
    ],
    ["with a frame that is none", /frame that is none/, (blocks) => blocks.toSpliced(3, 0, "id: 7\n\n")],
    [
      "with a frame hidden behind a carriage return",
      /frame that is none/,
      (blocks) => blocks.toSpliced(3, 0, `: x\rdata: {"choices":[]}\n\n`),
    ],
    [
      "whose seals are taken out and a word changed",
      /not those that the receipt's chain is over|not the one that the receipt commits/,
      ([first = "", ...rest]) => [first, ...rest.filter(isFrame).map((block) => block.replace("stick", "stock"))],
    ],
    [
      "whose receipt is for another answer",
      /another salt than the stream began with/,
      (blocks) => blocks.map((block) => block.replace(/"response_salt":"..../, '"response_salt":"AAAA')),
    ],
  ];
  test.each(wrongs)("%s", async (_, message, blocks) => {
    const { client } = await open({ blocks });
    await client.chat(BODY); // So that the node's key is known.
    const stream = await client.chat({ ...BODY, stream: true });
    await expect(readAll(stream)).rejects.toThrow(message);
    await expect(stream.verified).rejects.toThrow(UnverifiedError);
  });

  test("whose seals are taken out and that says the same in other bytes", async () => {
    const blocks = ([first = "", ...rest]: string[]) => [
      first,
      ...rest.filter(isFrame).map((block, i) => (i === 2 ? block.replace('"created":1', '"created":2') : block)),
    ];
    const { client } = await open({ blocks });
    await expect(readAll(await client.chat({ ...BODY, stream: true }))).rejects.toThrow(/receipt's chain is over/);
  });

  test("with a carriage return in a frame", async () => {
    const { client } = await open({ blocks: (honest) => honest.toSpliced(3, 0, 'data: {"choices":[]\r}\n\n') });
    await expect(readAll(await client.chat({ ...BODY, stream: true }))).rejects.toThrow(/frame that is none/);
  });

  test("with a word more after its end", async () => {
    const blocks = (honest: string[]) => honest.toSpliced(-1, 0, honest[frameAt(honest, 1)] ?? "");
    const { client } = await open({ blocks });
    await expect(readAll(await client.chat({ ...BODY, stream: true }))).rejects.toThrow(/after the end of the answer/);
  });

  test("at the first seal that does not match, not only at the end", async () => {
    const blocks = (honest: string[]) =>
      honest.map((block) => block.replace("tally stick", "rally stick").replace('"tally ', '"rally '));
    const { client } = await open({ blocks });
    await client.chat(BODY);
    const seen: JsonObject[] = [];
    const reading = async () => {
      for await (const chunk of await client.chat({ ...BODY, stream: true })) seen.push(chunk);
    };
    await expect(reading()).rejects.toThrow(/first 3 frames are not those/);
    expect(seen.length).toBeLessThan(5);
  });

  test("sealed by somebody else", async () => {
    const { client } = await open({ sealSigner: "stranger" });
    const stream = await client.chat({ ...BODY, stream: true });
    await expect(readAll(stream)).rejects.toThrow(/not those that the node signed for/);
  });

  test("whose usage never comes, though it was asked for", async () => {
    const { client } = await open({ blocks: (blocks) => blocks.filter((block) => !block.includes('"choices":[],')) });
    const stream = await client.chat({ ...BODY, stream: true, stream_options: { include_usage: true } });
    await expect(readAll(stream)).rejects.toThrow(/before the usage/);
  });

  test("with a receipt of its own in the frame of the usage, which is left out", async () => {
    const blocks = (honest: string[]) =>
      honest.map((block) => block.replace('"choices":[],', '"receipt":{"checks":[]},"choices":[],'));
    const { client } = await open({ blocks });
    const { all } = await readAll(
      await client.chat({ ...BODY, stream: true, stream_options: { include_usage: true } }),
    );
    expect(all.at(-1)).not.toHaveProperty("receipt");
  });

  test("that the connection breaks, as unreachable, and sending again is not safe", async () => {
    const { client } = await open({ blocks: (blocks) => blocks.slice(0, 5), breaks: true });
    const reading = readAll(await client.chat({ ...BODY, stream: true }));
    await expect(reading).rejects.toThrow(UnreachableError);
    await expect(reading).rejects.toMatchObject({
      retrySafe: false,
      receiptId: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });
});

test("an error in mid-stream is the network's refusal, in its words alone", async () => {
  const error = { message: "the node died", code: "node_failed", receiptId: "ab".repeat(32) };
  const { client } = await open({
    blocks: (blocks) => [
      ...blocks.slice(0, 4),
      `data: ${JSON.stringify({ error, choices: [{ delta: { content: "!" } }] })}\n\n`,
    ],
  });
  const reading = readAll(await client.chat({ ...BODY, stream: true }));
  await expect(reading).rejects.toThrow(RefusedError);
  await expect(reading).rejects.toMatchObject({ ...error, retrySafe: true });
});

test("with hold no frame is given that no signature covers", async () => {
  const { client } = await open({ blocks: (blocks) => blocks.slice(0, 7) });
  await client.chat(BODY);
  const seen: JsonObject[] = [];
  const reading = async (hold: boolean) => {
    seen.length = 0;
    for await (const chunk of await client.chat({ ...BODY, stream: true }, { hold })) seen.push(chunk);
  };
  await expect(reading(true)).rejects.toThrow(UnverifiedError);
  expect(seen).toHaveLength(3); // Of five frames that came, the seal covers three.
  await expect(reading(false)).rejects.toThrow(UnverifiedError);
  expect(seen.length).toBeGreaterThanOrEqual(3);
  const { text } = await readAll(await (await open()).client.chat({ ...BODY, stream: true }, { hold: true }));
  expect(text).toBe(TEXT);
});

test("a stream that the caller aborts ends with what the caller said", async () => {
  const { client } = await open();
  const controller = new AbortController();
  controller.abort(new Error("enough"));
  await expect(client.chat(BODY, { signal: controller.signal })).rejects.toThrow("enough");
});

test("a refusal is the network's, and a session that it refuses is not asked with again", async () => {
  let refusals = 1;
  const { client, network } = await open({
    answer: (path) =>
      path.endsWith("completions") && refusals-- > 0 ? refusal(403, "forbidden", "no session") : undefined,
  });
  await expect(client.chat(BODY)).rejects.toMatchObject({
    name: "RefusedError",
    code: "forbidden",
    status: 403,
    retrySafe: true,
  });
  await client.chat(BODY);
  expect(network.sessions).toHaveLength(2);
});

test("what cannot be signed is not sent", async () => {
  const { client, received } = await open();
  await expect(client.chat({ model: TINY_MODEL, messages: ["\ud800"] })).rejects.toMatchObject({
    code: "invalid_request",
  });
  await expect(client.chat({ messages: [] })).rejects.toMatchObject({ code: "invalid_request" });
  await expect(client.chat({ ...BODY, model: "no/such" })).rejects.toMatchObject({ code: "not_found", status: 404 });
  expect(received).toEqual([]);
});

function withEntry(body: JsonObject, change: (entry: Uint8Array) => Uint8Array): JsonObject {
  const receipt = body.receipt as JsonObject;
  const entry = parseReceiptMember(receipt).entry;
  return { ...body, receipt: { ...receipt, entry: base64(change(entry)) } };
}

function replaced(body: JsonObject, from: string, to: string): unknown {
  const { receipt, ...rest } = body;
  const text = new TextDecoder().decode(encodeJson(rest)).replaceAll(from, to);
  return { ...JSON.parse(text), receipt };
}

function without(value: unknown, name: string): JsonObject {
  return Object.fromEntries(Object.entries(value as JsonObject).filter(([key]) => key !== name));
}
