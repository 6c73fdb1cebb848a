/** What a receipt commits to beside the answer, held to what was told of it: an upstream's own words, and the attempts made. */
import { type Check, disclosureFault, type ReceiptMember, type ReceiptPayload } from "@tallystick/protocol";

/** The checks that passed. Throws what `fail` makes where something was told that the receipt does not commit to. */
export function checkBeside(
  receipt: ReceiptPayload,
  told: Pick<ReceiptMember, "responseSalt" | "upstream" | "evidence">,
  fail: (message: string) => Error,
): Check[] {
  const fault = disclosureFault(receipt, told);
  if (fault !== undefined) throw fail(fault);
  const checks: Check[] = [];
  if (told.upstream !== undefined) {
    const detail = `what the upstream "${receipt.upstream?.name}" said of itself is what the receipt commits to`;
    checks.push({ name: "upstream", state: "passed", detail });
  }
  if (told.evidence !== undefined) {
    const detail = "how the answer came about is what the receipt commits to";
    checks.push({ name: "evidence", state: "passed", detail });
  }
  return checks;
}
