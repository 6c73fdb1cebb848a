/** Acceptance policies at the gateway: what is refused by name before anything runs, and by whose word. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@tallystick/client";
import { hex, type JsonObject, parseEntry, parseReceiptFile } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { creditInput, startNetwork, type TestNetwork, tensorOf } from "../network.ts";
import { CREDIT } from "./refusals.ts";

let network: TestNetwork;
beforeAll(async () => {
  network = await startNetwork();
});
afterAll(() => network[Symbol.asyncDispose]());

type Refused = { error: string; code: string };
const OTHER = "ab".repeat(32);

function ask(policy: unknown, apiKey = network.apiKey): Promise<Response> {
  const headers = { authorization: `Bearer ${apiKey}`, "x-tally-policy": JSON.stringify(policy) };
  const body = JSON.stringify({ inputs: [creditInput()] });
  return network.fetch(`/v2/models/${CREDIT}/infer`, { method: "POST", headers, body });
}

const receiptCount = async () => {
  await network.idle();
  const usage = (await (await network.fetch("/v1/usage")).json()) as { totals: { gross: number } };
  return usage.totals.gross;
};

test("a call is answered where its policy can be met, and refused by the name of the demand where it cannot", async () => {
  const before = await receiptCount();
  for (const policy of [{}, { tier: "signed", provenance: "executed", withoutRoots: [`key:${OTHER}`] }])
    expect((await ask(policy)).status).toBe(200);
  for (const [policy, demand] of [
    [{ publishers: [OTHER] }, "policy: publisher"],
    [{ tier: "attested" }, "policy: tier"],
    [{ tier: "reexecuted" }, "policy: tier"],
    [{ tier: "proved", pending: "use" }, "policy: tier"],
    [{ tier: "signed", models: { [CREDIT]: { tier: "proved" } } }, "policy: tier"],
  ] as const) {
    const answer = await ask(policy);
    expect(answer.status).toBe(412);
    const { error, code } = (await answer.json()) as Refused;
    expect(code).toBe("policy_unmet");
    expect(error).toContain(demand);
  }
  expect(await receiptCount()).toBe(before + 2);
});

test("a node or a gateway that the policy excludes is not asked", async () => {
  const { receiptId = "" } = await network.infer(CREDIT, [creditInput()]);
  const bytes = await createClient({ url: network.url, trust: network.trust }).receiptFile(receiptId);
  const { parts } = parseReceiptFile(bytes);
  for (const [part, reason] of [
    ["node", "none of the 1 nodes"],
    ["gateway", "policy: roots"],
  ] as const) {
    const id = hex(parseEntry(parts[part].bytes).signed.keyId);
    const before = await receiptCount();
    const answer = await ask({ withoutRoots: [`key:${id}`] });
    expect(answer.status).toBe(412);
    expect(((await answer.json()) as Refused).error).toContain(reason);
    expect(await receiptCount()).toBe(before);
  }
});

test("a policy that is not understood is refused, whoever states it", async () => {
  const answer = await ask({ teir: "proved" });
  expect(answer.status).toBe(400);
  expect(((await answer.json()) as Refused).error).toContain("teir, which no policy has");
});

test("an API key's policy holds whatever the call says, and a session that it was granted is held to it too", async () => {
  const admin = (await readFile(join(network.data, "keys", "admin-token"), "utf8")).trim();
  const operator = { authorization: `Bearer ${admin}` };
  const { accounts } = (await (await network.fetch("/v1/accounts", { headers: operator })).json()) as {
    accounts: { payerTag: string }[];
  };
  const make = (policy: JsonObject) =>
    network.fetch(`/v1/keys?account=${accounts[0]?.payerTag}`, {
      method: "POST",
      headers: operator,
      body: JSON.stringify({ name: "strict", policy }),
    });
  expect((await make({ tier: "gold" })).status).toBe(400);
  const made = (await (await make({ publishers: [OTHER] })).json()) as { apiKey: string; policy: unknown };
  expect(made.policy).toEqual({ publishers: [OTHER] });
  expect((await ask({ publishers: [OTHER] }, made.apiKey)).status).toBe(412);
  expect((await ask({}, made.apiKey)).status).toBe(412);
  const client = createClient({ url: network.url, apiKey: made.apiKey, trust: network.trust });
  const model = await client.model(CREDIT);
  await expect(client.infer(model, [tensorOf(creditInput())])).rejects.toMatchObject({ code: "policy_unmet" });
});

test("OpenAI's body may say it, and one that is not understood names the member", async () => {
  const headers = { authorization: `Bearer ${network.apiKey}`, "content-type": "application/json" };
  const chat = async (tally_policy: unknown) => {
    const body = JSON.stringify({ model: CREDIT, messages: [{ role: "user", content: "x" }], tally_policy });
    const answer = await network.fetch("/v1/chat/completions", { method: "POST", headers, body });
    return ((await answer.json()) as { error: { param: string | null; message: string } }).error;
  };
  expect(await chat("signed")).toMatchObject({ param: "tally_policy" });
  // A model in tensors takes no chat, which is what is wrong with this one.
  expect((await chat({ tier: "signed" })).message).not.toContain("policy");
});
