/** Whether what is known of an answer is what its requester accepts, demand by demand (docs/policy.md). */
import { equal, hex } from "../bytes.ts";
import type { Tier } from "../entry/payload.ts";
import type { Check } from "../verdict.ts";
import { type AcceptancePolicy, type Requirement, type Root, reaches, requirementFor, rootText } from "./acceptance.ts";

/** A demand, and whether it is met. */
export type AcceptanceCheck = Check<"not_accepted">;

/** A tier that an answer has, and all that this rests on. */
export type TierGround = { tier: Tier; roots: readonly Root[] };

/** What is known of an answer. Of what is undefined nobody knows. */
export type AcceptanceFacts = {
  receipt: { provenance: "executed" | "relayed" };
  model: { name: string; publisher: Uint8Array | undefined };
  /** One for each tier that it has, `signed` among them, and as many as there are reasons for it. */
  grounds: readonly TierGround[];
};

/** Each demand of a policy that is made of this model, and whether the answer meets it. Accepted is what passes all of them. */
export function satisfies(policy: AcceptancePolicy, facts: AcceptanceFacts): AcceptanceCheck[] {
  const asked = requirementFor(policy, facts.model.name);
  return [
    ...(asked.provenance === undefined ? [] : [provenanceCheck(facts)]),
    ...(asked.publishers === undefined ? [] : [publisherCheck(asked.publishers, facts)]),
    ...(asked.withoutRoots === undefined ? [] : [rootsCheck(asked.withoutRoots, facts)]),
    ...(asked.tier === undefined ? [] : [tierCheck(asked, asked.tier, facts)]),
  ];
}

function met(name: string, detail: string): AcceptanceCheck {
  return { name: `policy: ${name}`, state: "passed", detail };
}

function unmet(name: string, detail: string): AcceptanceCheck {
  return { name: `policy: ${name}`, state: "failed", failure: "not_accepted", detail };
}

function provenanceCheck({ receipt }: AcceptanceFacts): AcceptanceCheck {
  if (receipt.provenance === "executed") return met("provenance", "a node of the network ran the model");
  return unmet("provenance", "the node passed on somebody else's answer");
}

function publisherCheck(accepted: readonly Uint8Array[], { model: { publisher } }: AcceptanceFacts): AcceptanceCheck {
  if (publisher !== undefined && accepted.some((one) => equal(one, publisher)))
    return met("publisher", `${hex(publisher)} is one of those accepted`);
  return unmet(
    "publisher",
    `${publisher === undefined ? "an unknown publisher" : hex(publisher)} is none of those accepted`,
  );
}

function isOneOf(excluded: readonly Root[], { kind, root }: Root): boolean {
  return excluded.some((one) => one.kind === kind && equal(one.root, root));
}

/** Every tier rests on what signed: the node's key and the gateway's. */
function rootsCheck(excluded: readonly Root[], { grounds }: AcceptanceFacts): AcceptanceCheck {
  const signed = grounds.filter(({ tier }) => tier === "signed");
  const bad = signed.flatMap(({ roots }) => roots).find((root) => isOneOf(excluded, root));
  if (signed.length === 0) return unmet("roots", "nothing that is relied on vouches for the receipt's signatures");
  if (bad !== undefined) return unmet("roots", `the receipt rests on ${rootText(bad)}`);
  return met("roots", `the receipt rests on none of the ${excluded.length} that are excluded`);
}

/** The tier counts as far as it does not rest on an excluded root. */
function tierCheck(
  { withoutRoots = [], pending }: Requirement,
  least: Tier,
  { grounds }: AcceptanceFacts,
): AcceptanceCheck {
  const counted = grounds.filter(({ roots }) => !roots.some((root) => isOneOf(withoutRoots, root)));
  const found = counted.find(({ tier }) => reaches(tier, least));
  if (found !== undefined) return met("tier", `${found.tier}, and ${least} is the least that is accepted`);
  const has = counted.some(({ tier }) => tier === "signed") ? "signed alone is shown" : "no tier is shown";
  const detail = `${counted.length > 1 ? "less is shown" : has}, and ${least} is the least that is accepted`;
  if (pending !== "use" || counted.length === 0) return unmet("tier", detail);
  return { name: "policy: tier", state: "not_checked", detail: `${detail}: it is used before it is reached` };
}

/** What a published revision lacks that a policy asks of its answers, before anything runs. */
export type Offer = {
  model: { name: string; publisher: Uint8Array };
  isRelayed: boolean;
  /** The tiers that its answers may come to have, and those that they have at once. */
  reachable: readonly Tier[];
  atOnce: readonly Tier[];
  /** What every answer rests on, whichever node gives it. */
  roots: readonly Root[];
};

/** The demands of a policy that no answer of this offer can meet. None is as much as can be said before there is an answer. */
export function unmetBy(policy: AcceptancePolicy, offer: Offer): AcceptanceCheck[] {
  const { model, isRelayed, reachable, atOnce, roots } = offer;
  const asked = requirementFor(policy, model.name);
  const { tier, pending = "refuse" } = asked;
  const receipt = { provenance: isRelayed ? "relayed" : "executed" } as const;
  const { tier: _, ...besideTier } = asked;
  const failed = satisfies(besideTier, { receipt, model, grounds: [{ tier: "signed", roots }] }).filter(
    ({ state }) => state === "failed",
  );
  if (tier === undefined) return failed;
  if (!reachable.some((one) => reaches(one, tier)))
    return [...failed, unmet("tier", `no answer of ${model.name} here comes to the tier ${tier}`)];
  if (pending === "refuse" && !atOnce.some((one) => reaches(one, tier)))
    return [
      ...failed,
      unmet(
        "tier",
        `an answer comes to the tier ${tier} only after it is given: say "pending": "use" and check it before acting on it`,
      ),
    ];
  return failed;
}
