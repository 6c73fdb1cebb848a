import { createClient, createInputs, RefusedError, UnverifiedError } from "@tallystick/client";
import { NONCE_WINDOW, utf8 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { creditInput, startNetwork } from "../network.ts";
import { INPUTS, open, URL } from "./open.ts";
import { refusal } from "./tiny-network.ts";

const DAY_MS = 86_400_000;

test("each authorization of a session has the next nonce, however many calls are made at once", async () => {
  const { network, client, model } = await open();
  await Promise.all(Array.from({ length: 20 }, () => client.infer(model, INPUTS)));
  await client.infer(model, INPUTS);
  expect(network.asked.map(({ nonce }) => nonce).sort((a, b) => a - b)).toEqual(
    Array.from({ length: 21 }, (_, i) => i),
  );
  expect(network.sessions).toHaveLength(1);
});

test("near its end a session gives way to another, once for all calls that wait, and nonces begin again", async () => {
  let nowMs = Date.now();
  const { network, client, model } = await open({}, { nowMs: () => nowMs });
  await client.infer(model, INPUTS);
  nowMs += DAY_MS - 601_000;
  await client.infer(model, INPUTS);
  expect(network.sessions).toHaveLength(1);
  nowMs += 2_000;
  await Promise.all(Array.from({ length: 5 }, () => client.infer(model, INPUTS)));
  expect(network.sessions).toHaveLength(2);
  const nonces = network.asked.map(({ nonce }) => nonce);
  expect([nonces.slice(0, 2), nonces.slice(2).sort()]).toEqual([
    [0, 1],
    [0, 1, 2, 3, 4],
  ]);
  for (const [i, { says }] of network.sessions.entries())
    expect(says.expiry * 1000).toBeGreaterThan(network.asked[i === 0 ? 1 : 6]!.expiry * 1000);
});

test.each(["conflict", "forbidden"])(
  "a session that the network refuses as %s is not asked with again",
  async (code) => {
    let refusals = 1;
    const { network, client, model } = await open({
      answer: (path) => (path === "/v1/infer" && refusals-- > 0 ? refusal(409, code, "no") : undefined),
    });
    await expect(client.infer(model, INPUTS)).rejects.toThrow(RefusedError);
    await client.infer(model, INPUTS);
    await client.infer(model, INPUTS);
    expect(network.sessions).toHaveLength(2);
    expect(network.asked.map(({ nonce }) => nonce)).toEqual([0, 1]);
  },
);

test("a call that the network refuses for itself keeps its session", async () => {
  let refusals = 1;
  const { network, client, model } = await open({
    answer: (path) => (path === "/v1/infer" && refusals-- > 0 ? refusal(400, "invalid_request", "no") : undefined),
  });
  await expect(client.infer(model, INPUTS)).rejects.toThrow(RefusedError);
  await client.infer(model, INPUTS);
  expect(network.sessions).toHaveLength(1);
  expect(network.asked.map(({ nonce }) => nonce)).toEqual([1]);
});

test("a session that could not be opened is opened by the next call", async () => {
  let refusals = 1;
  const { client, model } = await open({
    answer: (path) => (path === "/v1/sessions" && refusals-- > 0 ? refusal(503, "unavailable", "later") : undefined),
  });
  await expect(client.infer(model, INPUTS)).rejects.toThrow("later");
  await expect(client.infer(model, INPUTS)).resolves.toHaveProperty("receiptId");
});

test("a grant to another key than the session's own is not taken", async () => {
  const stranger = await open();
  await stranger.client.infer(stranger.model, INPUTS);
  const grant = Buffer.from(stranger.network.sessions[0]!.signed.bytes).toString("base64");
  const another = await open({ answer: (path) => (path === "/v1/sessions" ? Response.json({ grant }) : undefined) });
  await expect(another.client.infer(another.model, INPUTS)).rejects.toThrow(UnverifiedError);
});

test("a network that does not name its gateway is not signed for", async () => {
  const { client, model, network } = await open({
    answer: (path) => (path === "/v1/network" ? Response.json({ origin: "x" }) : undefined),
  });
  await expect(client.infer(model, INPUTS)).rejects.toThrow(UnverifiedError);
  expect(network.sessions).toEqual([]);
});

test("asking without an API key is a mistake of the caller's, and no request is made", async () => {
  const { network, model } = await open();
  const client = createClient({ url: URL, edges: { fetch: network.fetch } });
  await expect(client.infer(model, INPUTS)).rejects.toThrow(TypeError);
  await expect(client.infer(model, INPUTS)).rejects.toThrow(/API key/);
  expect(network.sessions).toEqual([]);
});

test("more calls at once than a network has nonces open for one session are made in two", async () => {
  const { network, client, model } = await open();
  await Promise.all(Array.from({ length: NONCE_WINDOW + 100 }, () => client.infer(model, INPUTS)));
  expect(network.sessions).toHaveLength(2);
  expect(Math.max(...network.asked.map(({ nonce }) => nonce))).toBeLessThan(NONCE_WINDOW);
});

test("however many calls in a row a network refuses, the next good one is answered", async () => {
  await using network = await startNetwork({ models: ["credit-default"] });
  const client = createClient({ url: network.url, apiKey: network.apiKey });
  const model = await client.model("statlog/credit-default");
  const inputs = createInputs(model.forms, utf8(JSON.stringify(creditInput().data)));
  for (let i = 0; i <= NONCE_WINDOW; i++)
    await expect(client.infer(model, inputs, { outputs: ["no such output"] })).rejects.toThrow(RefusedError);
  await expect(client.infer(model, inputs)).resolves.toHaveProperty("receiptId");
});
