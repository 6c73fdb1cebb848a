/** Credits over HTTP: a priced model is paid for out of a balance, once, and everybody's share of it is in the log. */
import { type AuthorizationPayload, parseHex, signEntry } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fixedSigner } from "../fixed-keys.ts";
import { startNetwork, type TestNetwork, tensorOf } from "../network.ts";
import { changeModel, PRICED } from "./refusals.ts";
import { openRequester, postDispatch } from "./requester.ts";

const INPUT = { name: "features", datatype: "FP32", shape: [1, 30], data: Array.from({ length: 30 }, () => 1) };
const PAYS = { parameters: { max_price: "100" } };

let network: TestNetwork;
beforeAll(async () => {
  network = await startNetwork({ models: ["breast-cancer", "credit-default"] });
  await network.restart(() => changeModel(network.models, "breast-cancer", { version: "2.0.0", price: "100" }));
});
afterAll(() => network[Symbol.asyncDispose]());

type Usage = {
  totals: { valid: number; revenue: Record<string, string> };
  credits: Record<string, string>;
  exclusions: object;
  settlementFaults: object;
  earnings: { key: string; role: string; earned: string; owed: string }[];
};
type Balance = { available: string; held: string; spent: string; refunded: string; key: Record<string, string | null> };

const json = async <T>(answer: Response | Promise<Response>) => (await (await answer).json()) as T;
const usage = async () => {
  await network.idle();
  return json<Usage>(network.fetch("/v1/usage"));
};
const balanceOf = (apiKey: string) =>
  json<Balance>(network.fetch("/v1/balance", { headers: { authorization: `Bearer ${apiKey}` } }));

async function createAccount(): Promise<{ payerTag: string; apiKey: string }> {
  return json(network.operate("POST", "/v1/accounts", { name: "an account" }));
}

/** One call by an API key. */
async function call(apiKey: string): Promise<{ status: number; receipt: string; code: string | undefined }> {
  const answer = await network.fetch(`/v2/models/${PRICED}/infer`, {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({ inputs: [INPUT], ...PAYS }),
  });
  const { code } = (await answer.json()) as { code?: string };
  return { status: answer.status, receipt: answer.headers.get("x-receipt-id") ?? "", code };
}

test("a quote says what a call costs, and its price is what the receipt has", async () => {
  const quote = await json(network.fetch(`/v1/quote?model=${PRICED}&units=1`));
  expect(quote).toMatchObject({ model: PRICED, price: "100", unitPrice: "0", outputUnitPrice: "0", total: "100" });
  expect(await json(network.fetch("/v1/quote?model=statlog/credit-default"))).toMatchObject({ total: "0" });
  expect((await network.fetch("/v1/quote")).status).toBe(400);
  expect((await network.fetch(`/v1/quote?model=${PRICED}&units=-1`)).status).toBe(400);
});

test("an account without credits is refused with what it has, and leaves no receipt", async () => {
  const { apiKey } = await createAccount();
  const { valid } = (await usage()).totals;
  const answer = await network.fetch(`/v2/models/${PRICED}/infer`, {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({ inputs: [INPUT], ...PAYS }),
  });
  expect(answer.status).toBe(402);
  expect(await answer.json()).toMatchObject({
    code: "insufficient_quota",
    error: expect.stringMatching(/^the account has 0 atomic units, and this call may take 100: /),
  });
  expect((await usage()).totals.valid).toBe(valid);
});

test("of calls at once, as many are served as the balance pays for, and no more is spent than there is", async () => {
  const { payerTag, apiKey } = await createAccount();
  await network.topUp(350n, payerTag);
  const calls = await Promise.all(Array.from({ length: 8 }, () => call(apiKey)));
  expect(calls.map(({ status }) => status).sort()).toEqual([200, 200, 200, 402, 402, 402, 402, 402]);
  expect(await balanceOf(apiKey)).toMatchObject({ available: "50", held: "0" });
  await network.idle();
  expect(await balanceOf(apiKey)).toMatchObject({ available: "50", held: "0", spent: "300" });
  expect((await usage()).exclusions).toEqual({});
});

test("a session spends its budget and no more, whatever its account has", async () => {
  await network.topUp(100n);
  const requester = await openRequester(network, { model: PRICED, inputs: [tensorOf(INPUT)] });
  await network.topUp(1_000n);
  const ask = async (says: Partial<AuthorizationPayload>) =>
    postDispatch(network, await requester.dispatch({ says: { maxPrice: 200n, ...says } }));
  const { available } = await balanceOf(network.apiKey);
  const replies = await Promise.all([ask({}), ask({})]);
  expect(replies.map(({ status }) => status).sort()).toEqual([200, 402]);
  expect(replies.find(({ status }) => status === 402)?.error).toMatchObject({
    code: "insufficient_quota",
    message: expect.stringMatching(/^the session has \d+ atomic units of its budget left/),
  });
  expect(BigInt((await balanceOf(network.apiKey)).available)).toBe(BigInt(available) - 100n);
});

test("after a restart the balance is what it was, and what was not charged is charged once", async () => {
  const { payerTag, apiKey } = await createAccount();
  await network.topUp(1_000n, payerTag);
  for (let i = 0; i < 3; i++) expect((await call(apiKey)).status).toBe(200);
  const before = await balanceOf(apiKey);
  expect(before.available).toBe("700");
  await network.restart(); // At its end the gateway charges.
  expect((await balanceOf(apiKey)).available).toBe("700");
  const { credits } = await usage();
  expect(credits.charged).toBe(credits.spent);
  await network.restart();
  expect((await usage()).credits).toEqual(credits);
  expect((await usage()).settlementFaults).toEqual({});
});

test("a refund gives a price back once, and takes the shares of it back", async () => {
  const { payerTag, apiKey } = await createAccount();
  await network.topUp(100n, payerTag);
  const { receipt } = await call(apiKey);
  await network.restart();
  const before = await usage();
  const refund = (body: object) =>
    network.operate("POST", "/v1/settlements/refunds", { receipt, reason: "unproved", ...body });
  expect((await refund({ amount: "101" })).status).toBe(400);
  expect(await json(refund({}))).toEqual({ receipt, amount: "100", alreadyLogged: false });
  expect(await json(refund({}))).toMatchObject({ amount: "100", alreadyLogged: true });
  expect((await refund({ amount: "1" })).status).toBe(409);
  expect((await balanceOf(apiKey)).available).toBe("100");
  const after = await usage();
  const earned = ({ earnings }: Usage, role: string) =>
    BigInt(earnings.find((row) => row.role === role)?.earned ?? "0");
  const lost = ["node", "publisher", "gateway"].map((role) => earned(before, role) - earned(after, role));
  expect(lost).toEqual([70n, 20n, 10n]);
  expect(
    (await network.operate("POST", "/v1/settlements/refunds", { receipt: "0".repeat(64), reason: "failed" })).status,
  ).toBe(404);
});

test("a top-up and a payout are made once by their reference, and another under it is a conflict", async () => {
  const { payerTag, apiKey } = await createAccount();
  const topup = { account: payerTag, amount: "100", source: "operator", reference: "ab".repeat(16) };
  const topUp = (body: object) => network.operate("POST", "/v1/settlements/topups", body);
  const twice = await Promise.all([topUp(topup), topUp(topup)]);
  expect(await Promise.all(twice.map((answer) => json(answer)))).toEqual(
    expect.arrayContaining([
      { account: payerTag, available: "100", alreadyLogged: false },
      { account: payerTag, available: "100", alreadyLogged: true },
    ]),
  );
  expect((await topUp({ ...topup, amount: "101" })).status).toBe(409);
  expect((await topUp({ ...topup, reference: "cd".repeat(16), account: "00".repeat(16) })).status).toBe(404);
  expect((await topUp({ ...topup, source: "x402" })).status).toBe(400);
  expect((await network.fetch("/v1/settlements/topups", { method: "POST", body: "{}" })).status).toBe(403);
  await call(apiKey);
  await network.restart();
  const { totals, earnings } = await usage();
  expect(BigInt(totals.revenue.subsidised ?? 0)).toBe(100n);
  const node = earnings.find(({ role }) => role === "node");
  const payout = { payee: node?.key, amount: node?.owed, reference: "ef".repeat(16) };
  const payOut = (body: object) => network.operate("POST", "/v1/settlements/payouts", body);
  expect((await payOut({ ...payout, amount: String(BigInt(node?.owed ?? 0) + 1n) })).status).toBe(409);
  expect(await json(payOut(payout))).toMatchObject({ owed: "0", paidOut: node?.owed, alreadyLogged: false });
  expect(await json(payOut(payout))).toMatchObject({ owed: "0", alreadyLogged: true });
  expect((await payOut({ ...payout, reference: "ff".repeat(16) })).status).toBe(409);
  const { earnings: shown } = await json<Usage>(network.fetch("/v1/earnings"));
  expect(shown).toContainEqual(expect.objectContaining({ role: "node", name: "local-node", owed: "0" }));
});

test("a key's budget bounds what it spends, before and after a restart, and another key of the account goes on", async () => {
  const { payerTag, apiKey } = await createAccount();
  await network.topUp(1_000n, payerTag);
  const made = await json<{ apiKey: string }>(
    network.operate("POST", `/v1/keys?account=${payerTag}`, { name: "bounded", budgetAtomic: "250" }),
  );
  expect((await call(made.apiKey)).status).toBe(200);
  await network.restart();
  expect((await call(made.apiKey)).status).toBe(200);
  expect(await call(made.apiKey)).toMatchObject({ status: 402, code: "insufficient_quota" });
  expect((await balanceOf(made.apiKey)).key).toMatchObject({ budget: "250", spent: "200" });
  expect((await call(apiKey)).status).toBe(200);
});

test("nobody from outside submits a settlement, signed or not", async () => {
  const payerTag = parseHex("00".repeat(16)) ?? new Uint8Array(16);
  const says = { version: 1, action: "topup", payerTag, amount: 5n, source: "transfer", reference: payerTag } as const;
  const { signed } = await signEntry(fixedSigner("gateway"), "settlement", says);
  const before = (await usage()).credits;
  const answer = await network.fetch("/v1/entries", { method: "POST", body: signed.bytes as Uint8Array<ArrayBuffer> });
  expect(answer.status).toBe(403);
  expect((await usage()).credits).toEqual(before);
});

test("an audit computes the same money", async () => {
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});
