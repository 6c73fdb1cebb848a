/** What the closed days came to, and what of that the log says (docs/spec/usage.md, "Closed days"). */
import type { SnapshotPayload } from "../entry/usage.ts";
import { type FoldState, type Key, keyOf, type Snapshot } from "./state.ts";
import { rulesDigest } from "./wash-rules.ts";

/** What a snapshot of one closed day has to say. */
export type DaySummary = Omit<SnapshotPayload, "version">;

/** Under what a snapshot is found. */
export function snapshotName(day: string, rules: Key): string {
  return `${rules} ${day}`;
}

/** What the log says that `day` came to by rules of that digest. */
export function findSnapshot({ snapshots }: FoldState, day: string, rules: Uint8Array): Snapshot | undefined {
  return snapshots.get(snapshotName(day, keyOf(rules)));
}

/** The closed days of which the log has no snapshot yet, in order, by each version of the rules. */
export function daysWithoutSnapshot(fold: FoldState): DaySummary[] {
  return fold.series.flatMap(({ rules, digests }) => {
    const digest = rulesDigest(rules);
    return [...digests]
      .filter(([day]) => findSnapshot(fold, day, digest) === undefined)
      .map(([day, result]) => ({ day, size: fold.closedDays.get(day)?.size ?? 0, rules: digest, result }));
  });
}
