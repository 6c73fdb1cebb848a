import {
  type Client,
  createClient,
  createInputs,
  createKey,
  type Edges,
  type Model,
  openKey,
  RefusedError,
  UnreachableError,
  UnverifiedError,
} from "@tallystick/client";
import {
  encodeAnswer,
  encodeDelivery,
  floats,
  floatTensor,
  keyId,
  parseEntry,
  parseReceiptFile,
  signAuthorization,
  utf8,
  verifySigned,
} from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { fixedSigner } from "../fixed-keys.ts";
import { MANIFEST } from "../one-receipt.ts";
import { API_KEY, refusal, type Served, TinyNetwork, type TinySettings } from "./tiny-network.ts";

const INPUTS = createInputs(MANIFEST.forms, utf8("[1, 2]"));
const URL = "http://tiny.example";
const DAY_MS = 86_400_000;

type Opened = { network: TinyNetwork; client: Client; model: Model };

async function open(settings: TinySettings = {}, edges: Partial<Edges> = {}): Promise<Opened> {
  const network = await TinyNetwork.open(settings);
  const all = { fetch: network.fetch, sleep: async () => {}, ...edges };
  const client = createClient({ url: URL, apiKey: API_KEY, trust: network.log.trust, edges: all });
  return { network, client, model: await client.model("example/double") };
}

test("an answer comes with a receipt whose file verifies, opened by the half that only the asker has", async () => {
  const { client, model } = await open();
  const { outputs, receiptId, opening } = await client.infer(model, INPUTS);
  expect(outputs.map((output) => [...floats(output)])).toEqual([[2, 4]]);
  const states = async (file: Uint8Array) => {
    const verdict = await client.verify(file);
    expect(verdict.outcome).toBe("verified");
    return verdict.checks.filter(({ name }) => name.endsWith("opening")).map(({ state }) => state);
  };
  expect(await states(await client.receiptFile(receiptId, opening))).toEqual(["passed", "passed"]);
  expect(await states(await client.receiptFile(receiptId))).toEqual(["not_checked", "not_checked"]);
});

test("what is asked is signed: the revision, the commitment, the price, the traffic and the decision", async () => {
  const { network, client, model } = await open();
  const decision = new Uint8Array(16).fill(3);
  await client.infer(model, INPUTS);
  await client.infer(model, INPUTS, { maxPrice: 8n, traffic: "test", decision });
  const { revisionDigest: revision } = model;
  expect(network.asked).toMatchObject([
    { revision, maxPrice: 3n, traffic: "production", tier: "signed" },
    { revision, maxPrice: 8n, traffic: "test", decision },
  ]);
  expect(network.asked[0]).not.toHaveProperty("decision");
  expect(network.asked[0]?.request).not.toEqual(network.asked[1]?.request);
});

describe("an answer that is not the one signed for is never handed over", () => {
  const other = encodeAnswer([floatTensor("y", [1, 2], [2, 5])]);
  const wrongs: [string, RegExp, (served: Served) => Uint8Array | Promise<Uint8Array>][] = [
    [
      "a receipt for an authorization of somebody else",
      /not for the authorization that was sent/,
      async ({ asked, delivery, receiptThat }) => {
        const { signed } = await signAuthorization(fixedSigner("stranger"), asked);
        const receipt = await receiptThat((says) => ({ ...says, authorization: signed.bytes }));
        return encodeDelivery({ ...delivery, receipt });
      },
    ],
    [
      "another answer",
      /not the one that the receipt commits to/,
      ({ delivery }) => encodeDelivery({ ...delivery, answer: other }),
    ],
    [
      "the answer under another salt",
      /not the one that the receipt commits to/,
      ({ delivery }) => encodeDelivery({ ...delivery, salt: new Uint8Array(32) }),
    ],
    [
      "a receipt that commits to no answer",
      /not the one that the receipt commits to/,
      async ({ delivery, receiptThat }) =>
        encodeDelivery({ ...delivery, receipt: await receiptThat(({ response: _, ...says }) => says) }),
    ],
    [
      "a price over the maximum",
      /price is over the maximum/,
      async ({ asked, delivery, receiptThat }) => {
        const receipt = await receiptThat((says) => ({ ...says, price: asked.maxPrice + 1n }));
        return encodeDelivery({ ...delivery, receipt });
      },
    ],
    [
      "the authorization itself in place of a receipt",
      /what the network delivered/,
      ({ authorization, delivery }) => encodeDelivery({ ...delivery, receipt: authorization }),
    ],
    [
      "another kind of entry in place of a receipt",
      /not for the authorization that was sent/,
      ({ delivery, network }) => encodeDelivery({ ...delivery, receipt: network.log.entries[0]! }),
    ],
    ["bytes that are no delivery", /what the network delivered/, () => utf8("<html>")],
    ["nothing at all", /what the network delivered/, () => new Uint8Array(0)],
  ];
  test.each(wrongs)("%s", async (_, message, deliver) => {
    const { client, model } = await open({ deliver });
    const asking = client.infer(model, INPUTS);
    await expect(asking).rejects.toThrow(UnverifiedError);
    await expect(asking).rejects.toThrow(message);
  });
});

test("another good receipt in place of the one asked for is not taken", async () => {
  let [first, second] = ["none", "none"];
  const { network, client, model } = await open({
    answer: (path) => (path.endsWith(first) ? new Response(network.file(second)) : undefined),
  });
  second = (await client.infer(model, INPUTS)).receiptId;
  first = (await client.infer(model, INPUTS)).receiptId;
  await expect(client.receiptFile(second)).resolves.toBeInstanceOf(Uint8Array);
  await expect(client.receiptFile(first)).rejects.toThrow(`gave the receipt ${second}, not ${first}`);
  await expect(client.receiptFile(first)).rejects.toThrow(UnverifiedError);
});

test("a receipt file that is none is not taken for the user's fault", async () => {
  const { client } = await open({ answer: (path) => (path.includes("receipts") ? new Response("{}") : undefined) });
  await expect(client.receiptFile("0".repeat(64))).rejects.toThrow(UnverifiedError);
});

test("a receipt file is waited for until a checkpoint covers it, and not for ever", async () => {
  let [nowMs, requests, covered] = [Date.now(), 0, true];
  const { network, client, model } = await open(
    {
      answer: (path) => {
        if (!path.includes("receipts") || (covered && ++requests > 3)) return undefined;
        const { receipt, ...rest } = JSON.parse(network.file(path.split("/").at(-1) ?? ""));
        return Response.json({ ...rest, receipt: { entry: receipt.entry } });
      },
    },
    {
      nowMs: () => nowMs,
      sleep: async (durationMs) => {
        nowMs += durationMs;
      },
    },
  );
  const { receiptId } = await client.infer(model, INPUTS);
  expect(await client.verify(await client.receiptFile(receiptId))).toMatchObject({ outcome: "verified" });
  expect(requests).toBe(4);
  covered = false;
  const started = nowMs;
  expect(await client.verify(await client.receiptFile(receiptId))).toMatchObject({ outcome: "inconclusive" });
  expect(nowMs - started).toBeGreaterThan(10_000);
  expect(nowMs - started).toBeLessThan(11_000);
});

describe("sessions", () => {
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
    expect(network.asked.map(({ nonce }) => nonce)).toEqual([0, 1, 0, 1, 2, 3, 4]);
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
});

describe("what goes wrong on the way says what it is", () => {
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

  test("an id that is none is a mistake of the caller's", async () => {
    const { client } = await open();
    const { signer } = await createKey();
    for (const id of ["", "0".repeat(63), "F".repeat(64), "../usage"])
      await expect(client.rely(id, signer, "me")).rejects.toThrow(TypeError);
  });
});

test("relying enrols the key as a relier's and signs for that receipt, both by that key", async () => {
  const { network, client, model } = await open();
  const { receiptId } = await client.infer(model, INPUTS);
  const { signer, pkcs8 } = await createKey();
  await client.rely(receiptId, signer, "a-relier");
  const [enrolment, reliance] = network.submitted.map(parseEntry);
  expect(enrolment).toMatchObject({ kind: "key", says: { action: "enrol", role: "relier", name: "a-relier" } });
  expect(reliance).toMatchObject({
    kind: "reliance",
    says: { receipt: parseReceiptFile(await client.receiptFile(receiptId)).id },
  });
  const again = await openKey(pkcs8);
  for (const { signed } of [enrolment!, reliance!]) {
    expect(signed.keyId).toEqual(keyId(signer.spki));
    expect(await verifySigned(signed, again.spki)).toBe(true);
  }
});
