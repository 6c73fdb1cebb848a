/** What the leaves of the log give away of chats, streams and tensors: no run of eight bytes, and nothing to who guesses. */
import {
  callOf,
  canonicalCall,
  chatAnswerOf,
  commit,
  encodeCall,
  encodeJsonAnswer,
  hex,
  isJsonObject,
  type JsonObject,
  parseEntry,
  sha256,
  utf8,
} from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sendJson, sendStream } from "../mock-upstream.ts";
import { creditInput, tensorOf } from "../network.ts";
import { entriesAt } from "../server/entries.ts";
import { chunk, MODEL, type RelayedNetwork, startRelayed, USAGE } from "./network.ts";

const CREDIT = "statlog/credit-default";
/** Among what anybody would try, and what was asked and answered. */
const PROMPT = "Will it rain in Paris today?";
const ANSWER = "yes, most likely";
const GUESSES = ["yes", "no", "Hello", "Say hello", "What is the capital of France?", "approve", PROMPT, ANSWER];
const AMOUNTS = [1000, 2500, 3500, 5000];
const SYSTEM = "You are an underwriter at Magrathea Savings; never mention Slartibartfast.";
/** Each unlike all others in its bytes. */
const numbers = { ...creditInput(), data: Array.from({ length: 52 }, (_, i) => Math.fround(Math.sin(i + 1) * 1000)) };

const chat = (prompt: string): JsonObject => ({
  messages: [{ role: "user", content: prompt }],
  temperature: 0,
});

let network: RelayedNetwork;
/** What the calls said, in all forms that their content has. */
const said: Uint8Array[] = [utf8(PROMPT), utf8(ANSWER), utf8(SYSTEM)];
/** The guessable calls' receipts, and their whole answers' bytes. */
const receipts: Record<"chat" | "tensors", string> = { chat: "", tensors: "" };
let wholeAnswer: Uint8Array;
let leaves: Uint8Array[];

beforeAll(async () => {
  network = await startRelayed(
    (response, { body }) => {
      if (body.stream === true)
        return sendStream(
          response,
          chunk({ role: "assistant", content: ANSWER }),
          chunk({}, { finish_reason: "stop" }),
          chunk({}, { choices: [], usage: USAGE }),
          "data: [DONE]\n\n",
        );
      const message = { role: "assistant", content: ANSWER };
      const choices = [{ index: 0, message, finish_reason: "stop", logprobs: null }];
      const head = { id: "their-secret-id-4711", object: "chat.completion", created: 1, model: "deep-thought-42" };
      return sendJson(response, { ...head, system_fingerprint: "fp_secret_0815", choices, usage: USAGE });
    },
    { models: ["credit-default"] },
  );
  said.push(utf8("their-secret-id-4711"), utf8("fp_secret_0815"), utf8("deep-thought-42"));
  const guessable = await network.post("/v1/chat/completions", { model: MODEL, ...chat(PROMPT) });
  const body: unknown = await guessable.json();
  if (!guessable.ok || !isJsonObject(body)) throw new Error(JSON.stringify(body));
  receipts.chat = guessable.headers.get("x-receipt-id") ?? "";
  wholeAnswer = encodeJsonAnswer(chatAnswerOf(body));
  const messages = [
    { role: "system", content: SYSTEM },
    { role: "user", content: PROMPT },
  ];
  const streamed = { model: MODEL, messages, stream: true, user: "customer Trillian McMillan" };
  expect(await (await network.post("/v1/chat/completions", streamed)).text()).toContain(ANSWER);
  said.push(utf8(streamed.user));
  for (const input of [creditInput(AMOUNTS[2]), numbers]) {
    const { status, receiptId, body } = await network.network.infer(CREDIT, [input]);
    expect(status).toBe(200);
    const { outputs } = body as { outputs: (typeof numbers)[] };
    if (input !== numbers) {
      receipts.tensors = receiptId ?? "";
      continue;
    }
    said.push(tensorOf(input).data, utf8(JSON.stringify(input.data)));
    for (const output of outputs)
      if (output.datatype === "FP32") said.push(tensorOf(output).data, utf8(JSON.stringify(output.data)));
  }
  await network.network.idle();
  leaves = await entriesAt(network.network.url);
});
afterAll(() => network[Symbol.asyncDispose]());

/** Every run of so many bytes. */
function* runsOf(bytes: Uint8Array, length: number): Generator<string> {
  const text = Buffer.from(bytes).toString("latin1");
  for (let i = 0; i + length <= text.length; i++) yield text.slice(i, i + length);
}

/** The kinds of the leaves that have a run of eight bytes of some content. */
function leaksOf(content: readonly Uint8Array[]): string[] {
  const runs = new Set(content.flatMap((bytes) => [...runsOf(bytes, 8)]));
  return leaves.flatMap((leaf) => ([...runsOf(leaf, 8)].some((run) => runs.has(run)) ? [parseEntry(leaf).kind] : []));
}

test("no eight bytes in a row of a prompt, an answer, a tensor or an upstream's word of itself are in any leaf", () => {
  expect(leaves.filter((leaf) => parseEntry(leaf).kind === "receipt")).toHaveLength(4);
  expect(said.flatMap((bytes) => [...runsOf(bytes, 8)]).length).toBeGreaterThan(1_000);
  expect(leaksOf(said)).toEqual([]);
  // The search finds what is there: the model's name is in its publication, in the middle of the manifest.
  expect(new Set(leaksOf([utf8(CREDIT)]))).toEqual(new Set(["model"]));
});

/** What a guess may have been signed as: alone, in the call's and the answer's canonical bytes, and as it travels. */
function spellingsOf(guess: string): Uint8Array[] {
  const bodies = [chat(guess), { messages: [{ role: "user", content: guess }] }];
  const calls = bodies.flatMap((body) => [utf8(JSON.stringify(body)), encodeCall(callOf("chat", body))]);
  return [utf8(guess), utf8(JSON.stringify(guess)), ...calls, encodeJsonAnswer({ content: guess })];
}

const tensorSpellings = (amount: number): Uint8Array[] => {
  const input = tensorOf(creditInput(amount));
  const call = canonicalCall({ operation: "infer", inputs: [input], outputs: [] });
  return [input.data, utf8(JSON.stringify(creditInput(amount).data)), encodeCall(call)];
};

/** The digests that somebody would try who guesses `bytes`, with a salt that is 32 bytes. */
const salted = (bytes: Uint8Array, salt: Uint8Array): Uint8Array[] => [
  commit("request", salt, bytes).digest,
  commit("response", salt, bytes).digest,
  sha256(salt, bytes),
  sha256(bytes, salt),
];

/** The spellings of which some leaf has a digest, whole or cut to sixteen bytes; `salts` is what is tried for the salt. */
function foundBy(spellings: readonly Uint8Array[], salts: readonly Uint8Array[]): string[] {
  const runs = new Set(leaves.flatMap((leaf) => [...runsOf(leaf, 16)]));
  const isThere = (digest: Uint8Array) => runs.has(Buffer.from(digest.subarray(0, 16)).toString("latin1"));
  return spellings.flatMap((bytes) => {
    const tried = [sha256(bytes), ...salts.flatMap((salt) => salted(bytes, salt))];
    return tried.some(isThere) ? [hex(bytes)] : [];
  });
}

const dictionary = () => [...GUESSES.flatMap(spellingsOf), ...AMOUNTS.flatMap(tensorSpellings), wholeAnswer];

test("who guesses every prompt, answer and tensor finds none in the leaves, with no salt and with easy ones", () => {
  const easy = [new Uint8Array(32), new Uint8Array(32).fill(0xff), sha256(new Uint8Array(0)), sha256(utf8(PROMPT))];
  expect(foundBy(dictionary(), easy)).toEqual([]);
});

test("nor does who takes any 32 bytes that the log itself shows for the salt of what was really asked and answered", () => {
  const shown = new Set(
    leaves
      .filter((leaf) => ["receipt", "grant"].includes(parseEntry(leaf).kind))
      .flatMap((leaf) => [...runsOf(leaf, 32)]),
  );
  expect(shown.size).toBeGreaterThan(1_000);
  const salts = [...shown].map((run) => Buffer.from(run, "latin1"));
  const real = [encodeCall(callOf("chat", chat(PROMPT))), wholeAnswer, ...tensorSpellings(AMOUNTS[2] ?? 0).slice(-1)];
  expect(foundBy(real, salts)).toEqual([]);
});

test("given the salts, the same search finds the call and the answer that were guessed, and no other", async () => {
  const saltsOf = async (id: string) => {
    const headers = { authorization: `Bearer ${network.network.apiKey}` };
    const answer = await network.network.fetch(`/v1/receipts/${id}/opening`, { headers });
    const { requestSalt, responseSalt } = (await answer.json()) as { requestSalt: string; responseSalt: string };
    return [requestSalt, responseSalt].map((salt) => new Uint8Array(Buffer.from(salt, "base64")));
  };
  const call = encodeCall(callOf("chat", chat(PROMPT)));
  expect(foundBy(dictionary(), await saltsOf(receipts.chat))).toEqual([hex(call), hex(wholeAnswer)]);
  const [tensors] = tensorSpellings(AMOUNTS[2] ?? 0).slice(-1);
  expect(foundBy(dictionary(), await saltsOf(receipts.tensors))).toEqual([hex(tensors ?? new Uint8Array(0))]);
});
