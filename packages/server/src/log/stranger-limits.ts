/** Limits of what strangers may say: so much a minute from one sender, and so much from all together, since a log is for ever. */
import type { Clock } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import { NOBODY } from "../platform/sender.ts";

/** Who says something, and the headers of the answer, to which is added what is left to them. */
export type Sender = { network: string; headers: Record<string, string> };

export type StrangerLimits = {
  /** As a policy of draft-ietf-httpapi-ratelimit-headers has it. */
  name: string;
  /** What happens so often, in words. */
  what: string;
  perMinute: number;
  perMinuteInAll: number;
};

export type StrangerLimit = {
  /** Counts one more. Throws rate_limited over a limit, and then counts nothing. */
  take(sender: Sender | undefined): void;
  /** How many senders something is known of. */
  readonly senders: number;
};

type Bucket = { capacity: number; level: number; filledMs: number };

const MINUTE_MS = 60_000;
/** What all may take in a minute bounds the buckets that are not full: so many times it, and the full ones are let go. */
const SWEEP_AT = 4;

export function createStrangerLimit(clock: Clock, { name, what, perMinute, perMinuteInAll }: StrangerLimits) {
  const bucketOf = (capacity: number): Bucket => ({ capacity, level: capacity, filledMs: clock.nowMs() });
  const all = bucketOf(perMinuteInAll);
  const senders = new Map<string, Bucket>();

  function headersOf(own: Bucket): Record<string, string> {
    const said = (of: string, bucket: Bucket) =>
      `"${of}";r=${Math.floor(bucket.level)};t=${Math.ceil(untilMs(bucket, bucket.capacity) / 1000)}`;
    return {
      "ratelimit-policy": `"${name}";q=${perMinute};w=60, "${name}-of-all";q=${perMinuteInAll};w=60`,
      ratelimit: `${said(name, own)}, ${said(`${name}-of-all`, all)}`,
    };
  }

  function refuseOver(bucket: Bucket, own: Bucket, whose: string): void {
    if (bucket.level >= 1) return;
    const retryAfterMs = untilMs(bucket, 1);
    throw new ServiceError(
      "rate_limited",
      `at most ${bucket.capacity} ${what} in a minute ${whose}: try again in ${Math.ceil(retryAfterMs / 1000)} seconds`,
      { retryAfterMs, headers: headersOf(own) },
    );
  }

  const limit: StrangerLimit = {
    take(sender) {
      const network = sender?.network ?? NOBODY;
      const nowMs = clock.nowMs();
      const own = refill(senders.get(network) ?? bucketOf(perMinute), nowMs);
      refill(all, nowMs);
      refuseOver(own, own, "from one address");
      refuseOver(all, own, "from all addresses together");
      own.level--;
      all.level--;
      senders.set(network, own);
      if (senders.size > SWEEP_AT * perMinuteInAll)
        for (const [known, bucket] of senders) if (refill(bucket, nowMs).level >= perMinute) senders.delete(known);
      if (sender !== undefined) Object.assign(sender.headers, headersOf(own));
    },
    get senders() {
      return senders.size;
    },
  };
  return limit;
}

function refill(bucket: Bucket, nowMs: number): Bucket {
  const passedMs = Math.max(0, nowMs - bucket.filledMs); // A clock that is set back takes nothing away.
  bucket.level = Math.min(bucket.capacity, bucket.level + (bucket.capacity * passedMs) / MINUTE_MS);
  bucket.filledMs = nowMs;
  return bucket;
}

/** How long until there is so much in it. */
const untilMs = ({ level, capacity }: Bucket, needed: number) => Math.ceil(((needed - level) * MINUTE_MS) / capacity);
