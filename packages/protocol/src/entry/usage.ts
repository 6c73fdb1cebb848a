/** What parties state of use: who relies on what, who is of one owner, what a day came to and who counted again (docs/spec/entry.md). */
import { hex } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import {
  type Codec,
  exactly,
  fixedBytes,
  type Infer,
  list,
  optional,
  required,
  struct,
  text,
  uint,
  word,
} from "../cbor/codec.ts";
import { AFFILIATED_KEYS } from "../limits.ts";

const version = required(0, exactly(1));
const digest = fixedBytes(32);

/** What an answer is relied on for. */
export const PURPOSES = {
  other: 1,
  credit: 2,
  insurance: 3,
  fraud: 4,
  medical: 5,
  legal: 6,
  hiring: 7,
  moderation: 8,
  trading: 9,
  pricing: 10,
  routing: 11,
  automation: 12,
  research: 13,
} as const;
export type Purpose = keyof typeof PURPOSES;

/** What stands behind a reliance: the word of who signs it, or a contract by which money hung on the answer. */
export const RELIANCE_CLASSES = { stated: 1, settled: 2, consumed: 3, staked: 4, tested: 5 } as const;
export type RelianceClass = keyof typeof RELIANCE_CLASSES;

/** The largest bucket of a value: that of 2^63 atomic units and more. */
const VALUE_BUCKET_MOST = 63;

/** The bucket that a value at stake is told in: `k` from 2^k atomic units to below twice that. Undefined of nothing at all. */
export function valueBucketOf(amountAtomic: bigint): number | undefined {
  if (amountAtomic <= 0n) return undefined;
  return Math.min(amountAtomic.toString(2).length - 1, VALUE_BUCKET_MOST);
}

/** Signed by a relier: somebody acts on the answer. */
export const reliancePayload = struct({
  version,
  receipt: required(1, digest),
  purpose: optional(2, word(PURPOSES)),
  class: optional(3, word(RELIANCE_CLASSES)),
  /** `valueBucketOf` the value at stake. */
  valueBucket: optional(4, uint(VALUE_BUCKET_MOST)),
});
export type ReliancePayload = Infer<typeof reliancePayload>;

/** Signed by a relier: it does not rely any more on the decision that the receipt is of. */
export const reversalPayload = struct({ version, receipt: required(1, digest) });

const anyKeys = list(digest, AFFILIATED_KEYS, 1);
/** Key ids in ascending order, each once: one spelling of one set. */
const keyIds: Codec<Uint8Array[]> = {
  write: (writer, value) => anyKeys.write(writer, ascending(value)),
  read: (reader) => ascending(anyKeys.read(reader)),
};

function ascending(ids: Uint8Array[]): Uint8Array[] {
  const names = ids.map(hex);
  if (names.some((name, i) => i > 0 && name <= (names[i - 1] ?? "")))
    throw new Malformed("has keys that are not in ascending order, each once");
  return ids;
}

/** Signed by any key: these are of one owner with it. It says so of a pair only where the other says so too. */
export const affiliationPayload = struct({
  version,
  /** The session whose key signs, where that is no enrolled key. */
  session: optional(1, digest),
  keys: required(2, keyIds),
});
export type AffiliationPayload = Infer<typeof affiliationPayload>;

/** Signed by the log's role key: what a closed day came to, by rules of that digest. */
export const snapshotPayload = struct({
  version,
  /** A day of UTC, by its form. */
  day: required(1, text(10, /^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$/)),
  /** How many entries had been folded when it closed. */
  size: required(2, uint()),
  rules: required(3, digest),
  result: required(4, digest),
});
export type SnapshotPayload = Infer<typeof snapshotPayload>;

/** Signed by an auditor: what the first `size` entries came to when it counted them itself. */
export const recomputationPayload = struct({
  version,
  size: required(1, uint()),
  rules: required(2, digest),
  result: required(3, digest),
  agrees: required(4, word({ yes: 1, no: 2 })),
  /** The signed id of a snapshot that it disagrees with. */
  snapshot: optional(5, digest),
});
export type RecomputationPayload = Infer<typeof recomputationPayload>;
