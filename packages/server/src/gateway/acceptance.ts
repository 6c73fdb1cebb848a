/** Holding what a gateway offers to its callers' acceptance policies: before a call is dispatched, and to which nodes. docs/policy.md. */
import {
  type AcceptancePolicy,
  bytesOf,
  type FoldState,
  groundsAtNode,
  type JsonObject,
  keyOf,
  Malformed,
  type PublishedModel,
  parseAcceptancePolicy,
  parseAcceptanceText,
  parseHex,
  reachableTiers,
  requirementFor,
  satisfies,
  unmetBy,
} from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";

/** Whether a node, by the hex of its key's id, may be given a call. */
export type AcceptsNode = (nodeId: string) => boolean;

/** The policy of a call: of the header `x-tally-policy` and of the body's `tally_policy`, where it has one. Throws invalid_request. */
export function policiesOf(header: string | undefined, body: JsonObject = {}): AcceptancePolicy[] {
  const { tally_policy: member } = body;
  return [
    ...(header === undefined ? [] : [parsedAt("x-tally-policy", () => parseAcceptanceText(header))]),
    ...(member === undefined ? [] : [parsedAt("tally_policy", () => parseAcceptancePolicy(member))]),
  ];
}

function parsedAt(param: string, parse: () => AcceptancePolicy): AcceptancePolicy {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new ServiceError("invalid_request", `the policy ${cause.message}`, { cause, param });
  }
}

export type Offered = {
  fold: FoldState;
  /** The id of this gateway's key, on which every answer rests. */
  gatewayKey: Uint8Array;
  nowSeconds: number;
  model: PublishedModel;
  openness: "none" | "lot";
};

/** Which nodes may answer, all policies held; undefined where there is none, and any may. Throws policy_unmet where no answer can. */
export function requireAcceptable(policies: readonly AcceptancePolicy[], offered: Offered): AcceptsNode | undefined {
  if (policies.length === 0) return undefined;
  const { fold, gatewayKey, nowSeconds, model, openness } = offered;
  const { name, upstream } = model.manifest;
  const gateway = keyOf(gatewayKey);
  const reachable = reachableTiers(fold, model, openness, { gateway, nowSeconds });
  const offer = {
    model: { name, publisher: bytesOf(model.publisher) },
    isRelayed: upstream !== undefined,
    reachable,
    atOnce: reachable.filter((tier) => tier === "signed" || tier === "attested"),
    roots: [{ kind: "key" as const, root: gatewayKey }],
  };
  const [unmet] = policies.flatMap((policy) => unmetBy(policy, offer));
  if (unmet !== undefined) throw policyUnmet(`${unmet.name}: ${unmet.detail}`);
  return (nodeId) => {
    const grounds = groundsAtNode(fold, keyOf(parseHex(nodeId) ?? new Uint8Array(0)), gateway, nowSeconds);
    const facts = {
      receipt: { provenance: offer.isRelayed ? "relayed" : "executed" } as const,
      model: offer.model,
      grounds,
    };
    // What comes later is no node's to show: that some answer can come to it was seen above.
    const isMet = (policy: AcceptancePolicy) =>
      satisfies(requirementFor(policy, name), facts).every(({ state }) => state !== "failed");
    return policies.every(isMet);
  };
}

export function policyUnmet(message: string): ServiceError {
  return new ServiceError("policy_unmet", `${message}: change the policy, or ask for another model`, {
    param: "policy",
  });
}
