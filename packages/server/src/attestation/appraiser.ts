/**
 * The verifier's side of attestation (docs/spec/attestation.md): gives a node a fresh nonce, appraises the evidence that comes
 * back bound to it, archives that, and says in the log what came of it.
 */
import {
  type Appraisal,
  appraise,
  bindingOf,
  type Evidence,
  equal,
  evidenceDigest,
  keyOf,
  Malformed,
  parseEvidence,
  type Signer,
  signEntry,
  TIME_SECONDS,
} from "@tallystick/protocol";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import type { Random } from "../platform/random.ts";
import type { EvidenceArchive } from "./archive-store.ts";

export type AppraiserParts = {
  /** The verifier's key, which is enrolled. */
  signer: Signer;
  clock: Clock;
  random: Random;
  archive: EvidenceArchive;
  /** SHA-256 of the key whose simulated evidence is played along with; without it none is. */
  simulatedRoot: Uint8Array | undefined;
  /** Appends an entry and resolves once the fold has it. */
  publish(entry: Uint8Array): Promise<number>;
};

/** What came of it, and where the log says so. */
export type Appraised = { appraisal: Appraisal; evidence: Uint8Array; expirySeconds: number; index: number };

export type Appraiser = {
  /** A nonce for the next evidence of a node. Throws rate_limited, or unavailable where too many ask. */
  challenge(node: Uint8Array): Uint8Array;
  /** Appraises what a node sends. Throws invalid_request where it does not answer the nonce that the node was given. */
  appraise(node: Uint8Array, archived: Uint8Array): Promise<Appraised>;
};

/** How long a node has for its evidence: a service of its vendor's may have to be asked first. */
const NONCE_MS = 300_000;
/** Each appraisal is an entry, for ever: a node may try this often. */
const BETWEEN_MS = 10_000;
const NONCES_MOST = 1_024;
/** The longest that an appraisal holds: code that was compromised since must not be vouched for much longer. */
const HOLDS_SECONDS = 24 * 3_600;
const NOTHING = new Uint8Array(32);

export function createAppraiser(parts: AppraiserParts): Appraiser {
  const { signer, clock, random, archive, publish, simulatedRoot } = parts;
  /** By node. A used nonce stays until the node may ask again. */
  const nonces = new Map<string, { nonce: Uint8Array | undefined; givenMs: number }>();

  function forgetOld(): void {
    for (const [node, { givenMs }] of nonces) if (clock.nowMs() - givenMs > NONCE_MS) nonces.delete(node);
  }

  function takeNonce(node: Uint8Array): Uint8Array {
    const given = nonces.get(keyOf(node));
    if (given?.nonce === undefined || clock.nowMs() - given.givenMs > NONCE_MS)
      throw new ServiceError(
        "invalid_request",
        "evidence answers a nonce: ask for one, and be back within five minutes",
      );
    const { nonce } = given;
    given.nonce = undefined;
    return nonce;
  }

  async function log(node: Uint8Array, appraisal: Appraisal, digest: Uint8Array, appraised: number) {
    const isPassed = appraisal.outcome === "passed";
    const expiry = isPassed ? Math.min(TIME_SECONDS, appraisal.notAfterSeconds, appraised + HOLDS_SECONDS) : appraised;
    const { technology, outcome } = appraisal;
    const { signed } = await signEntry(signer, "appraisal", {
      ...{ version: 1, key: node, technology, outcome, evidence: digest, appraised, expiry },
      measurement: isPassed ? appraisal.measurement : NOTHING,
      root: isPassed ? appraisal.root : NOTHING,
    });
    return { index: await publish(signed.bytes), expirySeconds: expiry };
  }

  return {
    challenge(node) {
      forgetOld();
      const givenMs = clock.nowMs();
      const known = nonces.get(keyOf(node));
      if (known !== undefined && givenMs - known.givenMs < BETWEEN_MS)
        throw new ServiceError("rate_limited", "a node attests at most once in ten seconds", {
          retryAfterMs: BETWEEN_MS,
        });
      if (known === undefined && nonces.size >= NONCES_MOST)
        throw new ServiceError("unavailable", "too many nodes attest just now: try again in a minute");
      const nonce = random(32);
      nonces.set(keyOf(node), { nonce, givenMs });
      return nonce;
    },

    async appraise(node, archived) {
      const { technology, binding } = readEvidence(archived);
      const nonce = takeNonce(node);
      if (binding === undefined || !equal(binding.nonce, nonce) || !equal(binding.key, node))
        throw new ServiceError("invalid_request", "the evidence is of another nonce or another key than this node's");
      if (technology === "hopper")
        throw new ServiceError("invalid_request", "a GPU's evidence does not say which code holds the node's key");
      const appraised = nowSeconds(clock);
      const appraisal = await appraise(archived, {
        nowSeconds: appraised,
        expected: { reportData: bindingOf(binding) },
        ...(simulatedRoot && { simulatedRoot }),
      });
      const evidence = evidenceDigest(archived);
      archive.keep(evidence, archived); // First: what the log names is there to be looked at.
      const logged = await log(node, appraisal, evidence, appraised);
      archive.holdTls(node, appraisal.outcome === "passed" ? binding.tlsKey : undefined, logged.expirySeconds);
      return { appraisal, evidence, ...logged };
    },
  };
}

function readEvidence(archived: Uint8Array): Evidence {
  try {
    return parseEvidence(archived);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new ServiceError("invalid_request", `the evidence ${cause.message}`, { cause });
  }
}
