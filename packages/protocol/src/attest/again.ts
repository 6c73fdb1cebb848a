/** Appraising archived evidence again, at the time of the appraisal that the log has of it (docs/spec/attestation.md). */
import { equal, hex } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import type { AppraisalPayload } from "../entry/verification.ts";
import type { Check } from "../verdict.ts";
import { appraise } from "./appraise.ts";
import { bindingOf, evidenceDigest, parseEvidence } from "./evidence.ts";

const name = "hardware evidence";

/** Whether `archived` says what a verifier says in the log that it does. Never throws at bytes. */
export async function appraiseAgain(archived: Uint8Array, says: AppraisalPayload): Promise<Check> {
  if (!equal(evidenceDigest(archived), says.evidence))
    return { name, state: "not_checked", detail: `what is at hand is not the evidence ${hex(says.evidence)}` };
  const { technology, appraised: nowSeconds, root, measurement } = says;
  const reportData = boundIn(archived, says.key);
  const again = reportData && (await appraise(archived, { nowSeconds, expected: { reportData }, simulatedRoot: root }));
  const isSame =
    again?.outcome === "passed" &&
    says.outcome === "passed" &&
    again.technology === technology &&
    equal(again.root, root) &&
    equal(again.measurement, measurement);
  if (!isSame) {
    const found = again?.outcome === "failed" ? again.failure : "it is of another key, root or measurement";
    return { name, state: "failed", failure: "bad_evidence", detail: `appraised again it does not hold: ${found}` };
  }
  const when = new Date(nowSeconds * 1_000).toISOString();
  const open = again.checks.flatMap((check) => (check.state === "not_checked" ? `${check.name}: ${check.detail}` : []));
  const but = open.length === 0 ? "" : `; not checked of it: ${open.join("; ")}`;
  return { name, state: "passed", detail: `appraised again here, as of ${when}${but}` };
}

/** What the evidence should bind, where it says that it was made for this key. */
function boundIn(archived: Uint8Array, key: Uint8Array): Uint8Array | undefined {
  try {
    const { binding } = parseEvidence(archived);
    return binding !== undefined && equal(binding.key, key) ? bindingOf(binding) : undefined;
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}
