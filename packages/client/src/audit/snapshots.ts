/** The days that a log has closed, computed again, beside what its snapshots say of them (docs/spec/usage.md). */
import { type EntryOf, equal, type FoldState, hex, rulesDigest } from "@tallystick/protocol";
import type { Report } from "./findings.ts";

/** A closed day by one version of the rules. Digests are hex. */
export type AuditedDay = {
  day: string;
  rules: string;
  /** How many entries had been folded when it closed. */
  size: number;
  result: string;
  /** What the log says of it: its first snapshot, or the first that says something else. `id` is the signed id. */
  snapshot: { index: number; id: string } | null;
  /** Whether every snapshot of it says the same. */
  agrees: boolean;
};

export class SnapshotCheck {
  readonly #report: Report;
  readonly #days = new Map<string, AuditedDay>();

  constructor(report: Report) {
    this.#report = report;
  }

  /** `fold` is of the entries before `index`. */
  check(entry: EntryOf<"snapshot">, index: number, fold: FoldState): void {
    const wrong = this.#wrongWith(entry, index, fold);
    if (wrong !== undefined) this.#report("snapshot", `the snapshot of ${entry.says.day} ${wrong}`, index);
  }

  #wrongWith({ says, signed }: EntryOf<"snapshot">, index: number, fold: FoldState): string | undefined {
    const series = fold.series.find(({ rules }) => equal(rulesDigest(rules), says.rules));
    if (series === undefined) return `is by rules that this release does not have: ${hex(says.rules)}`;
    this.#take(fold);
    const audited = this.#days.get(`${says.day} ${hex(says.rules)}`);
    if (audited === undefined) return "is of a day that was not closed";
    const { size, result } = audited;
    const agrees = size === says.size && result === hex(says.result);
    if (audited.agrees && (audited.snapshot === null || !agrees)) audited.snapshot = { index, id: hex(signed.id) };
    if (agrees) return undefined;
    audited.agrees = false;
    return size === says.size
      ? `says that it came to ${hex(says.result)}; by ${series.rules.version} it came to ${result}`
      : `says that it closed at ${says.size} entries; it did at ${size}`;
  }

  /** What every closed day came to. A day that the log says nothing of, an epoch after its close, is an omission. */
  finish(fold: FoldState): AuditedDay[] {
    this.#take(fold);
    const days = [...this.#days.values()];
    for (const audited of days) {
      const { day, size, snapshot } = audited;
      if (snapshot !== null || (fold.epochs.at(-1)?.index ?? 0) < size) continue;
      this.#report("snapshot", `${day} closed at ${size} entries, and the log has no snapshot of it`);
      audited.agrees = false;
    }
    return days;
  }

  /** Takes the days that were closed since. */
  #take({ series, closedDays }: FoldState): void {
    for (const { rules, digests } of series) {
      const digest = hex(rulesDigest(rules));
      for (const [day, result] of digests) {
        const name = `${day} ${digest}`;
        if (this.#days.has(name)) continue;
        const size = closedDays.get(day)?.size ?? 0;
        this.#days.set(name, { day, rules: digest, size, result: hex(result), snapshot: null, agrees: true });
      }
    }
  }
}
