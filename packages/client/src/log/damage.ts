/** The files of a log in which something is wrong. */

/** What is wrong with which file, and at which entry where that can be said. */
export type Damage = { file: string; index?: number; detail: string };

/** After so many the rest would say nothing new. */
const KEPT = 1_000;

export class Damages {
  readonly #found = new Map<string, Damage>();

  /** Adds what is wrong with `file`, unless something was wrong with it before. */
  add(file: string, detail: string, index?: number): void {
    if (this.#found.size >= KEPT || this.#found.has(file)) return;
    this.#found.set(file, index === undefined ? { file, detail } : { file, index, detail });
  }

  /** What concerns the whole first, then entry by entry. */
  inOrder(): Damage[] {
    return [...this.#found.values()].toSorted((a, b) => (a.index ?? -1) - (b.index ?? -1));
  }
}
