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
  keyOf,
  type Manifest,
  type ProvedCall,
  parseAnswer,
  parseCircuitFile,
  parseHex,
  type Signer,
  sha256,
  signEntry,
} from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";
import type { Report } from "../platform/http.ts";
import { type Case, caseOf } from "./cases.ts";
import { createLoop, type Loop } from "./loop.ts";

/** A proof, and the answer that it should be of, under the salt of its commitment. */
export type MadeProof = {
  receiptId: Uint8Array;
  evidence: Uint8Array;
  answer: { bytes: Uint8Array; salt: Uint8Array };
};

type ProofOutcome = { outcome: "passed"; calls: ProvedCall[] } | { outcome: "failed"; reason: string };

export type ProofCheckParts = {
  signer: Signer;
  fold: FoldState;
  readEntry(index: number): Promise<Uint8Array>;
  files(manifest: Manifest): Promise<ReadonlyMap<string, Uint8Array>>;
  verify(manifest: Manifest, evidence: Uint8Array): Promise<ProofOutcome>;
  submit(entry: Uint8Array): Promise<unknown>;
  report: Report;
};

export type ProofCheck = Loop & {
  /** Takes a proof to be checked once the fold knows its receipt. */
  take(made: MadeProof): void;
};

/** Proofs that wait for their receipts to be folded, or for the log. */
const WAITING_MOST = 256;
const RETRY_MS = 30_000;

export function createProofCheck(parts: ProofCheckParts): ProofCheck {
  const { fold, signer, report } = parts;
  const waiting = new Map<string, MadeProof>();
  const loop = createLoop(checkAll, report);

  async function checkAll(): Promise<void> {
    for (const [name, made] of waiting) {
      const receipt = fold.receipts.get(keyOf(made.receiptId));
      if (receipt === undefined) continue;
      try {
        await check(caseOf(fold, made.receiptId, await parts.readEntry(receipt.index)), made);
        waiting.delete(name);
      } catch (error) {
        // It waits for another time, and holds up no other.
        report("a proof could not be checked", { receipt: name, error: String(error) });
        loop.wakeIn(RETRY_MS);
      }
    }
  }

  async function check(looked: Case, made: MadeProof): Promise<void> {
    const beginMs = performance.now();
    const fault = await faultOf(looked, made);
    const cost = Math.round(1_000 * (performance.now() - beginMs));
    const { signed } = await signEntry(signer, "verification", {
      version: 1,
      receipt: made.receiptId,
      method: "proof",
      outcome: fault === undefined ? "passed" : "failed",
      evidence: sha256(made.evidence),
      cost,
      ceremony: parseHex(CEREMONY.digest) ?? new Uint8Array(0),
    });
    await parts.submit(signed.bytes).catch((error: unknown) => {
      if (!(error instanceof ServiceError && error.code === "conflict")) throw error; // It is said already.
    });
    if (fault !== undefined) report("a proof was checked: failed", { receipt: hex(made.receiptId), why: fault });
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

  return {
    ...loop,
    take(made) {
      const [oldest] = waiting.keys();
      if (waiting.size >= WAITING_MOST && oldest !== undefined) waiting.delete(oldest);
      waiting.set(hex(made.receiptId), made);
      loop.wake();
    },
  };
}
