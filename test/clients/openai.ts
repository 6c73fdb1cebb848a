/** The official client of OpenAI: as it is, by an API key, and wrapped. */

import { createClient, openingOf, UnverifiedError } from "@tallystick/client";
import { findTallystickError, receiptOf, verified } from "@tallystick/client/openai";
import { hex } from "@tallystick/protocol";
import OpenAI from "openai";
import { describe, expect, test } from "vitest";
import { serveTinyOpenAi } from "./liar.ts";
import { network, OWN, TEXT } from "./running.ts";

const MESSAGES = [{ role: "user" as const, content: "What is a tally stick?" }];
const TOOLS = [
  {
    type: "function" as const,
    function: { name: "weigh", parameters: { type: "object", properties: { what: { type: "string" } } } },
  },
];

const stock = () => new OpenAI({ baseURL: `${network.url}/v1`, apiKey: network.apiKey });
const wrapped = () => verified(stock(), { trust: network.trust });

describe.each([
  ["as it is", stock, [] as string[]],
  [
    "wrapped",
    wrapped,
    ["authorization", "terms", "response", "upstream", "evidence", "node signature", "node enrolment"],
  ],
])("openai, %s", (_, client, passed) => {
  const checked = (answer: unknown, isRelayed = true) => {
    const receipt = receiptOf(answer);
    expect(receipt?.receiptId).toMatch(/^[0-9a-f]{64}$/);
    const names = receipt?.checks.filter(({ state }) => state === "passed").map(({ name }) => name);
    const due = isRelayed ? passed : passed.filter((name) => name !== "upstream" && name !== "evidence");
    expect(names?.filter((name) => name !== "stream")).toEqual(due);
    return receipt;
  };

  test("create gives the answer and its receipt, whose id is in the header too", async () => {
    const asking = client().chat.completions.create({ model: network.model, messages: MESSAGES });
    const { data, response } = await asking.withResponse();
    expect(data.choices[0]?.message.content).toBe(TEXT);
    expect(data.usage?.total_tokens).toBe(14);
    const receipt = checked(data);
    expect(response.headers.get("x-receipt-id")).toBe(receipt?.receiptId);
    expect(data.id).toBe(`chatcmpl-${receipt?.receiptId}`);
  });

  test("the receipt of an answer verifies with what its caller has", async () => {
    const request = { model: network.model, messages: MESSAGES };
    const answer = await client().chat.completions.create(request);
    const { url, trust } = network;
    const id = hex(receiptOf(answer)!.id);
    const verdict = await createClient({ url, trust }).receipt(id, openingOf("chat", request, answer));
    expect(verdict.outcome).toBe("verified");
    const openings = verdict.checks.filter(({ name }) => name.endsWith("opening"));
    expect(openings.map(({ state }) => state)).toEqual(["passed", "passed"]);
  });

  test("a stream gives chunks, the receipt on the one with the finish_reason", async () => {
    const stream = await client().chat.completions.create({ model: network.model, messages: MESSAGES, stream: true });
    let text = "";
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      if (chunk.choices[0]?.finish_reason) {
        const chained = checked(chunk)?.checks.some(({ name }) => name === "stream");
        expect(chained).toBe(passed.length > 0);
      } else expect(receiptOf(chunk)).toBeUndefined();
    }
    expect(text).toBe(TEXT);
  });

  test("a stream says its usage once, where that was asked for", async () => {
    const usages: unknown[] = [];
    const stream = await client().chat.completions.create({
      ...{ model: network.model, messages: MESSAGES, stream: true as const },
      stream_options: { include_usage: true },
    });
    for await (const { usage } of stream) if (usage) usages.push(usage);
    expect(usages).toMatchObject([{ prompt_tokens: 3, completion_tokens: 11, total_tokens: 14 }]);
  });

  test("the helper for streams puts the receipt into its final object", async () => {
    const final = await client()
      .chat.completions.stream({ model: network.model, messages: MESSAGES })
      .finalChatCompletion();
    expect(final.choices[0]?.message.content).toBe(TEXT);
    checked(final);
  });

  test("tools are called, whole and in a stream", async () => {
    const asked = { model: network.model, messages: MESSAGES, tools: TOOLS };
    const whole = await client().chat.completions.create(asked);
    const streamed = await client().chat.completions.stream(asked).finalChatCompletion();
    for (const answer of [whole, streamed]) {
      const [call] = answer.choices[0]?.message.tool_calls ?? [];
      expect(call).toMatchObject({ id: "call_1", type: "function", function: { arguments: '{"what":"stick"}' } });
      checked(answer);
    }
  });

  test("completions, whole and in a stream", async () => {
    const whole = await client().completions.create({ model: network.model, prompt: "A tally" });
    expect(whole.choices[0]?.text).toBe(TEXT);
    checked(whole);
    let text = "";
    const stream = await client().completions.create({ model: network.model, prompt: "A tally", stream: true });
    for await (const chunk of stream) {
      text += chunk.choices[0]?.text ?? "";
      if (chunk.choices[0]?.finish_reason) checked(chunk);
    }
    expect(text).toBe(TEXT);
  });

  test("embeddings are floats, whichever way they came", async () => {
    for (const format of [{}, { encoding_format: "base64" as const }]) {
      const answer = await client().embeddings.create({ model: network.model, input: ["a", "b"], ...format });
      expect(answer.data).toHaveLength(2);
      if (!("encoding_format" in format)) expect(Array.from(answer.data[0]?.embedding ?? [])).toEqual([0.5, -2]);
      checked(answer);
    }
  });

  test("responses, whole and in a stream", async () => {
    const whole = await client().responses.create({ model: network.model, input: "What is a tally stick?" });
    expect(whole.output_text).toBe(TEXT);
    checked(whole);
    const stream = client().responses.stream({ model: network.model, input: "What is a tally stick?" });
    const final = await stream.finalResponse();
    expect(final.output_text).toBe(TEXT);
    checked(final);
    const events = await client().responses.create({ model: network.model, input: "What?", stream: true });
    for await (const event of events) if (event.type === "response.completed") checked(event);
  });

  test("the models that come with it answer, whole, in chunks and by the helper alike, each with its receipt", async () => {
    const asked = { model: OWN.chat, messages: MESSAGES, temperature: 0, max_completion_tokens: 6 };
    const whole = await client().chat.completions.create(asked);
    checked(whole, false);
    const said = whole.choices[0]?.message.content;
    let text = "";
    for await (const chunk of await client().chat.completions.create({ ...asked, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? "";
      if (chunk.choices[0]?.finish_reason) checked(chunk, false);
    }
    const final = await client().chat.completions.stream(asked).finalChatCompletion();
    checked(final, false);
    expect([text, final.choices[0]?.message.content]).toEqual([said, said]);
    const { model, temperature } = asked;
    const response = await client().responses.create({ model, temperature, input: "We", max_output_tokens: 6 });
    expect(response.output_text).not.toBe("");
    checked(response, false);
    const embedded = await client().embeddings.create({ model: OWN.embedding, input: "A tally" });
    expect(embedded.data[0]?.embedding).toHaveLength(512);
    checked(embedded, false);
  });

  test("a wrong API key is AuthenticationError, an unknown model NotFoundError", async () => {
    const stranger = client().withOptions({ apiKey: "tally-nobody" });
    if (passed.length === 0)
      await expect(stranger.chat.completions.create({ model: network.model, messages: MESSAGES })).rejects.toThrow(
        OpenAI.AuthenticationError,
      );
    else
      await expect(client().chat.completions.create({ model: "no/such", messages: MESSAGES })).rejects.toThrow(
        OpenAI.NotFoundError,
      );
  });
});

test("openai, wrapped: with an Idempotency-Key a call whose answer was lost is run once, and the answer holds", async () => {
  let lost = 1;
  const flaky = async (url: string, init?: RequestInit) => {
    const response = await fetch(url, init);
    if (url.endsWith("/completions") && lost-- > 0) {
      await response.text();
      throw new TypeError("fetch failed");
    }
    return response;
  };
  for (const stream of [false, true]) {
    lost = 1;
    const before = network.runCount();
    const client = verified(stock(), { trust: network.trust, edges: { fetch: flaky } });
    const headers = { "idempotency-key": `a key of this test, ${stream}` };
    const asking = { model: network.model, messages: MESSAGES };
    const answer = stream
      ? await client.chat.completions.stream(asking, { headers }).finalChatCompletion()
      : await client.chat.completions.create(asking, { headers });
    expect(answer.choices[0]?.message.content).toBe(TEXT);
    expect(receiptOf(answer)?.checks.length).toBeGreaterThan(5);
    expect([lost, network.runCount() - before]).toEqual([-1, 1]);
  }
});

describe("openai, wrapped, on a network that lies", () => {
  test("fails with what is wrong, and does not send the call again", async () => {
    await using liar = await serveTinyOpenAi({
      body: (honest) => JSON.parse(JSON.stringify(honest).replace("split", "burnt")),
    });
    const client = verified(new OpenAI({ baseURL: `${liar.url}/v1`, apiKey: liar.apiKey }), { trust: liar.trust });
    const asking = client.chat.completions.create({ model: liar.model, messages: MESSAGES });
    const error = await asking.catch((caught: unknown) => caught);
    expect(findTallystickError(error)).toBeInstanceOf(UnverifiedError);
    expect(liar.received).toHaveLength(1);
  });

  test("ends a stream with an error", async () => {
    await using liar = await serveTinyOpenAi({ blocks: (blocks) => blocks.slice(0, 6) });
    const client = verified(new OpenAI({ baseURL: `${liar.url}/v1`, apiKey: liar.apiKey }), { trust: liar.trust });
    const helper = client.chat.completions.stream({ model: liar.model, messages: MESSAGES });
    const error = await helper.finalChatCompletion().catch((caught: unknown) => caught);
    expect(findTallystickError(error)).toMatchObject({
      code: "unverified",
      message: expect.stringContaining("not whole"),
    });
    expect(liar.received).toHaveLength(1);
  });
});
