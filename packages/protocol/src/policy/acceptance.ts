/**
 * Acceptance policies: the least that a requester, or an app, accepts of an answer (docs/policy.md). A small document in
 * JSON; what it does not understand it refuses, so that nobody relies on a demand that nobody checks.
 */
import { hex, parseHex } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { TIERS, type Tier } from "../entry/payload.ts";
import { ROOTS, type RootKind } from "../entry/verification.ts";
import { findJson, isJsonObject, type JsonObject } from "../json/canonical.ts";
import { ACCEPTANCE_ROWS, ACCEPTANCE_SIZE_BYTES, NAME_LENGTH } from "../limits.ts";

/** A root that trust may rest on. */
export type Root = { kind: RootKind; root: Uint8Array };

/** The least that is accepted. What is absent is not asked for. */
export type Requirement = {
  tier?: Tier;
  /** What becomes of an answer whose tier comes later, by a check or a proof: none is asked for, or it is used at once. */
  pending?: "refuse" | "use";
  /** That a node of the network ran the model, and did not pass on somebody else's answer. */
  provenance?: "executed";
  /** The ids of the keys whose models are accepted. */
  publishers?: Uint8Array[];
  /** What must not be what the answer's tier rests on. */
  withoutRoots?: Root[];
};

export type AcceptancePolicy = Requirement & {
  /** By a model's name; each member that stands there is in the place of the one above. */
  models?: Record<string, Requirement>;
};

/** Whether `tier` is `least` or above. */
export function reaches(tier: Tier, least: Tier): boolean {
  return TIERS[tier] >= TIERS[least];
}

/** Reads a policy from the text of its JSON. Throws Malformed. */
export function parseAcceptanceText(text: string): AcceptancePolicy {
  if (text.length > ACCEPTANCE_SIZE_BYTES)
    throw new Malformed(`is a policy of more than ${ACCEPTANCE_SIZE_BYTES} bytes`);
  const value = findJson(text);
  if (value === undefined) throw new Malformed("is no JSON");
  return parseAcceptancePolicy(value);
}

/** Reads a policy from its JSON. Throws Malformed, naming the member at fault. */
export function parseAcceptancePolicy(value: unknown): AcceptancePolicy {
  if (!isJsonObject(value)) throw new Malformed("is no object of JSON");
  const { models, ...own } = value;
  const policy: AcceptancePolicy = parseRequirement(own, "");
  if (models === undefined) return policy;
  if (!isJsonObject(models)) throw new Malformed("has models that are no object of JSON");
  const rows = Object.entries(models);
  if (rows.length > ACCEPTANCE_ROWS) throw new Malformed(`has more than ${ACCEPTANCE_ROWS} models`);
  const byName = rows.map(([name, row]): [string, Requirement] => {
    if (name.length > NAME_LENGTH) throw new Malformed("has a model with too long a name");
    if (!isJsonObject(row)) throw new Malformed(`has models.${name}, which is no object of JSON`);
    return [name, parseRequirement(row, `models.${name}.`)];
  });
  // Without a prototype: a model may be called as one of its members.
  return { ...policy, models: Object.assign(Object.create(null), Object.fromEntries(byName)) };
}

const MEMBERS = ["tier", "pending", "provenance", "publishers", "withoutRoots"];

function parseRequirement(row: JsonObject, at: string): Requirement {
  const stray = Object.keys(row).find((name) => !MEMBERS.includes(name));
  if (stray !== undefined) throw new Malformed(`has ${at}${stray}, which no policy has`);
  const { tier, pending, provenance, publishers, withoutRoots } = row;
  return {
    ...(tier !== undefined && { tier: oneOf(tier, Object.keys(TIERS) as Tier[], `${at}tier`) }), // The keys are the tiers.
    ...(pending !== undefined && { pending: oneOf(pending, ["refuse", "use"] as const, `${at}pending`) }),
    ...(provenance !== undefined && { provenance: oneOf(provenance, ["executed"] as const, `${at}provenance`) }),
    ...(publishers !== undefined && { publishers: listOf(publishers, parseDigest, `${at}publishers`) }),
    ...(withoutRoots !== undefined && { withoutRoots: listOf(withoutRoots, parseRoot, `${at}withoutRoots`) }),
  };
}

function oneOf<T extends string>(value: unknown, words: readonly T[], at: string): T {
  const word = words.find((one) => one === value);
  if (word === undefined) throw new Malformed(`has ${at}, which is one of ${words.join(", ")}`);
  return word;
}

function listOf<T>(value: unknown, parse: (text: string) => T | undefined, at: string): T[] {
  const isList = Array.isArray(value) && value.length <= ACCEPTANCE_ROWS;
  const rows = isList ? value.map((row: unknown) => (typeof row === "string" ? parse(row) : undefined)) : [undefined];
  return rows.map((row) => {
    if (row === undefined) throw new Malformed(`has ${at}, a list of up to ${ACCEPTANCE_ROWS}, in another form`);
    return row;
  });
}

function parseDigest(text: string): Uint8Array | undefined {
  const digest = parseHex(text);
  return digest?.length === 32 ? digest : undefined;
}

const ROOT_KINDS = Object.keys(ROOTS) as RootKind[]; // The keys are the kinds.

/** `kind:digest`, as `vendor:44a0196b…`. */
function parseRoot(text: string): Root | undefined {
  const kind = ROOT_KINDS.find((one) => text.startsWith(`${one}:`));
  const root = kind === undefined ? undefined : parseDigest(text.slice(kind.length + 1));
  return kind === undefined || root === undefined ? undefined : { kind, root };
}

/** A policy as its JSON has it. */
export function acceptanceJson({ models, ...own }: AcceptancePolicy): JsonObject {
  if (models === undefined) return requirementJson(own);
  const rows = Object.entries(models).map(([name, row]) => [name, requirementJson(row)]);
  return { ...requirementJson(own), models: Object.fromEntries(rows) };
}

function requirementJson({ publishers, withoutRoots, ...words }: Requirement): JsonObject {
  return {
    ...words,
    ...(publishers && { publishers: publishers.map(hex) }),
    ...(withoutRoots && { withoutRoots: withoutRoots.map(rootText) }),
  };
}

export function rootText({ kind, root }: Root): string {
  return `${kind}:${hex(root)}`;
}

/** What a policy asks of one model's answers. */
export function requirementFor({ models, ...own }: AcceptancePolicy, model: string): Requirement {
  return { ...own, ...(models !== undefined && Object.hasOwn(models, model) ? models[model] : {}) };
}
