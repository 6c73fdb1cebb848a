/** LangChain's models of OpenAI: as they are, by an API key, and with our fields, which verify. */
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { UnverifiedError } from "@tallystick/client";
import { findTallystickError, ReceiptCollector, verifiedFields } from "@tallystick/client/langchain";
import { describe, expect, test } from "vitest";
import { serveTinyOpenAi } from "./liar.ts";
import { network, OWN, TEXT } from "./running.ts";

const PROMPT = "What is a tally stick?";
const TOOL = {
  type: "function" as const,
  function: { name: "weigh", description: "weighs", parameters: { type: "object", properties: {} } },
};

const stock = () => ({
  apiKey: network.apiKey,
  configuration: { baseURL: `${network.url}/v1` },
  __includeRawResponse: true,
});
const verifying = () => verifiedFields({ url: network.url, apiKey: network.apiKey, trust: network.trust });

describe.each([
  ["as it is", stock, false],
  ["with our fields", verifying, true],
])("LangChain, %s", (_, fields, isVerified) => {
  function open(asked: { model: string; temperature?: number; maxTokens?: number } = { model: network.model }) {
    const collector = new ReceiptCollector();
    const model = new ChatOpenAI({ ...asked, callbacks: [collector], ...fields() });
    return { model, collector };
  }
  const checked = ({ receipts }: ReceiptCollector) => {
    expect(receipts.size).toBe(1);
    const [receipt] = receipts.values();
    expect(receipt?.receiptId).toMatch(/^[0-9a-f]{64}$/);
    const states = receipt?.checks.map(({ name, state }) => `${name} ${state}`) ?? [];
    expect(states.includes("node enrolment passed")).toBe(isVerified);
    return receipt?.receiptId;
  };

  test("a message is answered, and its receipt collected; its id is in the message's", async () => {
    const { model, collector } = open();
    const message = await model.invoke(PROMPT);
    expect(message.content).toBe(TEXT);
    expect(message.id).toBe(`chatcmpl-${checked(collector)}`);
  });

  test("a stream is answered, and its receipt collected at its end", async () => {
    const { model, collector } = open();
    let text = "";
    for await (const chunk of await model.stream(PROMPT)) text += chunk.text;
    expect(text).toBe(TEXT);
    checked(collector);
  });

  test("a tool is called, whole and in a stream", async () => {
    const { model, collector } = open();
    const message = await model.bindTools([TOOL]).invoke(PROMPT);
    expect(message.tool_calls).toMatchObject([{ name: "weigh", args: { what: "stick" } }]);
    checked(collector);
    let called = "";
    for await (const chunk of await model.bindTools([TOOL]).stream(PROMPT))
      called += chunk.tool_call_chunks?.[0]?.args ?? "";
    expect(called).toBe('{"what":"stick"}');
    expect(collector.receipts.size).toBe(2);
  });

  test("the models that come with it answer, whole and in a stream alike, each with its receipt", async () => {
    const asked = { model: OWN.chat, temperature: 0, maxTokens: 6 };
    const whole = open(asked);
    const { content } = await whole.model.invoke(PROMPT);
    checked(whole.collector);
    const streamed = open(asked);
    let text = "";
    for await (const chunk of await streamed.model.stream(PROMPT)) text += chunk.text;
    expect(text).toBe(content);
    checked(streamed.collector);
    const { __includeRawResponse: _, ...own } = fields();
    expect(await new OpenAIEmbeddings({ model: OWN.embedding, ...own }).embedQuery("a")).toHaveLength(512);
  });

  test("texts are embedded", async () => {
    const { __includeRawResponse: _, ...own } = fields();
    const embeddings = new OpenAIEmbeddings({ model: network.model, ...own });
    expect(await embeddings.embedDocuments(["a", "b"])).toHaveLength(2);
  });
});

test("LangChain with our fields gives nothing of a network that lies, and does not send the call again", async () => {
  await using liar = await serveTinyOpenAi({
    body: (honest) => JSON.parse(JSON.stringify(honest).replace("split", "burnt")),
  });
  const model = new ChatOpenAI({ model: liar.model, ...verifiedFields(liar) });
  const error = await model.invoke(PROMPT).catch((caught: unknown) => caught);
  expect(findTallystickError(error)).toBeInstanceOf(UnverifiedError);
  expect(liar.received).toHaveLength(1);
});
