/** What a receipt commits to beside the answer, held to what was told of it: an upstream's own words, and the attempts made. */
import {
  type Check,
  type CommittedField,
  commitField,
  encodeJson,
  equal,
  type ReceiptMember,
  type ReceiptPayload,
  utf8,
} from "@tallystick/protocol";

/** The checks that passed. Throws what `fail` makes where something was told that the receipt does not commit to. */
export function checkBeside(
  { upstream, evidence }: ReceiptPayload,
  { upstream: words, evidence: told, responseSalt: salt }: Omit<ReceiptMember, "id" | "entry">,
  fail: (message: string) => Error,
): Check[] {
  const checks: Check[] = [];
  const hold = (field: CommittedField, bytes: Uint8Array, digest: Uint8Array | undefined) => {
    if (digest === undefined || !equal(commitField(field, salt, bytes), digest))
      throw fail(`the ${field} that came with the answer is not the one that the receipt commits to`);
  };
  if (words !== undefined) {
    const fields: [CommittedField, unknown, Uint8Array | undefined][] = [
      ["upstream model", words.model, upstream?.model],
      ["upstream response id", words.response_id, upstream?.responseId],
      ["upstream fingerprint", words.system_fingerprint, upstream?.fingerprint],
    ];
    for (const [field, word, digest] of fields) if (word !== undefined) hold(field, utf8(String(word)), digest);
    const detail = `what the upstream "${upstream?.name}" said of itself is what the receipt commits to`;
    checks.push({ name: "upstream", state: "passed", detail });
  }
  if (told !== undefined) {
    hold("evidence", encodeJson(told), evidence);
    const detail = "how the answer came about is what the receipt commits to";
    checks.push({ name: "evidence", state: "passed", detail });
  }
  return checks;
}
