/** What an upstream does wrong, seen from the caller: each call has one receipt that says what came of it, and none is paid for. */
import { isJsonObject, type JsonObject, parseEntry, parseReceiptFile } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Behaviour, sendStream } from "../mock-upstream.ts";
import { chunk, HELLO, MODEL, type RelayedNetwork, startRelayed, USAGE } from "./network.ts";

/** What anybody could be charged. */
const TOP_UP = 1_000_000n;
const PRICES = { price: "7", unitPrice: "1000000", outputUnitPrice: "1000000" };
/** A call, five tokens in and three out. */
const HELLO_PRICE = 7n + 8n;

let behave: Behaviour;
let relayed: RelayedNetwork;
beforeAll(async () => {
  relayed = await startRelayed((...asked) => behave(...asked), { prices: PRICES });
  await relayed.network.topUp(TOP_UP);
});
afterAll(() => relayed[Symbol.asyncDispose]());

const ASK = { model: MODEL, messages: [{ role: "user", content: "Say hello" }] };
const [ROLE = "", HEL = "", LO = "", , STOP = "", USED = "", DONE = ""] = HELLO;

type Told = { status: string; price: bigint; hasResponse: boolean; units: number; outputUnits: number };

/** What the log's receipt of a call says. */
async function receiptOf(id: string | null, { network }: RelayedNetwork = relayed): Promise<Told> {
  await network.idle();
  const file = parseReceiptFile(new Uint8Array(await (await network.fetch(`/v1/receipts/${id}`)).arrayBuffer()));
  const entry = parseEntry(file.parts.receipt.bytes);
  if (entry.kind !== "receipt") throw new Error("no receipt");
  const { status, price, response, units, outputUnits = 0 } = entry.says;
  return { status, price, hasResponse: response !== undefined, units, outputUnits };
}

/** What its account has, is held to, and has spent by the log. */
async function moneyOf({ network }: RelayedNetwork = relayed): Promise<Record<"available" | "held" | "spent", string>> {
  await network.idle();
  const headers = { authorization: `Bearer ${network.apiKey}` };
  const { available, held, spent } = await (await network.fetch("/v1/balance", { headers })).json();
  return { available, held, spent };
}

const FAILED = { status: "failed", price: 0n, hasResponse: false, units: 0, outputUnits: 0 };

/** The error that a stream ends with. */
function errorIn(text: string): JsonObject | undefined {
  const last = text.trimEnd().split("\n\n").at(-1) ?? "";
  const parsed: unknown = last.startsWith("data: {") ? JSON.parse(last.slice(6)) : undefined;
  return isJsonObject(parsed) && isJsonObject(parsed.error) ? parsed.error : undefined;
}

const EURO = new TextEncoder().encode(chunk({ content: "€" }));
const inEuro = EURO.indexOf(0xe2) + 1;

const FAULTS: [what: string, behave: Behaviour][] = [
  ["ends before its answer does", (response) => sendStream(response, ROLE, HEL, LO)],
  ["is cut off in the middle of a chunk", (response) => sendStream(response, ROLE, HEL, LO.slice(0, 20))],
  [
    "hangs up",
    (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(ROLE + HEL);
      setImmediate(() => response.destroy());
    },
  ],
  ["goes on after it has finished", (response) => sendStream(response, ROLE, HEL, STOP, LO, USED, DONE)],
  [
    "changes its answer's name on the way",
    (response) => sendStream(response, ROLE, HEL, LO.replace('"up-1"', '"up-2"'), STOP, USED, DONE),
  ],
  [
    "numbers a choice that nobody asked for",
    (response) => sendStream(response, ROLE, HEL, LO.replace('"index":0', '"index":7'), STOP, USED, DONE),
  ],
  ["says no word of usage", (response) => sendStream(response, ROLE, HEL, LO, STOP, DONE)],
  ["sends the end before the middle", (response) => sendStream(response, ROLE, HEL, USED, STOP, LO, DONE)],
  [
    "has half a character in the middle",
    (response) => sendStream(response, ROLE, EURO.subarray(0, inEuro), HEL, STOP, USED, DONE),
  ],
  ["ends in half a character", (response) => sendStream(response, ROLE, HEL, EURO.subarray(0, inEuro))],
  [
    "tells of an error in mid-stream",
    (response) => sendStream(response, ROLE, HEL, 'data: {"error":{"message":"boom","type":"server_error"}}\n\n'),
  ],
];

/** That a call, whole and streamed, fails with a receipt, costs nothing and looks like no answer. */
async function expectFailure(network: RelayedNetwork, error: { status: number; code: string }): Promise<void> {
  const before = await moneyOf(network);
  const whole = await network.post("/v1/chat/completions", ASK);
  expect(whole.status).toBe(error.status);
  expect(await receiptOf(whole.headers.get("x-receipt-id"), network)).toEqual(FAILED);
  expect(await whole.json()).toMatchObject({ error: { code: error.code, type: "server_error" } });
  const streamed = await network.post("/v1/chat/completions", { ...ASK, stream: true });
  const text = await streamed.text();
  if (streamed.status === 200) {
    expect(errorIn(text)).toMatchObject({ code: error.code, receiptId: streamed.headers.get("x-receipt-id") });
    expect(text).not.toContain("[DONE]");
    expect(text).not.toContain('"receipt":');
  } else expect(streamed.status).toBe(error.status);
  expect(await receiptOf(streamed.headers.get("x-receipt-id"), network)).toEqual(FAILED);
  expect(await moneyOf(network)).toEqual(before);
}

test.each(FAULTS)("an upstream that %s: a failed receipt, no charge, and nothing that looks whole", async (_, how) => {
  behave = how;
  await expectFailure(relayed, { status: 502, code: "node_failed" });
});

test.each([
  ["says nothing", []],
  ["falls silent in the middle", [ROLE, HEL]],
])(
  "an upstream that %s: a failed receipt, no charge, and the caller is told that it took too long",
  async (_, said) => {
    const hang: Behaviour = (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const piece of said) response.write(piece);
    };
    // A whole answer may begin as late as it may end.
    const timeouts = { firstByteMs: 500, betweenChunksMs: 500, wholeMs: 1_500 };
    await using hanging = await startRelayed(hang, { prices: PRICES, timeouts });
    await hanging.network.topUp(TOP_UP);
    await expectFailure(hanging, { status: 504, code: "deadline_exceeded" });
  },
);

test("usage that comes more than once is counted once, in one frame, in the receipt and in the price", async () => {
  behave = (response) =>
    sendStream(response, ROLE, HEL.replace("}]}", `}],"usage":${JSON.stringify(USAGE)}}`), LO, STOP, USED, USED, DONE);
  const before = await moneyOf();
  const streamed = await relayed.post("/v1/chat/completions", {
    ...ASK,
    stream: true,
    stream_options: { include_usage: true },
  });
  const text = await streamed.text();
  expect(text.match(/"usage":\{/g)).toHaveLength(1);
  expect(text).toContain(`"prompt_tokens":5,"completion_tokens":3`);
  const receipt = await receiptOf(streamed.headers.get("x-receipt-id"));
  // Units are the next step of the ladder.
  expect(receipt).toEqual({ status: "ok", price: HELLO_PRICE, hasResponse: true, units: 6, outputUnits: 3 });
  const { available } = await moneyOf();
  expect(BigInt(before.available) - BigInt(available)).toBe(HELLO_PRICE);
});

test("a character that arrives in two pieces is one", async () => {
  behave = (response) => sendStream(response, ROLE, EURO.subarray(0, inEuro), EURO.subarray(inEuro), STOP, USED, DONE);
  const answer = await relayed.post("/v1/chat/completions", ASK);
  expect(await answer.json()).toMatchObject({ choices: [{ message: { content: "€" } }] });
});

test("a caller that goes away in mid-stream: the upstream is let go of, and the receipt says cancelled and costs nothing", async () => {
  const closed = new Promise<void>((resolve) => {
    behave = (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(ROLE + HEL);
      response.on("close", resolve);
    };
  });
  const before = await moneyOf();
  const gone = new AbortController();
  const streamed = await relayed.post("/v1/chat/completions", { ...ASK, stream: true }, {}, gone.signal);
  const reader = streamed.body?.getReader();
  await reader?.read();
  gone.abort();
  await closed;
  const id = streamed.headers.get("x-receipt-id");
  const told = () => receiptOf(id).catch(() => undefined);
  await expect.poll(told, { timeout: 30_000 }).toEqual({ ...FAILED, status: "cancelled" });
  expect(await moneyOf()).toEqual(before);
});

test.each([true, false])(
  "a caller that goes away before the first piece, stream: %s: the upstream is let go of at once",
  async (stream) => {
    const gone = new AbortController();
    const letGo = new Promise<number>((resolve) => {
      behave = (response) => {
        const askedMs = performance.now();
        response.on("close", () => resolve(performance.now() - askedMs));
        gone.abort();
      };
    });
    const asked = relayed.post("/v1/chat/completions", { ...ASK, stream }, {}, gone.signal);
    await expect(asked).rejects.toThrow("abort");
    // Long before a stream that says nothing is begun all the same, which is after ten seconds.
    expect(await letGo).toBeLessThan(8_000);
  },
);

test("the key of an upstream, its model's name and its words are in no answer, no log entry and no report", async () => {
  behave = (response) => sendStream(response, ...HELLO);
  const answer = await relayed.post("/v1/chat/completions", ASK);
  const body = await answer.text();
  const { receipt, ...shown } = JSON.parse(body);
  // The requester, and nobody else, may open what the upstream called itself.
  expect(receipt.upstream).toEqual({ model: "their-model-7b", response_id: "up-1", system_fingerprint: "fp_1" });
  expect(JSON.stringify(shown)).not.toContain("their-model-7b");
  await relayed.network.idle();
  const file = await (await relayed.network.fetch(`/v1/receipts/${answer.headers.get("x-receipt-id")}`)).text();
  expect(file).not.toContain(Buffer.from("their-model-7b").toString("base64").slice(2, -2));
  expect(JSON.stringify(relayed.network.reported)).not.toContain("their-model-7b");
});
