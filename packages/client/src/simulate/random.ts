/** Choices that follow from a seed, by integers alone: the same seed is the same run on every version of every engine. */
import { sha256, utf8 } from "@tallystick/protocol";

export class Random {
  readonly #seed: string;
  #state: number;

  constructor(seed: string) {
    this.#seed = seed;
    const { buffer, byteOffset } = sha256(utf8(`tallystick simulation: ${seed}`));
    this.#state = new DataView(buffer, byteOffset).getUint32(0);
  }

  /** Another sequence: what is drawn from it changes nothing of what is drawn from this one. */
  fork(label: string): Random {
    return new Random(`${this.#seed}/${label}`);
  }

  /** A whole number below 2^32 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** A whole number below `count`, which is at most 2^20: then the product is exact. */
  below(count: number): number {
    return Math.floor((this.next() * count) / 2 ** 32);
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True `perMille` times in a thousand. */
  chance(perMille: number): boolean {
    return this.below(1_000) < perMille;
  }

  pick<T>(items: readonly T[]): T {
    const picked = items[this.below(items.length)];
    if (picked === undefined) throw new RangeError("nothing to pick from");
    return picked;
  }

  /** The place that is drawn of `weights`, whole numbers that come to at most 2^20. */
  weighted(weights: readonly number[]): number {
    let left = this.below(weights.reduce((sum, weight) => sum + weight, 0));
    return weights.findIndex((weight) => {
      left -= weight;
      return left < 0;
    });
  }

  /** One of `choices`, each with its weight. */
  choose<T>(choices: readonly (readonly [choice: T, weight: number])[]): T {
    const chosen = choices[this.weighted(choices.map(([, weight]) => weight))];
    if (chosen === undefined) throw new RangeError("nothing to choose from");
    return chosen[0];
  }

  bytes(count: number): Uint8Array {
    const view = new DataView(new ArrayBuffer(Math.ceil(count / 4) * 4));
    for (let at = 0; at < view.byteLength; at += 4) view.setUint32(at, this.next());
    return new Uint8Array(view.buffer, 0, count);
  }
}
