/** The lot: hash chains, the seed of an epoch, and who is drawn by it (docs/spec/lot.md). */
import { sha256 } from "#platform";
import { equal, utf8 } from "../bytes.ts";

const SEED_TAG = utf8("tallystick lot v1\0");

/** The values of a hash chain from its secret to its anchor: `length` + 1 of them, each the SHA-256 of the one before. */
export function hashChain(secret: Uint8Array, length: number): Uint8Array[] {
  const values = [secret];
  for (let value = secret; values.length <= length; values.push(value)) value = sha256(value);
  return values;
}

/** Whether `value` is what comes before `last` in a hash chain. */
export function precedes(value: Uint8Array, last: Uint8Array): boolean {
  return equal(sha256(value), last);
}

/** What one verifier revealed. */
export type Reveal = { verifier: Uint8Array; value: Uint8Array };

/** The seed of a lot. `epochDigest` is the SHA-256 of the epoch's whole entry; `reveals` are in ascending order of key id. */
export function lotSeedOf(epochDigest: Uint8Array, reveals: readonly Reveal[]): Uint8Array {
  return sha256(SEED_TAG, epochDigest, ...reveals.flatMap(({ verifier, value }) => [verifier, value]));
}

/** A receipt's ticket in the lot of that seed; the lowest are drawn. */
export function ticketOf(seed: Uint8Array, receipt: Uint8Array): Uint8Array {
  return sha256(seed, receipt);
}

/** Which of `count` verifiers checks the receipt of that ticket. */
export function verifierIndexOf(ticket: Uint8Array, count: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = sha256(ticket);
  return (a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d) % count;
}
