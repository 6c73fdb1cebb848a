/** The proof of an answer, verified where its requester is (docs/spec/proof.md, "Verifying"). */
import {
  type Check,
  CIRCUIT_PATH,
  hex,
  Malformed,
  type Manifest,
  type Opening,
  type ProofQuestion,
  parseAnswer,
  parseCall,
  proofLimits,
  type Verdict,
  type VerifiedReceipt,
} from "@tallystick/protocol";
import type { Http } from "./http.ts";
import type { ProofVerifier } from "./proof.ts";

/** What a proof is verified by. None of it is believed for where it came from. */
export type ProofParts = { evidence: Uint8Array; circuit: Uint8Array; verificationKey: Uint8Array };

/** A proof that holds, of the call and the answer that the caller has. */
export type VerifiedProof = {
  evidence: Uint8Array;
  /** What it does not say: to be shown with it. */
  limits: string[];
};

/** What of a model its proofs are verified by, by the SHA-256 of each; undefined where it has no circuit. */
export function proofNames({ artifacts, circuit }: Manifest): { circuit: string; verificationKey: string } | undefined {
  const artifact = artifacts.find(({ path }) => path === CIRCUIT_PATH);
  if (artifact === undefined || circuit === undefined) return undefined;
  return { circuit: hex(artifact.digest), verificationKey: hex(circuit.verificationKey) };
}

/** Asks a network for the proof of a receipt, by an API key of the account whose call it was. */
export function fetchEvidence(http: Http, receiptId: string, apiKey: string | undefined): Promise<Uint8Array> {
  const headers: Record<string, string> = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  return http.bytes(`/v1/receipts/${receiptId}/proof`, { headers });
}

/** Every check of a proof of `receipt`, which holds. `opening` is one that its file was verified with. */
export async function verifyProof(
  verifier: ProofVerifier,
  { id: receiptId, authorization: { request }, manifest }: VerifiedReceipt,
  { evidence, circuit, verificationKey }: ProofParts,
  opening: Opening | undefined,
): Promise<Check[]> {
  let opened: ProofQuestion["opened"];
  try {
    opened = opening && openedIn(opening);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    const detail = `the opening of the receipt ${error.message}`;
    return [{ name: "proved answer", state: "failed", failure: "wrong_opening", detail }];
  }
  const question = { evidence, receiptId, request, manifest, circuit, ...(opened && { opened }) };
  return verifier.verify({ ...question, verificationKey });
}

/** The one tensor that was asked about, and the one that was answered. Throws Malformed. */
function openedIn({ request, response }: Opening): ProofQuestion["opened"] {
  const call = parseCall(request.bytes);
  const [input] = call.operation === "infer" ? call.inputs : [];
  const [answer] = response === undefined ? [] : parseAnswer(response.bytes);
  return input === undefined || answer === undefined ? undefined : { input, salt: request.salt, answer };
}

/** The verdict over the checks of a proof: it is verified where each of them was made and passed. */
export function proofVerdict(checks: Check[], evidence: Uint8Array, manifest: Manifest): Verdict<VerifiedProof> {
  const failed = checks.find((check) => check.state === "failed");
  if (failed !== undefined) return { outcome: "failed", failure: failed.failure, checks };
  if (checks.some(({ state }) => state !== "passed")) return { outcome: "inconclusive", checks };
  return { outcome: "verified", value: { evidence, limits: proofLimits(manifest) }, checks };
}
