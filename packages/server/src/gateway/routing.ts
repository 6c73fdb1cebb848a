/** Which node gets a call: a pure choice among those that serve exactly the revision that was asked for. */
import type { Tier } from "@tallystick/protocol";

/** A node as routing sees it. Revisions are their digests in hex: other weights, or another precision, are another digest. */
export type Candidate = {
  id: string;
  /** Whether it takes calls: heard of lately, not draining, its breaker not open. */
  isReady: boolean;
  offers(revision: string): boolean;
  isWarm(revision: string): boolean;
  tiers: readonly Tier[];
  /** It works for no less than this a call. */
  priceFloorAtomic: bigint;
  /** Calls that it runs or keeps waiting, for each that it can run at once: from 1 on, another one waits. */
  load: number;
};

export type Asked = {
  revision: string;
  tier: Tier;
  maxPriceAtomic: bigint;
  /** Whether the requester's policy accepts a node, by its id; without it, every node. */
  accepts?: ((id: string) => boolean) | undefined;
};

/** Those that can serve what is asked, in no order. */
export function eligible<C extends Candidate>(candidates: readonly C[], asked: Asked, tried: ReadonlySet<string>): C[] {
  return candidates.filter(
    (one) =>
      one.isReady &&
      !tried.has(one.id) &&
      one.offers(asked.revision) &&
      one.tiers.includes(asked.tier) &&
      one.priceFloorAtomic <= asked.maxPriceAtomic &&
      (asked.accepts?.(one.id) ?? true),
  );
}

/**
 * The node to ask: one that has the model loaded and is not busy, else one that is not busy, else any. Of several, the less
 * loaded of two drawn at random, so that many gateways that heard the same do not all go to the same one.
 * `draw(count)` is a whole number from 0 to `count` - 1.
 */
export function pickNode<C extends Candidate>(
  candidates: readonly C[],
  asked: Asked,
  tried: ReadonlySet<string>,
  draw: (count: number) => number,
): C | undefined {
  const able = eligible(candidates, asked, tried);
  const idle = able.filter(({ load }) => load < 1);
  const warm = idle.filter((one) => one.isWarm(asked.revision));
  const pool = [warm, idle, able].find(({ length }) => length > 0) ?? [];
  if (pool.length < 2) return pool[0];
  const first = draw(pool.length);
  const other = draw(pool.length - 1);
  const [one, two] = [pool[first], pool[other < first ? other : other + 1]];
  return one !== undefined && two !== undefined && two.load < one.load ? two : one;
}
