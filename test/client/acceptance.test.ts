import { createClient, createVerifiedFetch, RefusedError, UnverifiedError } from "@tallystick/client";
import { base64, hex, type JsonObject, keyId, signEntry } from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { fixedSigner } from "../fixed-keys.ts";
import { API_KEY } from "./tiny-network.ts";
import { type OpenAiSettings, openTinyOpenAi, TEXT, TINY_MODEL } from "./tiny-openai.ts";

const URL = "http://tiny.example";
const BODY = { model: TINY_MODEL, messages: [{ role: "user", content: "What is a tally stick?" }] };
const keyOfRole = (role: string) => hex(keyId(fixedSigner(role).spki));
const OTHER = "ab".repeat(32);

async function open(policy?: JsonObject, settings: OpenAiSettings = {}) {
  const tiny = await openTinyOpenAi(settings);
  const edges = { fetch: tiny.fetch, sleep: async () => {} };
  const options = { url: URL, apiKey: API_KEY, trust: tiny.network.log.trust, edges, ...(policy && { policy }) };
  return { ...tiny, client: createClient(options), verifiedFetch: createVerifiedFetch(options) };
}

/** What an answer was held to, or the sentence that refused it. */
async function outcomeOf(policy: JsonObject, settings?: OpenAiSettings) {
  const { client, received } = await open(undefined, settings);
  try {
    const { checks, body } = await client.chat(BODY, { policy });
    expect(body).toMatchObject({ choices: [{ message: { content: TEXT } }] });
    const own = checks.filter(({ name }) => name.startsWith("policy: "));
    return Object.fromEntries(own.map(({ name, state }) => [name.slice(8), state]));
  } catch (error) {
    if (!(error instanceof RefusedError || error instanceof UnverifiedError)) throw error;
    return `${error.code} after ${received.length}: ${/policy: \w+/.exec(error.message)?.[0]}`;
  }
}

describe("the SDK", () => {
  test("gives out an answer that meets the policy, and says each demand that was checked", async () => {
    const all = {
      tier: "signed",
      provenance: "executed",
      publishers: [keyOfRole("publisher")],
      withoutRoots: [`key:${OTHER}`],
    };
    expect(await outcomeOf(all)).toEqual({
      provenance: "passed",
      publisher: "passed",
      roots: "passed",
      tier: "passed",
    });
    expect(await outcomeOf({ models: { [TINY_MODEL]: { tier: "signed" } } })).toEqual({ tier: "passed" });
    expect(await outcomeOf({ models: { "another/model": { provenance: "executed" } } })).toEqual({});
  });

  test("gives out nothing that does not, though a gateway passed it: by another publisher, node or gateway", async () => {
    expect(await outcomeOf({ publishers: [OTHER] })).toBe("unverified after 1: policy: publisher");
    for (const role of ["node", "gateway"])
      expect(await outcomeOf({ withoutRoots: [`key:${keyOfRole(role)}`] })).toBe("unverified after 1: policy: roots");
  });

  test("holds a relayed answer to have been relayed, by what the node signed", async () => {
    const settings: OpenAiSettings = {
      async body(honest, { receiptThat }) {
        const receipt = await receiptThat((says) => ({ ...says, provenance: "relayed" }));
        const { receipt: member } = honest;
        return { ...honest, receipt: { ...(member as JsonObject), entry: Buffer.from(receipt).toString("base64") } };
      },
    };
    expect(await outcomeOf({ provenance: "executed" }, settings)).toBe("unverified after 1: policy: provenance");
    expect(await outcomeOf({ tier: "signed" }, settings)).toEqual({ tier: "passed" });
  });

  test("asks for no tier that no answer can be shown to have, unless it is to be used before", async () => {
    for (const tier of ["attested", "reexecuted", "proved"]) {
      expect(await outcomeOf({ tier })).toBe("policy_unmet after 0: undefined");
      expect(await outcomeOf({ tier, pending: "use" })).toEqual({ tier: "not_checked" });
    }
  });

  test("holds a stream to the policy before its end is given out", async () => {
    const { client } = await open({ publishers: [OTHER] });
    const stream = await client.chat({ ...BODY, stream: true });
    const read = async () => {
      for await (const _ of stream);
    };
    await expect(read()).rejects.toThrow("the answer is not one to accept: policy: publisher");
    await expect(stream.verified).rejects.toThrow(UnverifiedError);
  });

  test("tells the network the policy, a call's own in the place of the client's, and keeps it out of what is signed", async () => {
    const { client, received, verifiedFetch } = await open({ tier: "signed" });
    await client.chat(BODY);
    await client.chat(BODY, { policy: { provenance: "executed" } });
    const withPolicy = JSON.stringify({ ...BODY, tally_policy: { publishers: [OTHER] } });
    const answer = await verifiedFetch(`${URL}/v1/chat/completions`, { method: "POST", body: withPolicy });
    await expect(answer.json()).rejects.toThrow("policy: publisher");
    expect(received.map(({ headers }) => headers.get("x-tally-policy"))).toEqual([
      '{"tier":"signed"}',
      '{"provenance":"executed"}',
      '{"tier":"signed"}',
    ]);
  });

  test("refuses a policy that it does not understand, before anything is sent", async () => {
    const { client, received, verifiedFetch } = await open();
    await expect(client.chat(BODY, { policy: { teir: "proved" } })).rejects.toThrow("teir, which no policy has");
    const init = { method: "POST", body: JSON.stringify(BODY), headers: { "x-tally-policy": '{"tier":"gold"}' } };
    expect((await verifiedFetch(`${URL}/v1/chat/completions`, init)).status).toBe(400);
    expect(received).toEqual([]);
  });

  test("takes the publisher from what the publisher signed: a receipt file that shows another's enrolment is refused", async () => {
    const enrolment = { version: 1, action: "enrol", role: "publisher", name: "tiny-publisher" } as const;
    const stranger = fixedSigner("stranger");
    const forged = await signEntry(stranger, "key", { ...enrolment, spki: stranger.spki });
    const tiny = await openTinyOpenAi();
    async function fetch(url: string, init?: RequestInit): Promise<Response> {
      const answer = await tiny.fetch(url, init);
      if (!url.includes("/v1/receipts/")) return answer;
      const file = (await answer.json()) as { publisher: object };
      return Response.json({ ...file, publisher: { ...file.publisher, entry: base64(forged.signed.bytes) } });
    }
    const edges = { fetch, sleep: async () => {} };
    for (const publishers of [[keyOfRole("stranger")], [keyOfRole("publisher")]]) {
      const client = createClient({ url: URL, apiKey: API_KEY, edges, policy: { publishers } });
      await expect(client.chat(BODY)).rejects.toThrow("does not show who published the revision");
    }
  });
});
