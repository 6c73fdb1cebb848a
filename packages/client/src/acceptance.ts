/** Holding answers to the caller's acceptance policies (docs/policy.md): by what was signed, not by what a network says of it. */
import {
  type AcceptanceFacts,
  type AcceptancePolicy,
  type Check,
  type EntryOf,
  equal,
  hex,
  Malformed,
  parseAcceptancePolicy,
  parseEntry,
  parseManifest,
  type ReceiptFile,
  type ReceiptPayload,
  type Root,
  reaches,
  requirementFor,
  revisionOf,
  satisfies,
  signedId,
  verifySigned,
} from "@tallystick/protocol";
import type { Asked } from "./answer-check.ts";
import type { Edges } from "./edges.ts";
import { orUnverified, RefusedError, UnverifiedError } from "./errors.ts";
import type { Http } from "./http.ts";
import { fetchReceiptFile } from "./receipt-files.ts";

/** Holds an answer to policies. Throws UnverifiedError where it does not meet one; what is given says what was and was not checked. */
export type Accept = (asked: Asked, receipt: ReceiptPayload, nodeKey: Uint8Array) => Promise<Check[]>;

/** A policy that a caller gave. Throws TypeError. */
export function readPolicy(value: unknown): AcceptancePolicy {
  try {
    return parseAcceptancePolicy(value);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new TypeError(`the policy ${cause.message}`, { cause });
  }
}

/** Refuses to ask where no answer could be accepted: a tier above `signed` is shown by the log, after the answer. Throws RefusedError. */
export function requireShowable(policies: readonly AcceptancePolicy[], model: string): void {
  for (const policy of policies) {
    const { tier = "signed", pending } = requirementFor(policy, model);
    if (reaches("signed", tier) || pending === "use") continue;
    const message = `that an answer has the tier ${tier} is shown by the log alone, later: say "pending": "use", and hold the receipt to the policy before acting on it`;
    throw new RefusedError(412, "policy_unmet", message);
  }
}

/** What answers rest on that is the same for all of a session's answers of one revision. */
type Origin = { model: { name: string; publisher: Uint8Array }; isRelayed: boolean; gateway: Uint8Array };
const ORIGINS_KEPT = 256;

/** Makes the function that holds a network's answers to policies. */
export function createAcceptance(http: Http, edges: Edges): (policies: readonly AcceptancePolicy[]) => Accept {
  const origins = new Map<string, Origin>();

  async function originOf({ authorization: { says, signed } }: Asked): Promise<Origin> {
    const name = `${hex(says.session)} ${hex(says.revision)}`;
    const known = origins.get(name);
    if (known !== undefined) return known;
    const file = await fetchReceiptFile(http, edges, hex(signedId(signed)), () => true);
    const origin = await originIn(file, says);
    if (origins.size >= ORIGINS_KEPT) origins.clear();
    origins.set(name, origin);
    return origin;
  }

  return (policies) => async (asked, receipt, nodeKey) => {
    const { model, isRelayed, gateway } = await originOf(asked);
    const roots: Root[] = [nodeKey, gateway].map((root) => ({ kind: "key", root }));
    const facts: AcceptanceFacts = {
      receipt: { provenance: isRelayed ? "relayed" : receipt.provenance },
      model,
      grounds: [{ tier: "signed", roots }],
    };
    const checks: Check[] = [];
    for (const check of policies.flatMap((policy) => satisfies(policy, facts))) {
      if (check.state === "failed")
        throw new UnverifiedError(`the answer is not one to accept: ${check.name}: ${check.detail}`, {
          receiptId: hex(signedId(asked.authorization.signed)),
        });
      checks.push(check);
    }
    return checks;
  };
}

/** Who published the revision and who granted the session, each by a signature that holds. Throws UnverifiedError. */
async function originIn(
  { parts }: ReceiptFile,
  asked: Pick<Asked["authorization"]["says"], "session" | "revision">,
): Promise<Origin> {
  const entryOf = (part: keyof typeof parts) =>
    orUnverified(`the ${part} entry of the receipt file`, () => parseEntry(parts[part].bytes));
  const [model, publisher, grant, gateway] = [
    entryOf("model"),
    entryOf("publisher"),
    entryOf("grant"),
    entryOf("gateway"),
  ];
  const { manifest } = model.kind === "model" && model.says.action === "publish" ? model.says : {};
  if (
    manifest === undefined ||
    !equal(revisionOf(manifest), asked.revision) ||
    !(await isBy(model, publisher, "publisher"))
  )
    throw new UnverifiedError("the network does not show who published the revision that was asked for");
  if (!equal(signedId(grant.signed), asked.session) || !(await isBy(grant, gateway, "gateway")))
    throw new UnverifiedError("the network does not show which gateway granted the session");
  const { name, upstream } = orUnverified("the manifest", () => parseManifest(manifest));
  return {
    model: { name, publisher: model.signed.keyId },
    isRelayed: upstream !== undefined,
    gateway: grant.signed.keyId,
  };
}

type AnyEntry = ReturnType<typeof parseEntry>;

/** Whether `entry` is signed by the key that `enrolment` enrols, by itself, for that role. */
async function isBy({ signed }: AnyEntry, enrolment: AnyEntry, role: EntryOf<"key">["says"]["role"]): Promise<boolean> {
  if (enrolment.kind !== "key" || enrolment.says.action !== "enrol" || enrolment.says.role !== role) return false;
  if (!equal(enrolment.signed.keyId, signed.keyId)) return false;
  const { spki } = enrolment.says;
  return (await verifySigned(enrolment.signed, spki)) && (await verifySigned(signed, spki));
}
