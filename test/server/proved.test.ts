/** The tier `proved` through the whole network: asked for, answered by the circuit, proved, checked, and in the figures. */
import { type Client, createClient } from "@tallystick/client";
import { openProofVerifier } from "@tallystick/client/proof";
import { CEREMONY, encodeCall, floats, floatTensor, hex, parseAnswer, parseEntry, sha256 } from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { openModel, readExample } from "../../models/load.ts";
import { startNetwork, type TestNetwork } from "../network.ts";
import { CRS_FOLDER, CRS_SUITE, PROVING_TIMEOUT_MS } from "../proving.ts";
import { openRequester, postDispatch } from "./requester.ts";

const FOLDER = "breast-cancer";
const PROOF_CHECKS = ["circuit", "proved receipt", "proved input", "proved weights", "proved answer", "proof"];

async function openClient(network: TestNetwork) {
  const { url, apiKey, trust } = network;
  const client = createClient({ url, apiKey, trust });
  const { manifest } = await openModel(FOLDER);
  const model = await client.model(manifest.name);
  const [rows] = readExample(FOLDER);
  const [, width = 0] = rows?.shape ?? [];
  const inputs = rows === undefined ? [] : [floatTensor(rows.name, [1, width], floats(rows).slice(0, width))];
  return { client, model, manifest, inputs };
}

type Statement = { entry: string };

async function statementsOf(network: TestNetwork, receiptId: string): Promise<Statement[]> {
  const answer = await network.fetch(`/v1/verifications/${receiptId}`);
  const { statements }: { statements: Statement[] } = await answer.json();
  return statements;
}

const proofOf = (network: TestNetwork, receiptId: string, apiKey: string) =>
  network.fetch(`/v1/receipts/${receiptId}/proof`, { headers: { authorization: `Bearer ${apiKey}` } });

const tiersOf = async (client: Client) => (await client.usage()).totals.verification.tiers;

test("without a CRS the tier proved is refused, and the refusal says how it is offered", async () => {
  await using network = await startNetwork({ models: [FOLDER] });
  const { client, model, inputs } = await openClient(network);
  await expect(client.infer(model, inputs, { tier: "proved" })).rejects.toThrow(
    /"proved" is not offered here: .*CRS_PATH/,
  );
  expect((await client.infer(model, inputs, { tier: "reexecuted" })).outputs).not.toEqual([]);
});

describe.skipIf(CRS_FOLDER === undefined)(CRS_SUITE, { timeout: PROVING_TIMEOUT_MS }, () => {
  test("a call asked for at the tier proved is answered by its circuit, proved, checked and counted", async () => {
    await using network = await startNetwork({ models: [FOLDER], crsPath: CRS_FOLDER, verifying: {} });
    const { client, model, manifest, inputs } = await openClient(network);
    const { receiptId, opening, outputs } = await client.infer(model, inputs, { tier: "proved" });
    await network.verified();
    const answer = await proofOf(network, receiptId, network.apiKey);
    expect(answer.status).toBe(200);
    const evidence = new Uint8Array(await answer.arrayBuffer());

    await using verifier = await openProofVerifier();
    const verdict = await client.proof(receiptId, verifier, opening);
    expect(verdict).toMatchObject({
      outcome: "verified",
      value: { evidence, limits: [expect.any(String), {}, {}, {}] },
    });
    expect(verdict.checks.map(({ name }) => name)).toEqual(PROOF_CHECKS);
    expect(await client.proof(receiptId, verifier)).toMatchObject({ outcome: "inconclusive" });
    const [given] = parseAnswer(opening.response?.bytes ?? evidence);
    expect(outputs).toEqual([given]);

    // Another answer than was given, and another input than was asked about, are not what was proved.
    const { request, response } = opening;
    const otherRow = inputs.map((input) => ({ ...input, data: input.data.with(3, (input.data[3] ?? 0) ^ 0x80) }));
    const asked = { ...request, bytes: encodeCall({ operation: "infer", inputs: otherRow, outputs: [] }) };
    const otherCall = await client.proof(receiptId, verifier, { ...opening, request: asked });
    expect(otherCall).toMatchObject({ outcome: "failed", failure: "wrong_opening" });
    const bytes = response?.bytes.with(-1, (response.bytes.at(-1) ?? 0) ^ 1) ?? evidence;
    const otherAnswer = await client.proof(receiptId, verifier, {
      request,
      response: { ...request, ...response, bytes },
    });
    expect(otherAnswer).toMatchObject({ outcome: "failed", failure: "wrong_opening" });

    // The key is made from the circuit's source, and is given to anybody by its digest; nothing else is.
    const key = hex(manifest.circuit?.verificationKey ?? evidence);
    const served = await network.fetch(`/v1/verification-keys/${key}`);
    expect(hex(sha256(new Uint8Array(await served.arrayBuffer())))).toBe(key);
    expect((await network.fetch(`/v1/verification-keys/${"0".repeat(64)}`)).status).toBe(404);

    const said = (await statementsOf(network, receiptId)).map(({ entry }) =>
      parseEntry(Uint8Array.from(Buffer.from(entry, "base64"))),
    );
    expect(said).toMatchObject([
      { kind: "verification", says: { method: "proof", outcome: "passed", evidence: sha256(evidence) } },
    ]);
    const [first] = said;
    expect(first?.kind === "verification" && hex(first.says.ceremony ?? evidence)).toBe(CEREMONY.digest);
    await network.closeEpoch();
    expect(await tiersOf(client)).toMatchObject({ proved: 1, signed: 0 });

    // The evidence shows the answer: neither everybody nor another account gets it.
    expect((await network.fetch(`/v1/evidence/${hex(sha256(evidence))}`)).status).toBe(404);
    expect((await proofOf(network, receiptId, "tally-nobody")).status).toBe(401);
    const { apiKey } = await (await network.operate("POST", "/v1/accounts", { name: "other" })).json();
    expect((await proofOf(network, receiptId, apiKey)).status).toBe(404);
  });

  test("a call that does not open the commitment for its circuit is refused, and uses up nothing", async () => {
    await using network = await startNetwork({ models: [FOLDER], crsPath: CRS_FOLDER });
    const { model, inputs } = await openClient(network);
    const own = await openRequester(network, { model: model.name, inputs });
    const says = { nonce: 0, tier: "proved", request: { alg: "poseidon2", digest: new Uint8Array(32) } } as const;
    const { status, error } = await postDispatch(network, await own.dispatch({ says }));
    expect([status, error?.message]).toEqual([400, "the call is not the one that the authorization commits to"]);
    expect((await postDispatch(network, await own.dispatch({ says: { nonce: 0 } }))).status).toBe(200);
  });
});
