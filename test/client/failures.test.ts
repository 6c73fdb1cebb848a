import { createClient, createKey, RefusedError, UnreachableError, UnverifiedError } from "@tallystick/client";
import { expect, test } from "vitest";
import { INPUTS, open, URL } from "./open.ts";
import { refusal, TinyNetwork } from "./tiny-network.ts";

test("a refusal has the network's code, status, sentence and receipt", async () => {
  const { client, model } = await open({
    answer: (path) =>
      path === "/v1/infer" ? refusal(502, "node_failed", "the node died", "ab".repeat(32)) : undefined,
  });
  const error = await client.infer(model, INPUTS).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(RefusedError);
  expect(error).toMatchObject({
    status: 502,
    code: "node_failed",
    message: "the node died",
    receiptId: "ab".repeat(32),
  });
});

test("a refusal in another form still has its status", async () => {
  const { client } = await open({ answer: () => undefined });
  await expect(client.usage()).rejects.toMatchObject({ code: "not_found", status: 404 });
  const html = await TinyNetwork.open({ answer: () => new Response("<h1>Bad gateway</h1>", { status: 502 }) });
  const behindProxy = createClient({ url: URL, edges: { fetch: html.fetch } });
  await expect(behindProxy.usage()).rejects.toMatchObject({
    name: "RefusedError",
    code: "unknown",
    status: 502,
    message: "/v1/usage answered with status 502",
  });
});

test("no answer is UnreachableError with its cause", async () => {
  const cause = new TypeError("fetch failed");
  const client = createClient({ url: URL, edges: { fetch: () => Promise.reject(cause) } });
  const error = await client.models().catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(UnreachableError);
  expect(error).toMatchObject({ cause, message: expect.stringContaining(URL) });
});

test("an answer that breaks off is UnreachableError too", async () => {
  const body = new ReadableStream({
    pull(controller) {
      controller.error(new Error("reset"));
    },
  });
  const client = createClient({ url: URL, edges: { fetch: async () => new Response(body) } });
  await expect(client.receiptFile("0".repeat(64))).rejects.toThrow(UnreachableError);
});

test("a page in place of JSON is said to be no Tallystick network", async () => {
  const client = createClient({ url: URL, edges: { fetch: async () => new Response("<html>") } });
  await expect(client.models()).rejects.toThrow(/did not answer in JSON: is that a Tallystick network/);
});

test("an artifact with other bytes than its digest says is not taken", async () => {
  const client = createClient({ url: URL, edges: { fetch: async () => new Response("other bytes") } });
  await expect(client.artifact("0".repeat(64))).rejects.toThrow(UnverifiedError);
});

test("a model without a revision cannot be asked", async () => {
  const client = createClient({ url: URL, edges: { fetch: async () => Response.json({ id: "x", manifest: {} }) } });
  await expect(client.model("x")).rejects.toThrow(UnverifiedError);
});

test("a model that the network puts in place of another cannot be asked", async () => {
  const { name } = (await open()).model;
  const network = await TinyNetwork.open();
  const said = await (await network.fetch(`${URL}/v1/models/${name}`)).text();
  const answering = (text: string) => createClient({ url: URL, edges: { fetch: async () => new Response(text) } });
  const swapped = said.replace(`"id":"${name}"`, '"id":"example/other"');
  await expect(answering(swapped).model("example/other")).rejects.toThrow(`the network means ${name}`);
  const altered = said.replace(/"revision":"[0-9a-f]{4}/, '"revision":"0000');
  await expect(answering(altered).model(name)).rejects.toThrow(`does not say what ${name} is made of`);
});

test("an id that is none is a mistake of the caller's", async () => {
  const { client } = await open();
  const { signer } = await createKey();
  for (const id of ["", "0".repeat(63), "F".repeat(64), "../usage"])
    await expect(client.rely(id, signer, "me")).rejects.toThrow(TypeError);
});
