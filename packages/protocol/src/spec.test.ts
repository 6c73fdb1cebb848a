/** The worked bytes of docs/spec, held to what they are said to be. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { readVectors, type Vector } from "../../../test/vectors.ts";
import type { AttestationFailure } from "./attest/appraisal.ts";
import { measurementOf } from "./attest/appraisal.ts";
import { bindingOf, encodeEvidence, parseEvidence } from "./attest/evidence.ts";
import { VENDOR_ROOTS } from "./attest/roots.ts";
import { base64, hex, parseBase64, parseHex, utf8 } from "./bytes.ts";
import { commit, parseAnyAnswer, parseCall } from "./call/call.ts";
import { floats } from "./call/tensor.ts";
import { parseAuthorization, parseEntry } from "./entry/entry.ts";
import { parseCheckpoint } from "./log/checkpoint.ts";
import { parseCoseReceipt, verifyCoseReceipt } from "./log/cose-receipt.ts";
import { createNoteKey, encodeNoteKey, type NoteKey, parseNoteKey } from "./log/note.ts";
import { isQuorum, parsePolicy } from "./log/policy.ts";
import { parseLogProof, proves } from "./log/proof.ts";
import { trustInLog, verifyCheckpoint } from "./log/trust.ts";
import { mostWrong, upperBound } from "./lot/bound.ts";
import { lotSeedOf, ticketOf, verifierIndexOf } from "./lot/draw.ts";
import { dueOf } from "./lot/due.ts";
import { addShape, type Shapes } from "./lot/shapes.ts";
import { withoutReceipt } from "./openai/frame.ts";
import { answerOf } from "./proof/answer.ts";
import { parseCircuitFile } from "./proof/circuit.ts";
import { commitInput, commitWeights, packValues } from "./proof/commitment.ts";
import { quantiseRow } from "./proof/quantise.ts";
import { extendStream, openStream, sealMessage } from "./receipt/stream.ts";
import { signedId } from "./sign/cose.ts";
import { applyEntry } from "./usage/fold.ts";
import { isDrawn } from "./usage/lots.ts";
import { createFold, keyOf } from "./usage/state.ts";
import type { Failure } from "./verdict.ts";

const FOLDER = join(import.meta.dirname, "../../../docs/spec");
const specs = readdirSync(FOLDER).map((name) => ({ name, text: readFileSync(join(FOLDER, name), "utf8") }));

type Block = { name: string; is: string; body: string; spec: string };
/** The fenced blocks that say what they are: ```hex entry. */
const blocks: Block[] = specs.flatMap(({ name, text }) =>
  [...text.matchAll(/^```(\w+ \w+)\n(.*?)^```$/gms)].map(([, is = "", body = ""]) => ({ name, is, body, spec: text })),
);
const blocksOf = (is: string) => blocks.filter((block) => block.is === is);
/** The bytes of annotated hex: what comes after a # is for people. */
const bytesOf = ({ body }: Block) => parseHex(body.replace(/#.*$/gm, "").replace(/\s/g, "")) ?? new Uint8Array(0);

test("every block that is said to be something is checked below", () => {
  const known = [
    "hex entry",
    "hex authorization",
    "hex call",
    "hex answer",
    "hex cose",
    "hex seal",
    "hex evidence",
    "text stream",
    "text vkey",
    "text checkpoint",
    "text proof",
    "text mldsa",
    "text policy",
    "json figures",
    "json circuit",
    "text commitments",
    "json lot",
    "json bound",
  ];
  expect(new Set(blocks.map(({ is }) => is))).toEqual(new Set(known));
});

type EntryVector = Vector & { hex: string; signedId: string };
const entries = readVectors<EntryVector>("entry/valid.json");

test.each([...blocksOf("hex entry"), ...blocksOf("hex authorization")])(
  "$name: the $is is one of our vectors",
  (block) => {
    const bytes = bytesOf(block);
    const { signed } = block.is === "hex entry" ? parseEntry(bytes) : parseAuthorization(bytes);
    const vector = entries.find((some) => some.hex === hex(bytes));
    expect(vector?.signedId).toBe(hex(signedId(signed)));
    expect(block.spec).toContain(`${bytes.length} bytes`);
    // A receipt has no id of its own: the text gives that of the half inside it.
    if (!signed.contentType.includes("receipt")) expect(block.spec).toContain(hex(signedId(signed)));
  },
);

test("receipt.md: the receipt holds the authorization worked out above it", () => {
  const [authorization] = blocksOf("hex authorization");
  const [receipt] = blocksOf("hex entry").filter(({ name }) => name === "receipt.md");
  if (authorization === undefined || receipt === undefined) return expect.fail("receipt.md has both halves");
  const entry = parseEntry(bytesOf(receipt));
  expect(entry.kind === "receipt" && hex(entry.says.authorization)).toBe(hex(bytesOf(authorization)));
});

type CommitmentVector = Vector & { salt: string; bytes: string; digest: string };

test("call.md: the calls and the answers are those of our vectors, and so are the commitments", () => {
  const calls = blocksOf("hex call");
  const answers = blocksOf("hex answer");
  const [call] = calls;
  if (call === undefined) return expect.fail("call.md has calls");
  expect(calls.map((block) => parseCall(bytesOf(block)).operation)).toEqual(["infer", "chat"]);
  expect(answers.map((block) => Object.keys(parseAnyAnswer(bytesOf(block))))).toEqual([["outputs"], ["body"]]);
  const vectorsOf = (path: string) => readVectors<EntryVector>(path).map((vector) => vector.hex);
  for (const block of calls) expect(vectorsOf("call/calls.json")).toContain(hex(bytesOf(block)));
  for (const block of answers) expect(vectorsOf("call/answers.json")).toContain(hex(bytesOf(block)));
  for (const block of [calls[1], answers[1]]) expect(call.spec).toContain(`${block && bytesOf(block).length} bytes`);
  const [commitment] = readVectors<CommitmentVector>("call/commitments.json");
  const salt = parseHex(commitment?.salt ?? "") ?? new Uint8Array(0);
  expect(hex(commit("request", salt, bytesOf(call)).digest)).toBe(commitment?.digest);
  const field = readVectors<CommitmentVector>("call/fields.json").find(({ desc }) => desc === "an upstream's model");
  for (const shown of [commitment?.salt, commitment?.digest, field?.salt, field?.digest])
    expect(call.spec).toContain(shown);
});

test("stream.md: the frames, the links and the seal are those of our vectors, and the chain leads to them", () => {
  const [stream] = blocksOf("text stream");
  const [seal] = blocksOf("hex seal");
  type StreamVector = Vector & { frames: string[]; receiptId: string; salt: string; links: string[] };
  const [vector] = readVectors<StreamVector>("receipt/streams.json");
  if (stream === undefined || seal === undefined || vector === undefined) return expect.fail("stream.md has a stream");
  const frames = stream.body.match(/.*?\n\n/gs) ?? [];
  expect(frames).toEqual(vector.frames);
  const bytes = (text: string) => parseHex(text) ?? new Uint8Array(0);
  const states = [openStream(bytes(vector.receiptId), bytes(vector.salt))];
  for (const [i, frame] of frames.entries()) {
    const bare = i === frames.length - 1 ? withoutReceipt(frame, "}") : frame;
    states.push(extendStream(states[i] ?? expect.fail(), utf8(bare)));
  }
  expect(states.map(({ head }) => hex(head))).toEqual(vector.links);
  for (const shown of [vector.receiptId, vector.salt, ...vector.links]) expect(stream.spec).toContain(`    ${shown}\n`);
  const [, , sealed = expect.fail()] = states;
  expect(hex(bytesOf(seal))).toBe(hex(sealMessage(bytes(vector.receiptId), sealed)));
});

test("log.md: the checkpoint verifies by the vkey, and the proof leads from the letter d to it", async () => {
  const [vkey] = blocksOf("text vkey");
  const [checkpoint] = blocksOf("text checkpoint");
  const [proof] = blocksOf("text proof");
  const key: NoteKey = parseNoteKey(vkey?.body.trim() ?? "");
  const verified = await verifyCheckpoint(parseCheckpoint(utf8(checkpoint?.body ?? "")), trustInLog(key));
  expect(verified).toEqual({ ok: true, timeSeconds: Date.UTC(2026, 10, 22, 12) / 1000 });
  const parsed = parseLogProof(proof?.body ?? "");
  expect([parsed.index, parsed.checkpoint]).toEqual([3, parseCheckpoint(utf8(checkpoint?.body ?? ""))]);
  expect(proves(parsed, utf8("d"))).toBe(true);
});

test("log.md: the policy is one of our vectors, and its quorums are those that the text says", () => {
  const [block] = blocksOf("text policy");
  if (block === undefined) return expect.fail("log.md has a policy");
  const encoded = readVectors<Vector & { policy: string }>("log/policies.json").map(({ policy }) => policy);
  expect(encoded).toContain(base64(utf8(block.body)));
  const { logs, quorum } = parsePolicy(utf8(block.body));
  expect(logs.map(({ key }) => encodeNoteKey(key))).toEqual(blocksOf("text vkey").map(({ body }) => body.trim()));
  const isOne = (...names: string[]) => isQuorum(quorum, ({ name }) => names.includes(name.replace(/^.*\//, "")));
  expect([isOne("own", "a"), isOne("own", "b"), isOne("a", "b"), isOne("own")]).toEqual([true, true, false, false]);
});

test("log.md: the vkey of ML-DSA-44 begins as it says", () => {
  const [block] = blocksOf("text mldsa");
  const vkey = encodeNoteKey(createNoteKey("witness.example/two", "ml-dsa-44", new Uint8Array(1312)));
  expect(block && vkey.startsWith(block.body.trim())).toBe(true);
  expect(vkey.split("+").at(-1)).toHaveLength(1752);
});

test("log.md: the COSE Receipt is one of our vectors, and verifies for the letter d by the key that is shown", async () => {
  const [block] = blocksOf("hex cose");
  if (block === undefined) return expect.fail("log.md has a COSE Receipt");
  const bytes = bytesOf(block);
  const vectors = readVectors<Vector & { hex: string; spki: string }>("log/cose-receipts.json");
  const vector = vectors.find((some) => some.hex === hex(bytes));
  expect(block.spec).toContain(`\`${vector?.spki}\``);
  expect(block.spec).toContain(`${bytes.length} bytes`);
  const spki = parseHex(vector?.spki ?? "") ?? new Uint8Array(0);
  expect(await verifyCoseReceipt(parseCoseReceipt(bytes), utf8("d"), spki)).toBe(true);
});

test("usage.md: the figures are those of the vector that the text names", () => {
  const [figures] = blocksOf("json figures");
  const [, second] = readVectors<Vector & { figures: object }>("usage/logs.json");
  expect(JSON.stringify(JSON.parse(figures?.body ?? ""))).toBe(JSON.stringify(second?.figures));
});

test("proof.md: the commitments and the answer are those of the circuit, input, weights and salts that the text names", () => {
  const circuit = parseCircuitFile(utf8(blocksOf("json circuit")[0]?.body ?? ""));
  const salt = new Uint8Array(32).fill(7);
  const { values } = quantiseRow(circuit, [1.5, -200, 0.25]);
  const output = 384n * 3n + -200n * -2n + 4096n + 100n;
  const rows = {
    integers: values.join(" "),
    "packed input": packValues(values, 16, true).map((element) => element.toString(16)),
    input: hex(commitInput(circuit, values, salt)),
    weights: hex(commitWeights(circuit, [[3n, -2n, 1n], [100n]], salt)),
    output,
    answer: floats(answerOf(circuit, "y", [output])).join(),
  };
  const written = Object.entries(rows).map(([name, value]) => `${name.padEnd(15)}${value}\n`);
  expect(blocksOf("text commitments")[0]?.body).toBe(written.join(""));
});

type WorkedLot = {
  epoch: number;
  epochDigest: string;
  reveals: { verifier: string; value: string }[];
  seed: string;
  drawn: { receipt: string; ticket: string; verifier: number }[];
};

test("lot.md: the seed, the tickets and the drawn are those of the vector that the text names", () => {
  const lot = JSON.parse(blocksOf("json lot")[0]?.body ?? "") as WorkedLot;
  const [, , , , , , seventh] = readVectors<Vector & { entries: string[] }>("usage/logs.json");
  const parsed = (seventh?.entries ?? []).map((entry) => parseEntry(parseBase64(entry) ?? new Uint8Array(0)));
  const fromHex = (text: string) => parseHex(text) ?? new Uint8Array(0);
  expect(hex(sha256(parsed[lot.epoch]?.signed.bytes ?? new Uint8Array(0)))).toBe(lot.epochDigest);
  const reveals = parsed.flatMap((entry) =>
    entry.kind === "lot" && entry.says.action === "reveal" && entry.says.epoch === lot.epoch
      ? [{ verifier: hex(entry.signed.keyId), value: hex(entry.says.value) }]
      : [],
  );
  expect(lot.reveals).toEqual(reveals.sort((a, b) => (a.verifier < b.verifier ? -1 : 1)));
  const values = lot.reveals.map(({ verifier, value }) => ({ verifier: fromHex(verifier), value: fromHex(value) }));
  const seed = lotSeedOf(fromHex(lot.epochDigest), values);
  expect(hex(seed)).toBe(lot.seed);
  const fold = createFold();
  for (const entry of parsed) applyEntry(fold, entry);
  for (const { receipt, ticket, verifier } of lot.drawn) {
    expect(hex(ticketOf(seed, fromHex(receipt)))).toBe(ticket);
    expect(verifierIndexOf(fromHex(ticket), values.length)).toBe(verifier);
    const drawn = { verifier: keyOf(values[verifier]?.verifier ?? new Uint8Array(0)), epoch: lot.epoch };
    expect(isDrawn(fold, keyOf(fromHex(receipt)))).toEqual(drawn);
  }
  expect(fold.proofs.examinations.size).toBe(lot.drawn.length + 1); // And the one of the later lot.
});

test("lot.md: the bounds, and how many are due, are as worked out there", () => {
  type Worked = { strata: Record<"population" | "drawn", number>[]; wrongAtMost: number[]; upperBound: string[] };
  const worked = JSON.parse(blocksOf("json bound")[0]?.body ?? "") as Worked & { due: Record<string, number> };
  const shapes: Shapes = new Map();
  for (const { population, drawn } of worked.strata) addShape(shapes, { population, checked: drawn }, 1);
  expect([0, 1, 2].map((failures) => mostWrong(shapes, failures))).toEqual(worked.wrongAtMost);
  expect([0, 1, 2].map((failures) => upperBound(shapes, failures))).toEqual(worked.upperBound);
  for (const [population, due] of Object.entries(worked.due)) expect(dueOf(new Map(), Number(population))).toBe(due);
});

test("receipt.md explains every failure that a verdict can have", () => {
  const all: Record<Failure, true> = {
    malformed: true,
    wrong_id: true,
    bad_signature: true,
    unknown_key: true,
    not_granted: true,
    not_published: true,
    broken_terms: true,
    wrong_opening: true,
    bad_proof: true,
    not_in_log: true,
    bad_checkpoint: true,
    out_of_order: true,
    refuted: true,
    revoked: true,
    bad_evidence: true,
    not_accepted: true,
  };
  const { text = "" } = specs.find(({ name }) => name === "receipt.md") ?? {};
  const explained = [...text.matchAll(/^\| `(\w+)` +\| [a-z]/gm)].map(([, code]) => code);
  for (const code of Object.keys(all)) expect(explained).toContain(code);
});

const attestation = specs.find(({ name }) => name === "attestation.md")?.text ?? "";

test("attestation.md: the evidence is read and written as it stands, and binds what the text says", () => {
  const [block] = blocksOf("hex evidence");
  const bytes = block === undefined ? new Uint8Array(0) : bytesOf(block);
  const evidence = parseEvidence(bytes);
  expect(encodeEvidence(evidence)).toEqual(bytes);
  expect(attestation).toContain(hex(evidence.binding === undefined ? bytes : bindingOf(evidence.binding)));
  expect(attestation).toContain(hex(measurementOf(new Map([[0, new Uint8Array(48).fill(0xaa)]]))));
});

test("attestation.md explains every failure of an appraisal, and names the roots of the enclave and of AMD", () => {
  const all: Record<AttestationFailure, true> = {
    malformed: true,
    unknown_root: true,
    bad_chain: true,
    bad_signature: true,
    not_valid_now: true,
    revoked: true,
    wrong_binding: true,
    wrong_platform: true,
    debug: true,
    out_of_date: true,
  };
  const explained = [...attestation.matchAll(/^\| `(\w+)` +\| [a-z]/gm)].map(([, code]) => code);
  for (const code of Object.keys(all)) expect(explained).toContain(code);
  for (const { technology, name, digest } of VENDOR_ROOTS)
    if (technology === "nitro" || technology === "snp") {
      expect(attestation).toContain(name);
      expect(attestation).toContain(hex(digest));
    }
});
