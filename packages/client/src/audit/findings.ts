/** What an audit found not to hold. */

/** What did not hold: which check, and at which entry where it is one entry's. */
export type Finding = { check: string; index?: number; detail: string };

export type Report = (check: string, detail: string, index?: number) => void;

/** Of one check, after so many findings the rest would say nothing new. */
const KEPT_PER_CHECK = 1_000;

export class Findings {
  readonly #found: Finding[] = [];
  readonly #counts = new Map<string, number>();

  /** Of each check its own number is kept: a thousand things that follow must not crowd out the one that they follow from. */
  readonly report: Report = (check, detail, index) => {
    const count = this.#counts.get(check) ?? 0;
    this.#counts.set(check, count + 1);
    if (count < KEPT_PER_CHECK) this.#found.push(index === undefined ? { check, detail } : { check, index, detail });
  };

  /** What is wrong with the whole first, then entry by entry. */
  inOrder(): Finding[] {
    return this.#found.toSorted((a, b) => (a.index ?? -1) - (b.index ?? -1));
  }
}
