import fc from "fast-check";
import { expect, test } from "vitest";
import { RUNS } from "../../../../test/runs.ts";
import { Malformed } from "../cbor/bytes.ts";
import type { Tier } from "../entry/payload.ts";
import { ACCEPTANCE_ROWS, ACCEPTANCE_SIZE_BYTES } from "../limits.ts";
import { acceptanceJson, parseAcceptancePolicy, parseAcceptanceText, reaches, requirementFor } from "./acceptance.ts";
import { type AcceptanceFacts, type Offer, satisfies, unmetBy } from "./satisfies.ts";

const digestOf = (byte: number) => new Uint8Array(32).fill(byte);
const hexOf = (byte: number) => byte.toString(16).padStart(2, "0").repeat(32);
const key = (byte: number) => ({ kind: "key", root: digestOf(byte) }) as const;
const judge = { kind: "judge", root: digestOf(8) } as const;
const vendor = { kind: "vendor", root: digestOf(9) } as const;

/** An answer of publisher 3, by node 1 over gateway 2. */
const facts = (changes: Partial<AcceptanceFacts> = {}): AcceptanceFacts => ({
  receipt: { provenance: "executed" },
  model: { name: "acme/risk", publisher: digestOf(3) },
  grounds: [{ tier: "signed", roots: [key(1), key(2)] }],
  ...changes,
});
const reexecuted = facts({ grounds: [...facts().grounds, { tier: "reexecuted", roots: [key(7), judge] }] });

/** The states of the checks, by what each is of. */
const judged = (policy: unknown, of: AcceptanceFacts = facts()) =>
  Object.fromEntries(
    satisfies(parseAcceptancePolicy(policy), of).map(({ name, state }) => [name.replace("policy: ", ""), state]),
  );

test("a policy that asks for nothing makes no check, and one that asks makes one for each demand", () => {
  expect(judged({})).toEqual({});
  const all = { tier: "signed", provenance: "executed", publishers: [hexOf(3)], withoutRoots: [`key:${hexOf(5)}`] };
  expect(judged(all)).toEqual({ provenance: "passed", publisher: "passed", roots: "passed", tier: "passed" });
});

test("a relayed answer is not one that was executed here", () => {
  expect(judged({ provenance: "executed" }, facts({ receipt: { provenance: "relayed" } }))).toEqual({
    provenance: "failed",
  });
});

test("another publisher, one that is not known, and any where none is accepted, fail", () => {
  expect(judged({ publishers: [hexOf(4)] })).toEqual({ publisher: "failed" });
  expect(judged({ publishers: [] })).toEqual({ publisher: "failed" });
  const unknown = facts({ model: { name: "acme/risk", publisher: undefined } });
  expect(judged({ publishers: [hexOf(3)] }, unknown)).toEqual({ publisher: "failed" });
});

test("a tier is met by itself and by every higher one, and by no lower one", () => {
  const tiers: Tier[] = ["signed", "attested", "reexecuted", "proved"];
  for (const [i, has] of tiers.entries())
    for (const [k, least] of tiers.entries()) {
      const of = facts({
        grounds: [
          { tier: "signed", roots: [] },
          { tier: has, roots: [] },
        ],
      });
      expect(reaches(has, least)).toBe(i >= k);
      expect(judged({ tier: least }, of)).toEqual({ tier: i >= k ? "passed" : "failed" });
    }
});

test("a tier that is still to come fails, unless the policy says that the answer is used before", () => {
  expect(judged({ tier: "reexecuted" })).toEqual({ tier: "failed" });
  expect(judged({ tier: "reexecuted", pending: "refuse" })).toEqual({ tier: "failed" });
  expect(judged({ tier: "reexecuted", pending: "use" })).toEqual({ tier: "not_checked" });
  expect(judged({ tier: "reexecuted" }, reexecuted)).toEqual({ tier: "passed" });
});

test("an excluded root takes the tier that rests on it, but not another that does not", () => {
  const withoutRoots = [`judge:${hexOf(8)}`];
  expect(judged({ tier: "reexecuted", withoutRoots }, reexecuted)).toEqual({ roots: "passed", tier: "failed" });
  expect(judged({ tier: "signed", withoutRoots }, reexecuted)).toEqual({ roots: "passed", tier: "passed" });
  const twice = facts({ grounds: [...reexecuted.grounds, { tier: "reexecuted", roots: [key(6), vendor] }] });
  expect(judged({ tier: "reexecuted", withoutRoots }, twice)).toEqual({ roots: "passed", tier: "passed" });
});

test("an excluded key of the node or the gateway takes everything, and so does a receipt that nothing vouches for", () => {
  for (const byte of [1, 2])
    expect(judged({ withoutRoots: [`key:${hexOf(byte)}`], tier: "signed", pending: "use" })).toEqual({
      roots: "failed",
      tier: "failed",
    });
  expect(judged({ withoutRoots: [], tier: "signed", pending: "use" }, facts({ grounds: [] }))).toEqual({
    roots: "failed",
    tier: "failed",
  });
});

test("the same digest as another kind of root is another root", () => {
  expect(judged({ withoutRoots: [`vendor:${hexOf(1)}`] })).toEqual({ roots: "passed" });
});

test("what a policy says of one model stands in the place of what it says of all, member by member", () => {
  const policy = parseAcceptancePolicy({
    tier: "reexecuted",
    provenance: "executed",
    models: { "acme/risk": { tier: "signed" }, "acme/__proto__": { tier: "proved" } },
  });
  expect(requirementFor(policy, "acme/risk")).toEqual({ tier: "signed", provenance: "executed" });
  expect(requirementFor(policy, "acme/other")).toEqual({ tier: "reexecuted", provenance: "executed" });
  expect(requirementFor(policy, "constructor").tier).toBe("reexecuted");
  expect(requirementFor(policy, "acme/__proto__").tier).toBe("proved");
});

test.each<[string, unknown]>([
  ["a word that no policy has", { teir: "proved" }],
  ["a word that no policy has, of a model", { models: { a: { tiers: [] } } }],
  ["models within models", { models: { a: { models: {} } } }],
  ["a tier that is none", { tier: "gold" }],
  ["no tier at all", { tier: null }],
  ["a tier that is a member of every object", { tier: "constructor" }],
  ["a provenance that asks for nothing", { provenance: "relayed" }],
  ["a pending that is none", { pending: true }],
  ["publishers by name", { publishers: ["acme"] }],
  ["a publisher alone", { publishers: hexOf(1) }],
  ["a root without its kind", { withoutRoots: [hexOf(1)] }],
  ["a root of no kind", { withoutRoots: [`chain:${hexOf(1)}`] }],
  ["too many roots", { withoutRoots: Array.from({ length: ACCEPTANCE_ROWS + 1 }, () => `key:${hexOf(1)}`) }],
  [
    "too many models",
    { models: Object.fromEntries(Array.from({ length: ACCEPTANCE_ROWS + 1 }, (_, i) => [`m${i}`, {}])) },
  ],
  ["a list", []],
  ["nothing", null],
  ["a text", "tier"],
])("a policy with %s is refused, not read past", (_, value) => {
  expect(() => parseAcceptancePolicy(value)).toThrow(Malformed);
});

test("a text that is no JSON, or too long, is refused", () => {
  expect(() => parseAcceptanceText("{")).toThrow(Malformed);
  expect(() => parseAcceptanceText(`{}${" ".repeat(ACCEPTANCE_SIZE_BYTES)}`)).toThrow(Malformed);
  expect(parseAcceptanceText('{"tier":"signed"}')).toEqual({ tier: "signed" });
});

test("any JSON is a policy that is written as it was read, or malformed", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom("tier", "models", "publishers"), (value, name) => {
      for (const given of [value, { [name]: value }])
        try {
          expect(acceptanceJson(parseAcceptancePolicy(given))).toEqual(given);
        } catch (fault) {
          expect(fault).toBeInstanceOf(Malformed);
        }
    }),
    { ...RUNS, seed: 7 },
  );
  const whole = {
    tier: "proved",
    pending: "use",
    withoutRoots: [`vendor:${hexOf(9)}`],
    models: { a: { publishers: [hexOf(3)] } },
  };
  expect(acceptanceJson(parseAcceptancePolicy(whole))).toEqual(whole);
});

const offer: Offer = {
  model: { name: "acme/risk", publisher: digestOf(3) },
  isRelayed: false,
  reachable: ["signed", "reexecuted"],
  atOnce: ["signed"],
  roots: [key(2)],
};
const unmet = (policy: unknown, changes: Partial<Offer> = {}) =>
  unmetBy(parseAcceptancePolicy(policy), { ...offer, ...changes }).map(({ name }) => name.replace("policy: ", ""));

test("what no answer of an offer can meet is known before anything runs, and nothing else is refused", () => {
  expect(unmet({})).toEqual([]);
  expect(unmet({ tier: "signed", provenance: "executed", publishers: [hexOf(3)] })).toEqual([]);
  expect(unmet({ provenance: "executed" }, { isRelayed: true })).toEqual(["provenance"]);
  expect(unmet({ publishers: [hexOf(4)] })).toEqual(["publisher"]);
  expect(unmet({ withoutRoots: [`key:${hexOf(2)}`] })).toEqual(["roots"]);
  expect(unmet({ tier: "proved", pending: "use" })).toEqual(["tier"]);
  expect(unmet({ tier: "reexecuted" })).toEqual(["tier"]);
  expect(unmet({ tier: "reexecuted", pending: "use" })).toEqual([]);
  expect(unmet({ tier: "attested", pending: "use" })).toEqual([]);
  expect(unmet({ tier: "attested" }, { reachable: ["signed", "attested"], atOnce: ["signed", "attested"] })).toEqual(
    [],
  );
});
