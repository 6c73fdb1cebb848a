/**
 * Text of engines that are not exact, verified by forcing: the language model that ships, in onnxruntime-node, and in llama.cpp
 * where node-llama-cpp is installed or the folder that NODE_LLAMA_CPP names has it.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import {
  type Call,
  encodeCall,
  encodeJsonAnswer,
  type JsonObject,
  type Manifest,
  sha256,
  tokensIn,
  unitStep,
} from "@tallystick/protocol";
import { afterAll, describe, expect, test } from "vitest";
import { openTestNode, readSource, withOtherWeights } from "../../../../test/claims.ts";
import { readLlama } from "./profile.ts";
import { type Claim, openReexecution } from "./reexecute.ts";

const findLlama = createRequire(join(process.env.NODE_LLAMA_CPP ?? import.meta.dirname, "index.js")).resolve;
const hasLlama = await readLlama(findLlama).then(
  () => true,
  () => false,
);
const judge = await openReexecution({ findLlama, log: () => {} });
const node = await openTestNode({ findLlama });
afterAll(async () => {
  await judge[Symbol.asyncDispose]();
  await node[Symbol.asyncDispose]();
});

const NATIVE: Partial<Manifest> = { engine: "native", tolerance: { absolute: "0.0001", relative: "0.0001" } };
const model = await readSource("state-of-the-union", NATIVE);
const VOCABULARY = 2_000;

const PROMPTS = ["The state of our Union", "Peace", "Our farms and", "Mr. Speaker, the"];
const asked = (prompt: string, more: JsonObject = {}): Call => ({
  operation: "completion",
  body: { prompt, max_tokens: 40, ...more },
});
const write = (call: Call, source = model, seed = 1) => node.answer(source, call, sha256(Uint8Array.of(seed)));

function tokensOf({ evidence }: Claim): number[][] {
  const tokens = tokensIn(evidence ?? {});
  if (tokens === undefined) throw new Error("a node tells the tokens of an engine that is not exact");
  return tokens;
}

const withTokens = (claim: Claim, tokens: number[][]): Claim => ({ ...claim, evidence: { attempts: [], tokens } });

describe("what a native engine wrote", () => {
  test.each<[string, JsonObject]>([
    ["the likeliest", { temperature: 0 }],
    ["drawn", { temperature: 1 }],
    ["drawn from a nucleus", { temperature: 0.8, top_p: 0.8 }],
    ["with penalties", { frequency_penalty: 0.5, presence_penalty: 0.5 }],
    ["in several choices", { n: 3 }],
    ["with probabilities", { logprobs: 3 }],
    ["until a stop", { stop: ["the", "."] }],
    ["after its prompt", { echo: true }],
    ["of no tokens", { max_tokens: 0 }],
  ])("passes: %s", async (_, more) => {
    for (const prompt of PROMPTS.slice(0, 2))
      expect(await judge.reexecute(await write(asked(prompt, more)))).toMatchObject({
        ...{ outcome: "passed", method: "forcing", isProvable: false },
        profile: { runtime: judge.profile.runtime, exactness: "tolerant" },
      });
  });

  test("passes as a chat and as a response", async () => {
    const body = {
      messages: [{ role: "user", content: "What of the farms?" }],
      max_tokens: 20,
      logprobs: true,
      top_logprobs: 2,
    };
    expect(await judge.reexecute(await write({ operation: "chat", body }))).toMatchObject({ outcome: "passed" });
    const response: Call = { operation: "response", body: { input: "What of the farms?", max_output_tokens: 20 } };
    expect(await judge.reexecute(await write(response))).toMatchObject({ outcome: "passed", method: "forcing" });
  });

  const failed = async (claim: Claim, detail: RegExp) =>
    expect(await judge.reexecute(claim)).toMatchObject({
      ...{ outcome: "failed", method: "forcing", isProvable: false },
      detail: expect.stringMatching(detail),
    });

  test("fails with one token swapped, and at that very token unless it is within the margin too", async () => {
    let [caught, atOnce, tried] = [0, 0, 0];
    for (const [which, prompt] of PROMPTS.entries())
      for (const temperature of [0, 1]) {
        const claim = await write(asked(prompt, { temperature }), model, which);
        const [tokens = []] = tokensOf(claim);
        for (let at = 0; at < tokens.length; at += 4) {
          const swapped = tokens.with(at, (400 + 37 * tried) % VOCABULARY);
          tried++;
          const { outcome, detail } = await judge.reexecute(withTokens(claim, [swapped]));
          if (outcome === "failed") caught++;
          if (detail.includes(`token ${at} of choice 0 is none`)) atOnce++;
        }
      }
    console.log(`one swapped token: ${caught} of ${tried} caught, ${atOnce} at that token`);
    expect(atOnce / tried).toBeGreaterThan(0.95);
    expect(caught).toBe(tried);
  });

  test("fails where the tokens are not those of the text, are none, or are too few or too many", async () => {
    const claim = await write(asked("Peace"));
    const [tokens = []] = tokensOf(claim);
    const other = await write(asked("Peace"), model, 2);
    await failed({ ...claim, answer: other.answer }, /not the model's/);
    await failed(withTokens(claim, [tokens.slice(0, -1)]), /goes on after its 39 claimed tokens/);
    await failed(withTokens(claim, [[...tokens, 5]]), /ends after 40 of its 41 claimed tokens/);
    await failed(withTokens(claim, [tokens, tokens]), /of 2 choices, not 1/);
    for (const stray of [1e9, 0.5]) await failed(withTokens(claim, [tokens.with(20, stray)]), /token 20|no tokens/);
    const { evidence: _, ...silent } = claim;
    await failed(silent, /tells no tokens/);
  });

  test("fails with another seed or another prompt", async () => {
    const claim = await write(asked("Peace"));
    await failed({ ...claim, receiptId: sha256(Uint8Array.of(7)) }, /none that the model would have chosen/);
    await failed({ ...claim, call: encodeCall(asked("War")) }, /none that the model would have chosen/);
  });

  test("fails with other weights: those of the model with three bits of fraction each", async () => {
    const rounded = withOtherWeights(model, (raw, width) => {
      // The lowest bits of each fraction.
      for (let at = 0; at < raw.length; at += width) raw[at] = (raw[at] ?? 0) & (width === 2 ? 0x80 : 0xff);
    });
    let [caught, tried] = [0, 0];
    for (const [which, prompt] of PROMPTS.entries()) {
      const { manifest, files } = model;
      const claim = await write(asked(prompt, { max_tokens: 100 }), rounded, which);
      tried++;
      if ((await judge.reexecute({ ...claim, manifest, files })).outcome === "failed") caught++;
    }
    console.log(`other weights, 100 tokens each: ${caught} of ${tried} caught`);
    expect(caught).toBe(tried);
  });

  test("is undecided where it has more tokens than evidence commits to, and call, model and receipt allow as many", async () => {
    const claim = await write(asked("Peace"));
    const answer = encodeJsonAnswer({ choices: [], usage: { completion_tokens: 8_000 } });
    const { evidence: _, ...silent } = { ...claim, answer };
    const long = { ...silent, manifest: { ...claim.manifest, contextLength: 9_000 }, outputUnits: unitStep(8_000) };
    const call = encodeCall(asked("Peace", { max_tokens: 8_000 }));
    expect(await judge.reexecute({ ...long, call })).toMatchObject({ outcome: "undecided", method: "forcing" });
    await failed(long, /tells no tokens/); // Its call allows 40.
    await failed({ ...long, call, manifest: claim.manifest }, /tells no tokens/);
    await failed({ ...long, call, outputUnits: 1 }, /tells no tokens/);
  });
});

test.runIf(hasLlama)("what llama.cpp wrote passes, and fails with a token swapped", async () => {
  const gguf = await readSource("state-of-the-union/gguf", { tolerance: { absolute: "0.01", relative: "0.001" } });
  for (const temperature of [0, 1]) {
    const claim = await write(asked("Our farms and", { temperature }), gguf);
    expect(await judge.reexecute(claim)).toMatchObject({
      ...{ outcome: "passed", method: "forcing", isProvable: false },
      profile: { runtime: expect.stringMatching(/^node-llama-cpp@/) },
    });
    const [tokens = []] = tokensOf(claim);
    expect(await judge.reexecute(withTokens(claim, [tokens.with(9, 700)]))).toMatchObject({ outcome: "failed" });
  }
});
