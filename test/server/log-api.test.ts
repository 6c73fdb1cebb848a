import { fetchSource, openTree, systemEdges } from "@tallystick/client";
import {
  createNoteKey,
  parseBase64,
  parseBundle,
  parseCheckpoint,
  parseCoseReceipt,
  parseLogProof,
  parseNoteKey,
  parsePolicy,
  proves,
  trustInLog,
  utf8,
  verifyCheckpoint,
  verifyCoseReceipt,
} from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { creditInput, startNetwork, type TestNetwork } from "../network.ts";
import { entriesAt } from "./entries.ts";

let network: TestNetwork;
let sizes: number[];
beforeAll(async () => {
  network = await startNetwork();
  sizes = [];
  for (let day = 0; day < 4; day++) {
    for (let i = 0; i < 3; i++) await network.infer("statlog/credit-default", [creditInput(10 * day + i)]);
    await network.closeEpoch();
    await network.idle();
    sizes.push(parseCheckpoint(await bytesAt("/checkpoint")).size);
  }
});
afterAll(() => network[Symbol.asyncDispose]());

async function bytesAt(path: string): Promise<Uint8Array> {
  const answer = await network.fetch(path);
  expect(answer.status, path).toBe(200);
  return new Uint8Array(await answer.arrayBuffer());
}
const textAt = async (path: string) => new TextDecoder().decode(await bytesAt(path));
const aboutLog = async () => JSON.parse(await textAt("/v1/log")) as { policy: string; vkey: string; roleKey: string };

test("the policy that it names is met by its own checkpoints, and says that one operator runs both witnesses", async () => {
  const about = await aboutLog();
  const policy = parsePolicy(utf8(about.policy));
  expect(policy.witnesses).toHaveLength(2);
  const trust = trustInLog(parseNoteKey(about.vkey), policy);
  expect(await verifyCheckpoint(parseCheckpoint(await bytesAt("/checkpoint")), trust)).toMatchObject({ ok: true });
  expect(about).toMatchObject({
    oneOperator: true,
    handovers: [],
    signedSize: sizes.at(-1),
    witnessedSize: sizes.at(-1),
  });
});

test("every entry is proved against every kept checkpoint that covers it, each cosigned by the quorum", async () => {
  const about = await aboutLog();
  const trust = trustInLog(parseNoteKey(about.vkey), parsePolicy(utf8(about.policy)));
  const entries = await entriesAt(network.url);
  for (const size of sizes) {
    expect(parseCheckpoint(await bytesAt(`/v1/log/checkpoints/${size}`)).size).toBe(size);
    for (let index = 0; index < size; index++) {
      const proof = parseLogProof(await textAt(`/v1/log/proofs/${index}?size=${size}`));
      expect(proof.checkpoint.size).toBe(size);
      expect(proves(proof, entries[index]!)).toBe(true);
      expect(await verifyCheckpoint(proof.checkpoint, trust)).toMatchObject({ ok: true });
    }
  }
});

test("a size that no kept checkpoint has is refused, and the next one is named", async () => {
  const [first = 0] = sizes;
  const answer = await network.fetch(`/v1/log/checkpoints/${first + 1}`);
  expect(answer.status).toBe(404);
  expect(await answer.json()).toMatchObject({
    error: { message: expect.stringContaining(`the next one is of ${first + 3}`) },
  });
  for (const [path, status] of [
    [`/v1/log/proofs/${first}?size=${first}`, 404],
    ["/v1/log/proofs/999999", 404],
    ["/v1/log/proofs/-1", 400],
    ["/v1/log/proofs/01", 400],
    ["/v1/log/proofs/0?size=x", 400],
    ["/v1/log/cose-receipts/999999", 404],
    ["/v1/log/checkpoints/99999999999999999", 400],
  ] as const)
    expect((await network.fetch(path)).status, path).toBe(status);
});

test("a COSE Receipt of each entry verifies by the key of the role log, and of no other entry", async () => {
  const { roleKey } = await aboutLog();
  const spki = parseBase64(roleKey)!;
  const entries = await entriesAt(network.url);
  for (const [index, entry] of entries.entries()) {
    const receipt = parseCoseReceipt(await bytesAt(`/v1/log/cose-receipts/${index}`));
    expect(await verifyCoseReceipt(receipt, entry, spki)).toBe(true);
    expect(await verifyCoseReceipt(receipt, entries[index + 1] ?? entries[0]!, spki)).toBe(false);
  }
});

test("the history is a log of its own, whose entries are checkpoints in the order of their sizes", async () => {
  const { vkey } = await aboutLog();
  const key = parseNoteKey(vkey);
  const named = createNoteKey(`${key.name}/checkpoints`, "ed25519", key.publicKey);
  const checkpoint = parseCheckpoint(await bytesAt("/checkpoints/checkpoint"));
  expect(await verifyCheckpoint(checkpoint, trustInLog(named))).toMatchObject({ ok: true });
  const entries = parseBundle(await bytesAt(`/checkpoints/tile/entries/000.p/${checkpoint.size}`), checkpoint.size);
  const kept = entries.map((entry) => parseCheckpoint(entry).size);
  expect(kept).toEqual(kept.toSorted((a, b) => a - b));
  expect(kept).toEqual(expect.arrayContaining(sizes));
  await openTree(fetchSource(`${network.url}/checkpoints`, systemEdges), checkpoint);
  expect((await network.fetch(`/checkpoints/tile/0/000.p/${checkpoint.size + 1}`)).status).toBe(404);
});
