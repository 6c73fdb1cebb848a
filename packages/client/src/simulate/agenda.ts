/** What happens in a simulated network, and when. */
export type Act = () => Promise<unknown>;

export class Agenda {
  readonly #acts: { atSeconds: number; act: Act }[] = [];

  at(atSeconds: number, act: Act): void {
    this.#acts.push({ atSeconds, act });
  }

  /** Everything in order of time; what is at one time, in the order in which it was put down. */
  inOrder(): readonly { atSeconds: number; act: Act }[] {
    return this.#acts.toSorted((a, b) => a.atSeconds - b.atSeconds);
  }
}
