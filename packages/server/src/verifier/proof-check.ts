/** Checks the proofs that a node made, and says in the log what came of it (docs/spec/proof.md, "Verifying"). */
import {
  answerOf,
  CEREMONY,
  CIRCUIT_PATH,
  commit,
  encodeAnswer,
  equal,
  type FoldState,
  hex,
  keyId,
  keyOf,
  type Manifest,
  type ProvedCall,
  parseAnswer,
  parseCircuitFile,
  parseHex,
  type Signer,
  type Submission,
  sha256,
  signEntry,
  type VerificationPayload,
} from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";
import type { Report } from "../platform/http.ts";
import { type Case, caseOf } from "./cases.ts";
import { evidenceOf } from "./evidence.ts";
import { createLoop, type Loop } from "./loop.ts";

/** What came of a call that was to be proved: its proof, and the answer that it should be of, under the salt of its commitment. */
export type ToCheck =
  | { state: "made"; evidence: Uint8Array; answer: { bytes: Uint8Array; salt: Uint8Array } }
  | { state: "failed" }
  | { state: "waiting" };
type MadeProof = Extract<ToCheck, { state: "made" }>;

type ProofOutcome = { outcome: "passed"; calls: ProvedCall[] } | { outcome: "failed"; reason: string };

export type ProofCheckParts = {
  signer: Signer;
  fold: FoldState;
  readEntry(index: number): Promise<Uint8Array>;
  files(manifest: Manifest): Promise<ReadonlyMap<string, Uint8Array>>;
  verify(manifest: Manifest, evidence: Uint8Array): Promise<ProofOutcome>;
  /** The receipts of which nobody has said yet what came of their proofs. Kept by whoever made those, through a restart. */
  listUnchecked(): Uint8Array[];
  find(receiptId: Uint8Array): ToCheck | undefined;
  noteChecked(receiptId: Uint8Array): void;
  submit(statement: Submission): Promise<unknown>;
  report: Report;
};

const RETRY_MS = 30_000;

export function createProofCheck(parts: ProofCheckParts): Loop {
  const { fold, signer, report } = parts;
  const loop = createLoop(checkAll, report);

  async function checkAll(): Promise<void> {
    for (const id of parts.listUnchecked()) {
      const receipt = fold.receipts.get(keyOf(id));
      if (receipt === undefined) continue;
      try {
        const found = parts.find(id);
        if (found === undefined || found.state === "waiting") continue;
        const looked = caseOf(fold, id, await parts.readEntry(receipt.index));
        await (found.state === "made" ? check(looked, found) : sayUnmade(looked));
        parts.noteChecked(id);
      } catch (error) {
        // It waits for another time, and holds up no other.
        report("a proof could not be checked", { receipt: hex(id), error: String(error) });
        loop.wakeIn(RETRY_MS);
      }
    }
  }

  async function check(looked: Case, made: MadeProof): Promise<void> {
    const beginMs = performance.now();
    const fault = await faultOf(looked, made);
    const cost = Math.round(1_000 * (performance.now() - beginMs));
    const ceremony = parseHex(CEREMONY.digest) ?? new Uint8Array(0);
    const outcome = fault === undefined ? "passed" : "failed";
    await say({ receipt: looked.id, outcome, evidence: sha256(made.evidence), cost, ceremony });
    if (fault !== undefined) report("a proof was checked: failed", { receipt: hex(looked.id), why: fault });
  }

  /** That a proof was asked for and there is none: anybody may see it, though not why, which might tell of the call. */
  async function sayUnmade(looked: Case): Promise<void> {
    const found = {
      outcome: "undecided",
      method: "proof",
      detail: "a proof was asked for, and none was made",
    } as const;
    const { bytes, digest } = evidenceOf(looked, { ...found, by: keyId(signer.spki) });
    await say({ receipt: looked.id, outcome: found.outcome, evidence: digest, cost: 0 }, bytes);
  }

  async function say(says: Omit<VerificationPayload, "version" | "method">, evidence?: Uint8Array): Promise<void> {
    const { signed } = await signEntry(signer, "verification", { version: 1, method: "proof", ...says });
    const statement = { entry: signed.bytes, ...(evidence === undefined ? {} : { evidence }) };
    await parts.submit(statement).catch((error: unknown) => {
      if (!(error instanceof ServiceError && error.code === "conflict")) throw error; // It is said already.
    });
  }

  /** Why the proof is none of this receipt's answer; undefined where it is one. */
  async function faultOf({ id, asked, receipt, manifest }: Case, made: MadeProof): Promise<string | undefined> {
    const found = await parts.verify(manifest, made.evidence);
    if (found.outcome === "failed") return `the evidence ${found.reason}`;
    const call = found.calls.find((one) => equal(one.receipt, id));
    if (call === undefined) return "the proof is of other receipts";
    if (asked.request.alg !== "poseidon2" || !equal(call.input, asked.request.digest))
      return "the proof is of another input than was committed to";
    const { bytes, salt } = made.answer;
    if (receipt.response === undefined || !equal(commit("response", salt, bytes).digest, receipt.response.digest))
      return "the answer is not the one that the receipt is for";
    const circuit = parseCircuitFile((await parts.files(manifest)).get(CIRCUIT_PATH) ?? new Uint8Array(0));
    const name = parseAnswer(bytes)[0]?.name ?? "";
    const proved = encodeAnswer([answerOf(circuit, name, call.outputs)]);
    return equal(proved, bytes) ? undefined : "the proof is of another answer";
  }

  return loop;
}
