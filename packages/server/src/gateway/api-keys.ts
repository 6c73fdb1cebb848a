/** API keys: what one may do, how much of it, and until when. Pure; accounts.ts keeps them. docs/operating/requesters.md. */
import {
  type AcceptancePolicy,
  APP_NAME_LENGTH,
  Malformed,
  NAME,
  type PublishedModel,
  parseAcceptancePolicy,
} from "@tallystick/protocol";
import { z } from "zod";
import { ServiceError } from "../platform/errors.ts";

/** What a key may be for: calls; what its account has used and may open; sessions; the account's other keys. */
export const SCOPES = ["infer", "read", "sessions", "keys"] as const;
export type Scope = (typeof SCOPES)[number];
/** A key that manages keys is asked for by name. */
const DEFAULT_SCOPES: Scope[] = ["infer", "read", "sessions"];

const atomic = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,19})$/, { error: "must be a number of atomic units, in digits", abort: true })
  .refine((digits) => BigInt(digits) < 1n << 64n, "must be less than 2^64");
/** An app's name in the log. */
export const AppName = z.string().max(APP_NAME_LENGTH).regex(NAME, "must be a name in lower case");
const perMinute = z.number().int().min(1).max(1_000_000_000);

/** What a key is made with, on the wire and where it is kept. It never changes: for other terms there is another key. */
export const KeyTerms = z.strictObject({
  name: z.string().min(1).max(64),
  scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length).default(DEFAULT_SCOPES),
  /** The models that it may call, by name; without these, every model. */
  models: z.array(z.string().min(1).max(128)).min(1).max(64).exactOptional(),
  /** The most that its calls may cost, in all and in a day of UTC. */
  budgetAtomic: atomic.exactOptional(),
  dayBudgetAtomic: atomic.exactOptional(),
  /** The most that one call may cost, whatever the call itself allows. */
  maxPriceAtomic: atomic.exactOptional(),
  requestsPerMinute: perMinute.exactOptional(),
  unitsPerMinute: perMinute.exactOptional(),
  concurrentCalls: z.number().int().min(1).max(10_000).exactOptional(),
  /** The app that its calls are known under in the log, for everybody to see; without it, under none. */
  app: AppName.exactOptional(),
  /** Unix seconds from which on it is refused. */
  expiry: z.number().int().min(0).exactOptional(),
  /** The least that its calls accept of an answer, whatever the call itself accepts (docs/policy.md). */
  policy: z
    .record(z.string(), z.unknown())
    .superRefine((policy, context) => {
      try {
        parseAcceptancePolicy(policy);
      } catch (fault) {
        if (!(fault instanceof Malformed)) throw fault;
        context.addIssue(`a policy that ${fault.message}`);
      }
    })
    .exactOptional(),
});
export type KeyTerms = z.infer<typeof KeyTerms>;

/** A key without its secret, of which only the hash is kept. */
export type ApiKey = {
  /** `key_…`: names the key, and opens nothing. */
  id: string;
  terms: KeyTerms;
  createdSeconds: number;
  /** The day of UTC, counted from 1970, that it was last used on. */
  lastUsedDay: number | undefined;
  revokedSeconds: number | undefined;
};

/** What a key may spend; what is absent is not bounded. The account's ledger holds calls to it. */
export type Budget = { totalAtomic: bigint | undefined; dayAtomic: bigint | undefined };

export function budgetOf({ terms }: ApiKey): Budget {
  return { totalAtomic: atomicOf(terms.budgetAtomic), dayAtomic: atomicOf(terms.dayBudgetAtomic) };
}

/** What a key accepts at least. */
export function policiesOfKey({ terms: { policy } }: ApiKey): AcceptancePolicy[] {
  return policy === undefined ? [] : [parseAcceptancePolicy(policy)];
}

/** Whether a key opens anything at that time. */
export function isUsable({ terms, revokedSeconds }: ApiKey, nowSeconds: number): boolean {
  return revokedSeconds === undefined && (terms.expiry === undefined || nowSeconds < terms.expiry);
}

/** Throws forbidden where the key was not made for that. */
export function requireScope({ id, terms }: ApiKey, scope: Scope): void {
  if (terms.scopes.includes(scope)) return;
  throw new ServiceError(
    "forbidden",
    `the API key ${id} has no scope "${scope}", only ${terms.scopes.map((one) => `"${one}"`).join(", ")}: use another key`,
  );
}

/** Throws where a key may not call this model, or not at its price. */
export function requireModel({ id, terms }: ApiKey, { manifest, priceAtomic }: PublishedModel): void {
  if (terms.models !== undefined && !terms.models.includes(manifest.name))
    throw new ServiceError("forbidden", `the API key ${id} may not call ${manifest.name}: use another key`, {
      param: "model",
    });
  const most = atomicOf(terms.maxPriceAtomic);
  if (most !== undefined && priceAtomic > most)
    throw new ServiceError(
      "price_over_maximum",
      `a call costs ${priceAtomic}, and the API key ${id} may pay ${most}: use another key`,
    );
}

/** What is said of a key to whoever manages it. */
export function keyJson({ id, terms, createdSeconds, lastUsedDay, revokedSeconds }: ApiKey): Record<string, unknown> {
  return {
    id,
    ...terms,
    created: createdSeconds,
    lastUsed: lastUsedDay === undefined ? null : new Date(lastUsedDay * 86_400_000).toISOString().slice(0, 10),
    revoked: revokedSeconds ?? null,
  };
}

function atomicOf(digits: string | undefined): bigint | undefined {
  return digits === undefined ? undefined : BigInt(digits);
}
