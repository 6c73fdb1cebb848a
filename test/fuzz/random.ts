/** What a seed gives, so that it can be had again: mulberry32. */
export type Fuzzing = {
  /** A whole number from 0 up to, and not, `below`. */
  number(below: number): number;
  one<T>(of: readonly T[]): T;
  chance(share: number): boolean;
};

export function createFuzzing(seed: number): Fuzzing {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const number = (below: number) => Math.floor(next() * below);
  return {
    number,
    one(of) {
      const found = of[number(of.length)];
      if (found === undefined) throw new Error("nothing to choose from");
      return found;
    },
    chance: (share) => next() < share,
  };
}
