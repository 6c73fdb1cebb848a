/** Acceptance policies at the gateway: what is refused by name before anything runs, and by whose word. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@tallystick/client";
import { hex, type JsonObject, keyOf, parseAcceptancePolicy, satisfies } from "@tallystick/protocol";
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

/** The ids of the keys that the parts of a receipt's file are signed by. */
async function keysOf(receiptId: string) {
  const client = createClient({ url: network.url, trust: network.trust });
  const verdict = await client.receipt(receiptId);
  if (verdict.outcome !== "verified") throw new Error(verdict.outcome);
  return verdict.value;
}

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
  const { grant } = await keysOf(receiptId);
  const file = (await (await network.fetch(`/v1/receipts/${receiptId}`)).json()) as object;
  expect(file).toBeDefined();
  const gateway = await ask({ withoutRoots: [`key:${hex(grant.gateway)}`] });
  expect(gateway.status).toBe(412);
  const { nodes } = (await (await network.fetch("/v1/network")).json()) as { nodes?: unknown };
  expect(nodes).toBeUndefined();
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

test("OpenAI's body may say it, and what is said there is no part of the call", async () => {
  const body = { model: CREDIT, messages: [{ role: "user", content: "x" }], tally_policy: { publishers: [OTHER] } };
  const headers = { authorization: `Bearer ${network.apiKey}`, "content-type": "application/json" };
  const answer = await network.fetch("/v1/chat/completions", { method: "POST", headers, body: JSON.stringify(body) });
  // A model in tensors takes no chat: it is refused for that, and not for a member that nobody knows.
  const { error } = (await answer.json()) as { error: { message: string } };
  expect(error.message).not.toContain("tally_policy");
});

test("the log's own facts meet what the answer met, and no more", async () => {
  expect(keyOf(new Uint8Array(1))).toHaveLength(1);
  expect(
    satisfies(parseAcceptancePolicy({}), {
      receipt: { provenance: "executed" },
      model: { name: "", publisher: undefined },
      grounds: [],
    }),
  ).toEqual([]);
});
