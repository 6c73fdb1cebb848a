/** What a network verifies by itself, with nobody doing anything, and what it finds. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Answer, createClient, type InferOptions } from "@tallystick/client";
import {
  ASKED_MOST,
  base64,
  checkRequestMessage,
  type EntryKind,
  encodeLotOpening,
  encodeSubmission,
  type Figures,
  hex,
  keyId,
  type LotOpening,
  parseDispatch,
  parseHex,
  type Signer,
  signEntry,
  type Tensor,
} from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openSigner } from "../../packages/server/src/platform/keys.ts";
import { fixedSigner } from "../fixed-keys.ts";
import { creditInput, startNetwork, type TestNetwork, tensorOf } from "../network.ts";
import { openRequester, postDispatch, submit } from "./requester.ts";

// A judge is a process, which takes its time to start on a machine that is busy.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

const CREDIT = "statlog/credit-default";
const CANCER = "wisconsin/breast-cancer";

const cancerInput = (first: number) => ({
  ...{ name: "features", datatype: "FP32", shape: [1, 30] },
  data: Array.from({ length: 30 }, (_, i) => i * first),
});

type Statement = {
  kind: string;
  outcome?: string;
  by: string;
  epoch?: number | null;
  evidence: { content: Record<string, unknown> | null };
};

async function statementsOf(on: TestNetwork, receipt: string | undefined): Promise<Statement[]> {
  const answer = await on.fetch(`/v1/verifications/${receipt}`);
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { statements: Statement[] }).statements;
}

const wordsOf = (statements: Statement[]) => statements.map(({ kind, outcome }) => [kind, outcome].join(" ").trim());

let network: TestNetwork;
beforeAll(async () => {
  network = await startNetwork({ verifying: { cpuShare: 1 } });
  await network.verified();
  await network.closeEpoch(); // From the next on the verifier takes part.
});
afterAll(() => network[Symbol.asyncDispose]());

test("calls over several models are run again, and the log says what came of it, with nobody doing anything", async () => {
  const answers = await Promise.all([
    ...[1, 2, 3, 4].map((amount) => network.infer(CREDIT, [creditInput(amount)])),
    ...[1, 2, 3].map((first) => network.infer(CANCER, [cancerInput(first)])),
  ]);
  await network.closeEpoch();
  await network.verified();
  for (const { receiptId } of answers) {
    const [statement, ...others] = await statementsOf(network, receiptId);
    expect(others).toEqual([]);
    expect(statement).toMatchObject({ kind: "verification", outcome: "passed", method: "reexecution" });
    expect(statement?.evidence.content).toMatchObject({ receipt: receiptId, outcome: "passed" });
  }
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
  expect(network.reported).toEqual([]);
});

test("what is verified is destroyed, and so is what no lot can draw", async () => {
  const folder = join(network.data, "node-openings");
  const open = await network.infer(CREDIT, [creditInput(5)]);
  const closed = await network.infer(CREDIT, [creditInput(6)], { parameters: { open: "none" } });
  await network.closeEpoch();
  await network.verified();
  expect(wordsOf(await statementsOf(network, open.receiptId))).toEqual(["verification passed"]);
  expect(await statementsOf(network, closed.receiptId)).toEqual([]);
  await network.closeEpoch();
  await network.closeEpoch();
  await network.restart();
  expect(await readdir(folder)).toEqual([]);
});

/** A call by the SDK, whose session has a key of its own. */
async function ask(inputs: Tensor[], options: InferOptions = {}): Promise<Answer> {
  const client = createClient({ url: network.url, apiKey: network.apiKey, trust: network.trust });
  return client.infer(await client.model(CREDIT), inputs, options);
}

const credit = (amount: number) => [tensorOf(creditInput(amount))];

test("an SDK says to whom a call may be opened, and it is signed", async () => {
  const said = await ask(credit(7), { open: "none" });
  const silent = await ask(credit(8));
  await network.closeEpoch();
  await network.verified();
  expect(await statementsOf(network, said.receiptId)).toEqual([]);
  expect(wordsOf(await statementsOf(network, silent.receiptId))).toEqual(["verification passed"]);
});

test("every call that asks to be run again is, those over a lot's limit by the next one, whose node keeps what opens them", async () => {
  await using own = await startNetwork({ verifying: { cpuShare: 1 } });
  await own.verified();
  await own.closeEpoch();
  const client = createClient({ url: own.url, apiKey: own.apiKey, trust: own.trust });
  const model = await client.model(CREDIT);
  const receipts: string[] = [];
  for (let i = 0; i < ASKED_MOST + 3; i++)
    receipts.push((await client.infer(model, credit(i), { tier: "reexecuted" })).receiptId);
  const asked = async () => {
    const { totals } = (await (await own.fetch("/v1/usage")).json()) as Figures;
    return totals.verification.asked;
  };
  await own.closeEpoch();
  await own.verified();
  expect(await asked()).toMatchObject({ waiting: 3, drawn: ASKED_MOST, checked: ASKED_MOST });
  await own.closeEpoch();
  await own.verified();
  expect(await asked()).toMatchObject({ waiting: 0, drawn: ASKED_MOST + 3, checked: ASKED_MOST + 3, failures: 0 });
  expect(wordsOf(await statementsOf(own, receipts.at(-1)))).toEqual(["verification passed"]);
  expect(await own.audit()).toMatchObject({ findings: [], differences: [] });
});

/** What only the requester of an answer holds. */
function openingOf({ opening: { request, response } }: Pick<Answer, "opening">): LotOpening {
  if (response === undefined) throw new Error("there was an answer");
  return { requestSalt: request.salt, call: request.bytes, responseSalt: response.salt, answer: response.bytes };
}

async function post(path: string, body: Uint8Array | string, apiKey?: string) {
  const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  const answer = await network.fetch(path, { method: "POST", headers, body: body as Uint8Array<ArrayBuffer> });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

async function disputeOf(by: Signer, receipt: string): Promise<Uint8Array> {
  const says = { version: 1, receipt: bytesOf(receipt), ground: "mismatch", evidence: new Uint8Array(32) } as const;
  return (await signEntry(by, "dispute", says)).signed.bytes;
}

const bytesOf = (text: string) => parseHex(text) ?? new Uint8Array(0);

test("whoever holds an opening may dispute, once, and an honest node is not held to be at fault", async () => {
  const disputer = fixedSigner("disputer");
  const answer = await ask(credit(9));
  await network.closeEpoch();
  await network.verified();
  const entry = await disputeOf(disputer, answer.receiptId);
  const opening = encodeLotOpening(openingOf(answer));
  expect(await post("/v1/disputes", encodeSubmission({ entry, opening }))).toMatchObject({ status: 403 });
  const says = { version: 1, action: "enrol", role: "disputer", spki: disputer.spki, name: "disputer" } as const;
  expect(await submit(network, (await signEntry(disputer, "key", says)).signed.bytes)).toMatchObject({ status: 200 });
  expect(await submit(network, entry)).toMatchObject({ status: 403, error: { message: /opening/ } });
  const other = encodeLotOpening({ ...openingOf(answer), answer: Uint8Array.of(1) });
  expect(await post("/v1/disputes", encodeSubmission({ entry, opening: other }))).toMatchObject({ status: 400 });
  const unknown = await disputeOf(disputer, "ab".repeat(32));
  expect(await post("/v1/disputes", encodeSubmission({ entry: unknown, opening }))).toMatchObject({ status: 404 });
  expect(await post("/v1/disputes", encodeSubmission({ entry, opening }))).toMatchObject({ status: 200 });
  const again = encodeSubmission({ entry: await disputeOf(disputer, answer.receiptId), opening });
  expect(await post("/v1/disputes", again)).toMatchObject({ status: 409 });
  await network.verified();
  const statements = await statementsOf(network, answer.receiptId);
  expect(wordsOf(statements)).toEqual(["verification passed", "dispute", "resolution rejected"]);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

test("a requester has one receipt of its own looked at, drawn or not, and nobody else's", async () => {
  const answer = await ask(credit(10), { open: "none" });
  const byKey = await network.infer(CREDIT, [creditInput(11)]);
  await network.idle();
  const opening = base64(encodeLotOpening(openingOf(answer)));
  const { apiKey: stranger } = (await (await network.operate("POST", "/v1/accounts", { name: "other" })).json()) as {
    apiKey: string;
  };
  const check = (id: string | undefined, body: object, apiKey?: string) =>
    post(`/v1/receipts/${id}/check`, JSON.stringify(body), apiKey);
  expect(await check(byKey.receiptId, {})).toMatchObject({ status: 401 });
  expect(await check(byKey.receiptId, {}, stranger)).toMatchObject({ status: 403 });
  expect(await check(byKey.receiptId, { verifier: "ab".repeat(32) }, network.apiKey)).toMatchObject({ status: 404 });
  expect(await check(byKey.receiptId, { opening }, network.apiKey)).toMatchObject({ status: 400 });
  expect(await check(answer.receiptId, { opening }, network.apiKey)).toMatchObject({ status: 403 });
  expect(await check(byKey.receiptId, {}, network.apiKey)).toMatchObject({ status: 202 });
  await network.verified();
  const [statement, ...others] = await statementsOf(network, byKey.receiptId);
  expect(others).toEqual([]);
  expect(statement).toMatchObject({ kind: "verification", outcome: "passed", epoch: null });
});

test("a check that the session's own key signs is made from the opening that came with it", async () => {
  const requester = await openRequester(network, { inputs: credit(12) });
  const body = await requester.dispatch();
  const { delivery, receiptId = "" } = await postDispatch(network, body);
  await network.idle();
  const { call, salt } = parseDispatch(body);
  if (delivery === undefined) throw new Error("there was an answer");
  const { answer, salt: responseSalt } = delivery;
  const opening = base64(encodeLotOpening({ requestSalt: salt, call, responseSalt, answer }));
  const verifier = keyId((await openSigner(join(network.data, "keys", "verifier.pem"))).spki);
  const sign = async (by: Signer) =>
    base64(await by.sign(checkRequestMessage({ receipt: bytesOf(receiptId), verifier })));
  const check = (signature: string) =>
    post(`/v1/receipts/${receiptId}/check`, JSON.stringify({ verifier: hex(verifier), signature, opening }));
  expect(await check(await sign(fixedSigner("stranger")))).toMatchObject({ status: 403 });
  expect(await check(await sign(requester.signer))).toMatchObject({ status: 202 });
  await network.verified();
  expect(wordsOf(await statementsOf(network, receiptId))).toEqual(["verification passed"]);
});

test("what a verifier or a referee may not say is refused, from their very keys", async () => {
  const { receiptId = "" } = await network.infer(CREDIT, [creditInput(13)]);
  await network.closeEpoch();
  await network.verified();
  const key = (name: string) => openSigner(join(network.data, "keys", `${name}.pem`));
  const [verifier, referee, stranger] = [await key("verifier"), await key("referee"), fixedSigner("stranger")];
  const zeros = new Uint8Array(32);
  const say = async <K extends EntryKind>(by: Signer, kind: K, says: Parameters<typeof signEntry<K>>[2]) =>
    submit(network, (await signEntry(by, kind, says)).signed.bytes);
  const verification = { version: 1, method: "reexecution", evidence: zeros, cost: 0 } as const;
  const passed = { ...verification, outcome: "passed", receipt: bytesOf(receiptId) } as const;
  expect(await say(stranger, "verification", passed)).toMatchObject({ status: 403 });
  expect(await say(referee, "verification", passed)).toMatchObject({ status: 403 });
  expect(await say(verifier, "verification", { ...passed, receipt: zeros })).toMatchObject({ status: 404 });
  expect(await say(verifier, "verification", { ...passed, epoch: 1 })).toMatchObject({ status: 403 });
  expect(await say(verifier, "verification", { ...passed, outcome: "unopened" })).toMatchObject({ status: 403 });
  expect(await say(verifier, "verification", passed)).toMatchObject({ status: 200 }); // Once, beside what the lot drew.
  expect(await say(verifier, "verification", { ...passed, outcome: "failed" })).toMatchObject({ status: 409 });
  const epoch = (await statementsOf(network, receiptId))[0]?.epoch ?? 0;
  expect(await say(verifier, "verification", { ...passed, epoch })).toMatchObject({ status: 409 });
  const reveal = { version: 1, action: "reveal", epoch, value: zeros } as const;
  expect(await say(verifier, "lot", reveal)).toMatchObject({ status: 409, error: { message: /no lot waits/ } });
  const resolution = { version: 1, dispute: zeros, outcome: "upheld", evidence: zeros } as const;
  expect(await say(referee, "resolution", resolution)).toMatchObject({ status: 404 });
  expect(await say(verifier, "resolution", resolution)).toMatchObject({ status: 403 });
  const submission = encodeSubmission({
    entry: (await signEntry(verifier, "verification", passed)).signed.bytes,
    evidence: Uint8Array.of(1),
  });
  expect(await post("/v1/verifications", submission)).toMatchObject({ status: 400 });
});
