import { beforeAll, expect, test } from "vitest";
import { fixedSigner } from "../../../../test/fixed-keys.ts";
import { LogInMemory } from "../../../../test/log-in-memory.ts";
import { issueReceipt, MANIFEST, NOON_SECONDS, type OneReceipt, OPENING } from "../../../../test/one-receipt.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { hex, utf8 } from "../bytes.ts";
import { TIME_SECONDS } from "../limits.ts";
import { parseNoteKey } from "../log/note.ts";
import { trustInLog } from "../log/trust.ts";
import { signedId } from "../sign/cose.ts";
import type { Check, Failure, Verdict } from "../verdict.ts";
import { encodeOpening, PARTS, type Part } from "./file.ts";
import { verifyReceiptFile } from "./verify.ts";

type ReceiptVector = Vector & {
  outcome: Verdict<never>["outcome"];
  failure?: Failure;
  check?: string;
  vkey: string;
  file: string;
};
const vectors = readVectors<ReceiptVector>("receipt/files.json");
const ESSENTIAL = [
  "form",
  "id",
  "requester signature",
  "node signature",
  "grant",
  "model",
  "terms",
  "inclusion",
  "checkpoint",
];
const statesOf = (checks: Check[]) => Object.fromEntries(checks.map(({ name, state }) => [name, state]));

test.each(vectors)("$desc: $outcome $failure", async ({ file, vkey, outcome, failure, check }) => {
  const verdict = await verifyReceiptFile(utf8(file), trustInLog(parseNoteKey(vkey)));
  expect(verdict.outcome).toBe(outcome);
  if (verdict.outcome !== "failed") return;
  const failed = verdict.checks.filter(({ state }) => state === "failed");
  expect(failed[0]).toMatchObject({ name: check, failure });
  expect(verdict.failure).toBe(failure);
});

// A proof lies beside the file of a receipt, and what others said of it in the log: tests of those reach their failures.
test("every failure that a verdict can have is reached by a vector", () => {
  const all: Record<Exclude<Failure, "bad_proof" | "refuted" | "revoked" | "bad_evidence" | "not_accepted">, true> = {
    malformed: true,
    wrong_id: true,
    bad_signature: true,
    unknown_key: true,
    not_granted: true,
    not_published: true,
    broken_terms: true,
    wrong_opening: true,
    not_in_log: true,
    bad_checkpoint: true,
    out_of_order: true,
  };
  expect(new Set(vectors.flatMap(({ failure }) => failure ?? []))).toEqual(new Set(Object.keys(all)));
});

let one: OneReceipt;
let two: OneReceipt;
beforeAll(async () => {
  one = await issueReceipt();
  // Another receipt of the same session, in the same log.
  two = await issueReceipt({ says: { authorization: (says) => ({ ...says, nonce: 1 }) } }, one.log);
});
const verifyJson = (file: object, trust = one.log.trust) => verifyReceiptFile(utf8(JSON.stringify(file)), trust);
type Json = { id: string; opening?: object } & Record<Part, { entry: string; proof?: string }>;
const jsonOf = ({ text }: OneReceipt): Json => JSON.parse(text);

test("a verdict says every check by name, and what the receipt says", async () => {
  const verdict = await verifyReceiptFile(utf8(one.text), one.log.trust);
  expect(verdict.checks.map(({ name, state, detail }) => `${name}: ${state}, ${detail}`)).toEqual([
    "form: passed, every part is well-formed and in its one spelling",
    `id: passed, SHA-256 of what the requester signed is ${hex(signedId(one.authorization.signed))}`,
    "requester signature: passed, the session key authorised this request (custody: account)",
    'node signature: passed, signed by the node "example-node"',
    'grant: passed, the session was granted and its key proved, signed by the gateway "example-gateway"',
    `model: passed, example/double 1.0.0, revision ${hex(one.entries.model.says.revision).slice(0, 16)}…, signed by the publisher "example-publisher"`,
    "terms: passed, status ok, price 3 of at most 5, granted for log.example/tallystick",
    "inclusion: passed, entry 5 of the log, after all that it rests on",
    "checkpoint: passed, signed by log.example/tallystick at size 6, 2026-11-22T12:00:00.000Z",
    "request opening: passed, the request in this file is the one committed to",
    "response opening: passed, the response in this file is the one committed to",
    "witnesses: not_checked, no policy says which witnesses to ask for: the time is the log operator's own word",
    'execution: not_checked, tier "signed": that the node told the truth is not shown',
    "attested: not_checked, that is in the log, not in this file",
    "reexecuted: not_checked, its requester opens it to no verifier: no lot draws it",
    "proved: not_checked, the request is not committed to as a circuit takes it: nothing can be proved of it",
  ]);
  if (verdict.outcome !== "verified") return expect.fail("the receipt is good");
  expect(verdict.value).toEqual({
    id: signedId(one.authorization.signed),
    index: 5,
    receipt: one.entries.receipt.says,
    authorization: one.authorization.says,
    grant: one.entries.grant.says,
    manifest: MANIFEST,
    nodeName: "example-node",
    nodeKey: one.entries.receipt.signed.keyId,
    seenSeconds: NOON_SECONDS,
  });
});

test("a relayed receipt says whose word it is that the answer is", async () => {
  const relays = vectors.filter(({ desc }) => desc.startsWith("a relayed receipt"));
  const said = relays.map(async ({ file, vkey }) => {
    const { checks } = await verifyReceiptFile(utf8(file), trustInLog(parseNoteKey(vkey)));
    return checks.find(({ name }) => name === "execution")?.detail;
  });
  const untold = 'tier "signed": that the node told the truth is not shown';
  expect(await Promise.all(said)).toEqual([
    `${untold}; it relayed the answer of "acme", and what ran there is that one's word alone`,
    `${untold}; it relayed the answer of an upstream, and what ran there is that one's word alone`,
  ]);
});

test("of a request for a proof the opening is not checked, and the verdict says what takes it", async () => {
  const { file, vkey } = vectors.find(({ desc }) => desc === "the tier proved, its opening unchecked") ?? {};
  const { checks } = await verifyReceiptFile(utf8(file ?? ""), trustInLog(parseNoteKey(vkey ?? "")));
  expect(checks.find(({ name }) => name === "request opening")).toEqual({
    name: "request opening",
    state: "not_checked",
    detail: "the request is committed to as its circuit takes it: whoever has circuit.json and a proof checks it",
  });
  expect(checks.find(({ name }) => name === "response opening")?.state).toBe("passed");
});

test("a model's entry that yanks, with bytes that are no manifest, fails and does not throw", async () => {
  const manifest = utf8("none");
  const { text, log } = await issueReceipt({ says: { model: (says) => ({ ...says, action: "yank", manifest }) } });
  expect(await verifyReceiptFile(utf8(text), log.trust)).toMatchObject({ outcome: "failed", failure: "not_published" });
});

test("without a key of the log to trust, a receipt is inconclusive, and only its checkpoint is unchecked", async () => {
  const verdict = await verifyReceiptFile(utf8(one.text), undefined);
  expect(verdict.outcome).toBe("inconclusive");
  expect(verdict.checks.filter(({ name, state }) => ESSENTIAL.includes(name) && state !== "passed")).toEqual([
    { name: "checkpoint", state: "not_checked", detail: "no trusted key of this log: give its vkey" },
  ]);
});

test("trust in another log's key fails the checkpoint, also where it has the same name", async () => {
  const imposter = trustInLog({ ...new LogInMemory("other.example").key, name: one.log.key.name });
  const verdict = await verifyReceiptFile(utf8(one.text), imposter);
  expect(verdict).toMatchObject({ outcome: "failed", failure: "bad_checkpoint" });
  const other = await verifyReceiptFile(utf8(one.text), new LogInMemory("other.example").trust);
  expect(other).toMatchObject({ outcome: "failed", failure: "bad_checkpoint" });
});

test.each(PARTS)("without the proof of its %s entry, a receipt is inconclusive", async (part) => {
  const file = jsonOf(one);
  const verdict = await verifyJson({ ...file, [part]: { entry: file[part].entry } });
  expect(verdict.outcome).toBe("inconclusive");
  expect(statesOf(verdict.checks)).toMatchObject({
    inclusion: "not_checked",
    checkpoint: "not_checked",
    form: "passed",
  });
});

test.each(PARTS)("a wrong proof of its %s entry fails, though another proof is still to come", async (part) => {
  const file = jsonOf(one);
  const awaited = part === "receipt" ? "grant" : "receipt";
  const { entry, proof = "" } = file[part];
  const wrong = proof.replace(/index (\d)/, (_, index) => `index ${Number(index) ^ 1}`);
  const verdict = await verifyJson({
    ...file,
    [awaited]: { entry: file[awaited].entry },
    [part]: { entry, proof: wrong },
  });
  expect(verdict).toMatchObject({ outcome: "failed", failure: "not_in_log" });
});

test("no part of another receipt fits: not its authorization's id, its receipt, nor its proof", async () => {
  const [a, b] = [jsonOf(one), jsonOf(two)];
  expect((await verifyJson(b)).outcome).toBe("verified");
  const spliced = async (change: Partial<Json>) => verifyJson({ ...a, ...change });
  expect(await spliced({ id: b.id })).toMatchObject({ failure: "wrong_id" });
  expect(await spliced({ receipt: b.receipt })).toMatchObject({ failure: "wrong_id" });
  expect(await spliced({ receipt: { ...b.receipt, entry: a.receipt.entry } })).toMatchObject({ failure: "not_in_log" });
});

test("each part of a receipt by other keys is refused where it is put among these", async () => {
  const file = jsonOf(one);
  const failures = await Promise.all(
    (["grant", "gateway", "node", "model", "publisher"] as const).map(async (part) => {
      const signer = fixedSigner(`other ${part}`);
      const other = await issueReceipt({
        signers: { [part]: signer },
        says: { [part]: (says: object) => ("spki" in says ? { ...says, spki: signer.spki } : says) },
      });
      const verdict = await verifyJson({ ...file, [part]: jsonOf(other)[part] }, other.log.trust);
      return [part, verdict.checks.find(({ state }) => state === "failed")?.name];
    }),
  );
  expect(Object.fromEntries(failures)).toEqual({
    grant: "requester signature",
    gateway: "grant",
    node: "node signature",
    model: "model",
    publisher: "model",
  });
});

test("an opening of one side alone is checked alone", async () => {
  const file = jsonOf(one);
  const verdict = await verifyJson({ ...file, opening: encodeOpening({ request: OPENING.request }) });
  expect(statesOf(verdict.checks)).toMatchObject({ "request opening": "passed", "response opening": "not_checked" });
  expect(verdict.outcome).toBe("verified");
});

test("an opening of a response that the receipt does not commit to fails", async () => {
  const failed = await issueReceipt({
    says: { receipt: ({ response: _, ...says }) => ({ ...says, status: "failed", price: 0n }) },
  });
  const verdict = await verifyReceiptFile(utf8(failed.text), failed.log.trust);
  expect(verdict).toMatchObject({ outcome: "failed", failure: "wrong_opening" });
});

test("a time that the log's key signs and no calendar has is refused, and throws nothing", async () => {
  const { text, log } = await issueReceipt({ seenSeconds: TIME_SECONDS });
  expect((await verifyReceiptFile(utf8(text), log.trust)).outcome).toBe("verified");
  const late = await issueReceipt({ seenSeconds: 9e15 });
  expect(await verifyReceiptFile(utf8(late.text), late.log.trust)).toMatchObject({ failure: "bad_checkpoint" });
});

test.each([
  ["nothing", ""],
  ["no JSON", "receipt"],
  ["a number", "1"],
  ["null", "null"],
  ["a list", "[]"],
  ["an empty object", "{}"],
  ["a list as deep as it is long", "[".repeat(100_000)],
])("%s is malformed and throws nothing", async (_, text) => {
  expect(await verifyReceiptFile(utf8(text), undefined)).toMatchObject({ outcome: "failed", failure: "malformed" });
});
