/** The AI SDK: its own provider for compatible networks, by an API key, and ours, which verifies. */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { UnverifiedError } from "@tallystick/client";
import { createTallystick, findTallystickError, receiptExtractor, receiptOf } from "@tallystick/client/ai-sdk";
import { dynamicTool, embed, generateText, jsonSchema, streamText } from "ai";
import { describe, expect, test } from "vitest";
import { serveTinyOpenAi } from "./liar.ts";
import { network, OWN, TEXT } from "./running.ts";

const PROMPT = "What is a tally stick?";

const stock = () =>
  createOpenAICompatible({
    name: "tallystick",
    baseURL: `${network.url}/v1`,
    apiKey: network.apiKey,
    includeUsage: true,
    metadataExtractor: receiptExtractor,
  });
const verifying = () => createTallystick({ url: network.url, apiKey: network.apiKey, trust: network.trust });

describe.each([
  ["its own provider", stock, false],
  ["ours", verifying, true],
])("the AI SDK with %s", (_, provider, isVerified) => {
  const checked = (providerMetadata: Record<string, unknown> | undefined) => {
    const receipt = receiptOf(providerMetadata?.tallystick);
    expect(receipt?.receiptId).toMatch(/^[0-9a-f]{64}$/);
    const states = receipt?.checks.map(({ name, state }) => `${name} ${state}`) ?? [];
    expect(states.includes("node enrolment passed")).toBe(isVerified);
    return receipt?.receiptId;
  };

  test("text is generated, with its receipt in the provider's metadata and its id in the header", async () => {
    const { text, usage, providerMetadata, response } = await generateText({
      model: provider()(network.model),
      prompt: PROMPT,
    });
    expect(text).toBe(TEXT);
    expect(usage.totalTokens).toBe(14);
    expect(response.headers?.["x-receipt-id"]).toBe(checked(providerMetadata));
  });

  test("text is streamed, with its receipt at the end and its usage whole", async () => {
    const result = streamText({ model: provider()(network.model), prompt: PROMPT });
    let text = "";
    for await (const piece of result.textStream) text += piece;
    expect(text).toBe(TEXT);
    expect(await result.usage).toMatchObject({ inputTokens: 3, outputTokens: 11, totalTokens: 14 });
    checked(await result.providerMetadata);
  });

  test.each(["generateText", "streamText"])("%s calls a tool", async (how) => {
    const inputSchema = jsonSchema({ type: "object", properties: { what: { type: "string" } } });
    const tools = { weigh: dynamicTool({ inputSchema, execute: async () => "light" }) };
    const asked = { model: provider()(network.model), prompt: PROMPT, tools };
    const { toolCalls, providerMetadata } = how === "generateText" ? await generateText(asked) : streamText(asked);
    expect(await toolCalls).toMatchObject([{ toolName: "weigh", input: { what: "stick" } }]);
    checked(await providerMetadata);
  });

  test("the models that come with it answer, whole and in a stream alike, each with its receipt", async () => {
    const asked = { model: provider()(OWN.chat), prompt: PROMPT, temperature: 0, maxOutputTokens: 6 };
    const whole = await generateText(asked);
    checked(whole.providerMetadata);
    const streamed = streamText(asked);
    expect(await streamed.text).toBe(whole.text);
    checked(await streamed.providerMetadata);
    const embedded = await embed({ model: provider().embeddingModel(OWN.embedding), value: "a text" });
    expect(embedded.embedding).toHaveLength(512);
    expect(receiptOf(embedded.response?.body)?.receiptId).toMatch(/^[0-9a-f]{64}$/);
  });

  test("a text is embedded", async () => {
    const { embedding, response } = await embed({
      model: provider().embeddingModel(network.model),
      value: "a text",
    });
    expect(embedding).toEqual([0.5, -2]);
    expect(receiptOf(response?.body)?.receiptId).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe("the AI SDK with our provider, on a network that lies", () => {
  test("generates nothing, and does not send the call again", async () => {
    await using liar = await serveTinyOpenAi({
      body: (honest) => JSON.parse(JSON.stringify(honest).replace("split", "burnt")),
    });
    const provider = createTallystick({ url: liar.url, apiKey: liar.apiKey, trust: liar.trust });
    const asking = generateText({ model: provider(liar.model), prompt: PROMPT });
    const error = await asking.catch((caught: unknown) => caught);
    expect(findTallystickError(error)).toBeInstanceOf(UnverifiedError);
    expect(liar.received).toHaveLength(1);
  });

  test("ends a stream with an error", async () => {
    await using liar = await serveTinyOpenAi({ blocks: (blocks) => blocks.slice(0, 6) });
    const provider = createTallystick({ url: liar.url, apiKey: liar.apiKey, trust: liar.trust });
    const errors: unknown[] = [];
    const result = streamText({
      model: provider(liar.model),
      prompt: PROMPT,
      onError: ({ error }) => void errors.push(error),
    });
    const reading = async () => {
      for await (const _ of result.textStream);
    };
    await reading().catch((error: unknown) => errors.push(error));
    expect(errors.map(findTallystickError)).toMatchObject([{ code: "unverified" }]);
  });
});
