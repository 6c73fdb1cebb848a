/** Lots by the protocol's own seed and tickets, and the exact numbers that they are held to. */
import { createHash } from "node:crypto";
import {
  addShape,
  dueOf,
  keyOf,
  lotSeedOf,
  mostWrong,
  type Shape,
  type Shapes,
  sha256,
  ticketOf,
  utf8,
} from "@tallystick/protocol";

/** Numbers from 0 to 1 that follow from a seed. */
export function randomOf(seed: string): () => number {
  let count = 0;
  return () => createHash("sha256").update(`${seed} ${count++}`).digest().readUInt32BE() / 2 ** 32;
}

/** How many ways there are to take `count` of `all`. */
export function chooseExactly(all: number, count: number): bigint {
  if (count < 0 || count > all) return 0n;
  let ways = 1n;
  for (let i = 0; i < count; i++) ways = (ways * BigInt(all - i)) / BigInt(i + 1);
  return ways;
}

/** Every way to put `wrong` receipts in places of these sizes. */
export function* allocations([size, ...others]: readonly number[], wrong: number): Generator<number[]> {
  if (size === undefined) {
    if (wrong === 0) yield [];
    return;
  }
  for (let here = 0; here <= Math.min(size, wrong); here++)
    for (const rest of allocations(others, wrong - here)) yield [here, ...rest];
}

/** How many of the wrong receipts a lot finds: of each stratum those with the lowest tickets are checked. */
export function lotOf(
  strata: readonly Shape[],
  wrong: readonly number[],
  name: string,
  place: "first" | "last" | "even" = "first",
): number {
  const value = sha256(utf8(name));
  const seed = lotSeedOf(sha256(utf8("an epoch")), [{ verifier: sha256(utf8("verifier")), value }]);
  let found = 0;
  for (const [i, { population, checked }] of strata.entries()) {
    const liars = wrong[i] ?? 0;
    const isWrong = (receipt: number) =>
      place === "first"
        ? receipt < liars
        : place === "last"
          ? receipt >= population - liars
          : receipt % Math.max(1, Math.floor(population / Math.max(1, liars))) === 0 &&
            receipt < liars * Math.floor(population / Math.max(1, liars));
    const tickets = Array.from({ length: population }, (_, receipt) => ({
      receipt,
      ticket: keyOf(ticketOf(seed, sha256(utf8(`${i} ${receipt}`)))),
    }));
    tickets.sort((a, b) => (a.ticket < b.ticket ? -1 : 1));
    found += tickets.slice(0, checked).filter(({ receipt }) => isWrong(receipt)).length;
  }
  return found;
}

/** Days of epochs, in each of which so many are due, with receipts wrong at a share of the day's own. */
export function coverageOfBound(days: number, seed: string): { days: number; held: number } {
  const random = randomOf(seed);
  let held = 0;
  for (let day = 0; day < days; day++) {
    const share = [0.002, 0.008, 0.02, 0.1][day % 4] ?? 0;
    const shapes: Shapes = new Map();
    let [failures, allWrong] = [0, 0];
    for (let epoch = 0; epoch < 10; epoch++) {
      const population = 1 + Math.floor(random() * (epoch % 3 === 0 ? 400 : 40));
      const checked = dueOf(shapes, population);
      let wrong = 0;
      for (let i = 0; i < population; i++) if (random() < share) wrong++;
      failures += lotOf([{ population, checked }], [wrong], `${seed} ${day} ${epoch}`);
      allWrong += wrong;
      addShape(shapes, { population, checked }, 1);
    }
    if (allWrong <= mostWrong(shapes, failures)) held++;
  }
  return { days, held };
}
