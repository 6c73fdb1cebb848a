/** Which tier a receipt has reached, and what that rests on (docs/spec/usage.md, "Tiers"). */
import type { Role } from "../entry/payload.ts";
import type { RootKind } from "../entry/verification.ts";
import {
  type Attestation,
  type Examination,
  type Grade,
  rootName,
  type Verdicts,
  type Verification,
} from "./proof-state.ts";
import type { FoldState, Key, UsedReceipt } from "./state.ts";

/** Whether a root is relied on for a receipt of that time; one that has no time yet is later than all that have. */
export type IsRelied = (kind: RootKind, root: Key, timeSeconds: number | undefined) => boolean;

/** Whether a root is relied on, by the revocations in the log. */
export function reliedBy({ trust: { revoked } }: FoldState): IsRelied {
  if (revoked.size === 0) return () => true;
  return (kind, root, timeSeconds) => {
    const since = revoked.get(rootName(kind, root));
    return since === undefined || (timeSeconds !== undefined && timeSeconds < since);
  };
}

/** Whether a key may act now, by the log's clock: it is enrolled as `role`, and neither retired nor revoked. */
export function mayAct(fold: FoldState, key: Key, role: Role): boolean {
  const enrolled = fold.keys.get(key);
  return enrolled?.role === role && !enrolled.retired && reliedBy(fold)("key", key, fold.timeSeconds);
}

/** A reason for which a receipt has its tier: all of its roots are relied on. */
export type Ground = { grade: Grade; roots: { kind: RootKind; root: Key }[] };

/** What holds of a receipt, the highest tier last. `timeSeconds` is the receipt's. */
export function groundsOf(
  fold: FoldState,
  receipt: Pick<UsedReceipt, "node" | "attested"> & ({ session: Key } | { gateway: Key }),
  examination: Examination | undefined,
  timeSeconds: number | undefined,
  isRelied: IsRelied,
): Ground[] {
  const key = (root: Key) => ({ kind: "key" as const, root });
  const gateway = "gateway" in receipt ? receipt.gateway : fold.sessions.get(receipt.session)?.gateway;
  const signed: Ground = {
    grade: "signed",
    roots: [key(receipt.node), ...(gateway === undefined ? [] : [key(gateway)])],
  };
  const all = (ground: Ground) => ground.roots.every(({ kind, root }) => isRelied(kind, root, timeSeconds));
  const grounds = [signed];
  if (examination === undefined || !isRefuted(examination, timeSeconds, isRelied)) {
    for (const attestation of receipt.attested ?? [])
      if (timeSeconds === undefined || timeSeconds <= attestation.expiry)
        grounds.push(...attestedGrounds(attestation, signed));
    for (const check of examination?.checks ?? []) grounds.push(...checkedGrounds(check));
  }
  if (grounds.length === 1) return all(signed) ? grounds : []; // As nearly all receipts are.
  return grounds.filter(all).sort((a, b) => ORDER[a.grade] - ORDER[b.grade]);
}

const ORDER: Record<Grade, number> = { none: 0, signed: 1, attested: 2, reexecuted: 3, proved: 4 };

/** The tier that a receipt has reached. */
export function gradeOf(...args: Parameters<typeof groundsOf>): Grade {
  return groundsOf(...args).at(-1)?.grade ?? "none";
}

/** Hardware vouches for the key that signed, by the word of a verifier and of any publisher that approved it. */
function attestedGrounds({ root, measurement, verifier, publishers }: Attestation, signed: Ground): Ground[] {
  return publishers.map((publisher) => ({
    grade: "attested",
    roots: [
      ...signed.roots,
      { kind: "vendor", root },
      { kind: "release", root: measurement },
      { kind: "key", root: verifier },
      { kind: "key", root: publisher },
    ],
  }));
}

/** A check that passed is a ground where it says what it rests on: an engine, or the ceremony of a proof. */
function checkedGrounds(check: Verification): Ground[] {
  const grade = check.method === "proof" ? "proved" : "reexecuted";
  const isFounded = check.method === "proof" ? check.ceremony !== undefined : check.judge !== undefined;
  return check.outcome === "passed" && isFounded ? [{ grade, roots: rootsOfCheck(check) }] : [];
}

function rootsOfCheck({ verifier, judge, ceremony }: Verification): Ground["roots"] {
  const roots: Ground["roots"] = [{ kind: "key", root: verifier }];
  if (judge !== undefined) roots.push({ kind: "judge", root: judge });
  if (ceremony !== undefined) roots.push({ kind: "ceremony", root: ceremony });
  return roots;
}

/** Whether all that a check rests on is relied on: else it is as if it had not been made. */
export function isSound(check: Verification, timeSeconds: number | undefined, isRelied: IsRelied): boolean {
  return rootsOfCheck(check).every(({ kind, root }) => isRelied(kind, root, timeSeconds));
}

function resolvedAs(
  outcome: "upheld" | "rejected",
  { rulings }: Examination,
  time: number | undefined,
  isRelied: IsRelied,
) {
  return rulings.some((some) => some.outcome === outcome && isRelied("key", some.referee, time));
}

/** Whether the answer was found wrong by running the model again: then nobody's word but its node's is left. */
export function isRefuted(examination: Examination, timeSeconds: number | undefined, isRelied: IsRelied): boolean {
  if (resolvedAs("upheld", examination, timeSeconds, isRelied)) return true;
  if (resolvedAs("rejected", examination, timeSeconds, isRelied)) return false;
  return examination.checks.some(
    (check) => check.outcome === "failed" && check.method !== "proof" && isSound(check, timeSeconds, isRelied),
  );
}

export const NO_VERDICTS: Verdicts = {
  drawn: undefined,
  unopened: false,
  undecided: false,
  omitted: false,
  requested: undefined,
  upheld: false,
};

/** What a receipt that was examined counts as. */
export function verdictsOf(examination: Examination, timeSeconds: number | undefined, isRelied: IsRelied): Verdicts {
  const { draw, checks } = examination;
  const upheld = resolvedAs("upheld", examination, timeSeconds, isRelied);
  const isOverturned = !upheld && resolvedAs("rejected", examination, timeSeconds, isRelied);
  const outcomeOf = (check: Verification) => (isOverturned && check.outcome === "failed" ? "undecided" : check.outcome);
  const isFailure = (check: Verification) => outcomeOf(check) === "failed" || check.outcome === "unopened";
  const sound = checks.filter((check) => isSound(check, timeSeconds, isRelied));
  const answer = checks.find((check) => check.drawn);
  const counts = answer !== undefined && sound.includes(answer) ? answer : undefined;
  const requested = sound.filter((check) => !check.drawn);
  const drawn = (): Verdicts["drawn"] => {
    if (draw === undefined) return undefined;
    if (upheld) return "failed";
    if (counts === undefined) return answer !== undefined || draw.omitted ? "lost" : undefined;
    if (isFailure(counts)) return "failed";
    return outcomeOf(counts) === "passed" ? "passed" : "lost";
  };
  return {
    drawn: drawn(),
    unopened: counts?.outcome === "unopened",
    undecided: counts !== undefined && outcomeOf(counts) === "undecided",
    omitted: draw?.omitted ?? false,
    requested: requested.some(isFailure)
      ? "failed"
      : requested.some((check) => outcomeOf(check) === "passed")
        ? "passed"
        : undefined,
    upheld,
  };
}
