/** The proof of a receipt, from a file, from what is kept here or from the network, verified in this process. */
import {
  type Check,
  hex,
  type Manifest,
  type Opening,
  proofLimits,
  sha256,
  type VerifiedReceipt,
} from "@tallystick/protocol";
import { RefusedError, UnreachableError } from "../errors.ts";
import { createHttp, type Http } from "../http.ts";
import type { ProofVerifier } from "../proof.ts";
import { fetchEvidence, type ProofParts, proofNames, verifyProof } from "../proved-answer.ts";
import type { Context } from "./context.ts";
import { findFile, writePrivately } from "./home.ts";
import { UsageError, waiting } from "./terminal.ts";

/** The checks of a proof; `limits` is what it does not say, where there is one. */
export type Proof = { checks: Check[]; limits?: readonly string[] };

export type ProofPlace = { url?: string; apiKey?: string; proof?: string | undefined };

/** How long the holder of an opening waits for the proof, which is made after the answer: the first of a model is compiled. */
const PROVED_WITHIN_MS = 120_000;
const POLL_MS = 500;

/** Verifies the proof of `receipt`, whose file holds; of one that asked for none, says nothing. */
export async function proofOf(
  receipt: VerifiedReceipt,
  opening: Opening | undefined,
  place: ProofPlace,
  context: Context,
): Promise<Proof> {
  const { manifest, authorization } = receipt;
  if (authorization.request.alg !== "poseidon2") return { checks: [] };
  const receiptId = hex(receipt.id);
  try {
    const http = place.url === undefined ? undefined : createHttp(place.url, context.edges);
    const evidence = await findEvidence(receiptId, opening !== undefined, { ...place, http }, context);
    if (evidence === undefined)
      return open(
        "no evidence of it is at hand: give --proof FILE, or ask its network with the API key whose call it was",
      );
    const parts = await findParts(manifest, http, context);
    await using verifier = await openVerifier();
    const checks = await verifyProof(verifier, receipt, { evidence, ...parts }, opening);
    if (checks.some(({ state }) => state === "failed")) return { checks };
    await writePrivately(context.home.proofPath(receiptId), evidence);
    return { checks, limits: proofLimits(manifest) };
  } catch (error) {
    if (error instanceof RefusedError || error instanceof UnreachableError || error instanceof Unavailable)
      return open(error.message);
    throw error;
  }
}

function open(detail: string): Proof {
  return { checks: [{ name: "proof", state: "not_checked", detail }] };
}

class Unavailable extends Error {
  override name = "Unavailable";
}

/** Loaded where it is needed: whoever verifies no proof need not have it. */
async function openVerifier(): Promise<ProofVerifier> {
  const { openProofVerifier } = await import("../proof.ts").catch((cause: unknown) => {
    throw new Unavailable("verifying it wants Barretenberg: npm install @aztec/bb.js@5.0.0", { cause });
  });
  return openProofVerifier();
}

async function findEvidence(
  receiptId: string,
  isHolder: boolean,
  { http, apiKey, proof }: ProofPlace & { http: Http | undefined },
  { home, edges, terminal }: Context,
): Promise<Uint8Array | undefined> {
  if (proof !== undefined) {
    const given = await findFile(proof);
    if (given === undefined) throw new UsageError(`there is no proof in ${proof}`);
    return given;
  }
  const kept = await findFile(home.proofPath(receiptId));
  if (kept !== undefined || http === undefined || apiKey === undefined) return kept;
  const untilMs = edges.nowMs() + (isHolder ? PROVED_WITHIN_MS : 0);
  const fetching = async () => {
    for (;;) {
      const evidence = await fetchEvidence(http, receiptId, apiKey).catch((error: unknown) => {
        if (!(error instanceof RefusedError) || error.status !== 404 || edges.nowMs() >= untilMs) throw error;
        return undefined;
      });
      if (evidence !== undefined) return evidence;
      await edges.sleep(POLL_MS);
    }
  };
  return waiting(terminal, "waiting for the proof", fetching());
}

/** The circuit and the key that a manifest names by their SHA-256. */
async function findParts(
  manifest: Manifest,
  http: Http | undefined,
  { home }: Context,
): Promise<Pick<ProofParts, "circuit" | "verificationKey">> {
  const names = proofNames(manifest);
  if (names === undefined) throw new Unavailable(`${manifest.name} has no circuit, so that nothing proves it`);

  async function find(path: string, digest: string): Promise<Uint8Array> {
    const kept = await findFile(home.blobPath(digest));
    if (kept !== undefined && hex(sha256(kept)) === digest) return kept;
    if (http === undefined)
      throw new Unavailable(`${digest}, which it is verified by, is not kept here: give --network`);
    const bytes = await http.bytes(`${path}${digest}`);
    if (hex(sha256(bytes)) !== digest) throw new Unavailable(`the network gave other bytes for ${digest}`);
    await writePrivately(home.blobPath(digest), bytes);
    return bytes;
  }
  const circuit = await find("/v1/artifacts/", names.circuit);
  return { circuit, verificationKey: await find("/v1/verification-keys/", names.verificationKey) };
}
