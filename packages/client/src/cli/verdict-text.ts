/** A verdict for a person's eyes: every check with its outcome, and the verdict last. */
import { type Check, hex, type Tier, type Verdict, type VerifiedReceipt } from "@tallystick/protocol";
import type { LogKey } from "./networks.ts";
import { EXIT, type Exit, printable } from "./terminal.ts";

const MARK = { passed: "passed", failed: "FAILED", not_checked: "not checked" } as const satisfies Record<
  Check["state"],
  string
>;

/** `limits` is what a proof does not say, where there is one. */
export function verdictText(
  verdict: Verdict<VerifiedReceipt>,
  logKey: LogKey | undefined,
  limits: readonly string[] = [],
): string {
  const width = Math.max(...verdict.checks.map(({ name }) => name.length));
  const rows = verdict.checks.map(
    ({ name, state, detail }) => `  ${MARK[state].padEnd(11)}  ${name.padEnd(width)}  ${printable(detail)}`,
  );
  const key = logKey === undefined ? "" : `the log's key is trusted because ${logKey.because}\n`;
  const beside =
    limits.length === 0 ? "" : `of the proof:\n${limits.map((limit) => `  ${printable(limit)}\n`).join("")}\n`;
  return `${rows.join("\n")}\n\n${beside}${key}${conclusion(verdict)}\n`;
}

function conclusion(verdict: Verdict<VerifiedReceipt>): string {
  const open = verdict.checks.filter(({ state }) => state === "not_checked").map(({ name }) => name);
  if (verdict.outcome === "failed") return `FAILED: ${verdict.failure}. Do not rely on this receipt.`;
  if (verdict.outcome === "inconclusive")
    return `inconclusive: nothing failed, but this could not be checked: ${open.join(", ")}`;
  return `verified, at the tier "${reachedIn(verdict.checks)}". Not checked: ${open.join(", ")}`;
}

/** The highest tier that is shown, of a receipt that holds. */
function reachedIn(checks: readonly Check[]): Tier {
  const isShown = (tier: Tier) => checks.some(({ name, state }) => name === tier && state === "passed");
  return (["proved", "reexecuted", "attested"] as const).find(isShown) ?? "signed";
}

/** A verdict as JSON for programs. */
export function verdictJson(
  verdict: Verdict<VerifiedReceipt>,
  logKey: LogKey | undefined,
  limits?: readonly string[],
): string {
  const { checks, outcome } = verdict;
  const key = logKey === undefined ? {} : { logKey: logKey.vkey, logKeyTrustedBecause: logKey.because };
  if (outcome !== "verified")
    return JSON.stringify({ outcome, ...(outcome === "failed" ? { failure: verdict.failure } : {}), checks, ...key });
  const { id, index, receipt, authorization, grant, manifest, nodeName, seenSeconds } = verdict.value;
  return JSON.stringify({
    outcome,
    receiptId: hex(id),
    index,
    model: { name: manifest.name, version: manifest.version, revision: hex(authorization.revision) },
    node: nodeName,
    custody: grant.custody,
    tier: authorization.tier,
    reached: reachedIn(checks),
    status: receipt.status,
    price: String(receipt.price),
    runtime: receipt.profile.runtime,
    seen: new Date(seenSeconds * 1000).toISOString(),
    checks,
    ...key,
    ...(limits === undefined ? {} : { proofLimits: limits }),
  });
}

export function exitOf({ outcome }: Verdict<VerifiedReceipt>): Exit {
  return { verified: EXIT.ok, failed: EXIT.unverified, inconclusive: EXIT.inconclusive }[outcome];
}
