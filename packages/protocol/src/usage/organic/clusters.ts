/** Which payers' tags and keys are one party, by what the log says of them. Rules: docs/spec/usage.md, "Clusters". */
import { parseHex } from "../../bytes.ts";
import { type FoldState, type Key, keyOf } from "../state.ts";
import type { WashRules } from "../wash-rules.ts";

/** What joins two members, the strongest first: a key that both use, both their words, or who first paid for both. */
export const LINKS = ["same_key", "declared_owner", "common_funder"] as const;
export type Link = (typeof LINKS)[number];

export type Clusters = {
  /** The member of a cluster that the log had first; a member that nothing joins is its own. */
  clusterOf(member: Key): Key;
  /** The same by the links that only a gateway that lies makes without a member's own key: by a shared key, or by both their words. */
  ownerOf(member: Key): Key;
  /** What makes two members one party: the strongest link such that links at least as strong join them. */
  linkOf(a: Key, b: Key): Link | undefined;
};

/** The clusters as of what `fold` has. */
export function clustersOf(fold: FoldState, rules: WashRules): Clusters {
  const union = new Union();
  joinKeys(fold, union);
  const levels = [union.roots()];
  joinAffiliates(fold, union);
  levels.push(union.roots());
  const shared = sharedFundersOf(rules);
  for (const [payer, funder] of firstFunders(fold, rules)) if (!shared.has(funder)) union.join(payer, funder);
  levels.push(union.roots());
  const clusterOf = (member: Key) => union.nameOf(member);
  const linkOf = (a: Key, b: Key) => LINKS.find((_, level) => union.areJoined(levels[level], a, b));
  const ownerOf = (member: Key) => union.nameAt(levels[1], member);
  return { clusterOf, ownerOf, linkOf };
}

/**
 * Joins each payer and the keys that are its own. A grant's possession names no payer and is public, so that a copy of it
 * shows nothing of who has the key: only the key's first grant does, and what the key then signs in a session.
 */
function joinKeys({ sessions }: FoldState, union: Union): void {
  for (const { payer, sessionKeyId, usedNonces } of sessions.values()) {
    union.meet(payer);
    if (!union.has(sessionKeyId) || usedNonces.size > 0) union.join(payer, sessionKeyId);
  }
}

/** Joins those of whom each names the other: nobody is drawn into a cluster by another's word. */
function joinAffiliates({ demand: { affiliations } }: FoldState, union: Union): void {
  for (const [key, others] of affiliations)
    for (const other of others) if (affiliations.get(other)?.has(key)) union.join(key, other);
}

/**
 * Whose money each payer began with: the first key outside the operators' that the log names with an amount worth naming, or
 * the first it names at all. Whoever gives later gives to whom they like, which says nothing of the payer.
 */
function firstFunders({ demand: { funded } }: FoldState, { firstFunderAtomic }: WashRules): Map<Key, Key> {
  const [worth, any] = [new Map<Key, Key>(), new Map<Key, Key>()];
  for (const { payer, funder, amountAtomic, isOperators } of funded) {
    if (funder === undefined || isOperators) continue;
    if (!any.has(payer)) any.set(payer, funder);
    if (amountAtomic >= BigInt(firstFunderAtomic) && !worth.has(payer)) worth.set(payer, funder);
  }
  for (const [payer, funder] of worth) any.set(payer, funder);
  return any;
}

/** The funders who pay for strangers. */
export function sharedFundersOf({ sharedFunders }: WashRules): ReadonlySet<Key> {
  return new Set(sharedFunders.map((id) => keyOf(parseHex(id) ?? new Uint8Array(0))));
}

/** Disjoint sets of members, each named by its member that was met first. */
class Union {
  readonly #numbers = new Map<Key, number>();
  readonly #members: Key[] = [];
  readonly #parents: number[] = [];

  has(member: Key): boolean {
    return this.#numbers.has(member);
  }

  /** Numbers a member, joined or not. */
  meet(member: Key): void {
    this.#numberOf(member);
  }

  join(a: Key, b: Key): void {
    const [one, other] = [this.#root(this.#numberOf(a)), this.#root(this.#numberOf(b))];
    if (one !== other) this.#parents[Math.max(one, other)] = Math.min(one, other);
  }

  nameOf(member: Key): Key {
    const number = this.#numbers.get(member);
    return number === undefined ? member : (this.#members[this.#root(number)] ?? member);
  }

  /** The same as of when `roots` were taken. */
  nameAt(roots: Int32Array | undefined, member: Key): Key {
    return this.#members[roots?.[this.#numbers.get(member) ?? -1] ?? -1] ?? member;
  }

  /** The root of each member, by number, as of what is joined. */
  roots(): Int32Array {
    return Int32Array.from(this.#parents, (_, number) => this.#root(number));
  }

  areJoined(roots: Int32Array | undefined, a: Key, b: Key): boolean {
    const root = roots?.[this.#numbers.get(a) ?? -1];
    return root !== undefined && root === roots?.[this.#numbers.get(b) ?? -1];
  }

  #numberOf(member: Key): number {
    let number = this.#numbers.get(member);
    if (number === undefined) {
      number = this.#members.push(member) - 1;
      this.#numbers.set(member, number);
      this.#parents.push(number);
    }
    return number;
  }

  #root(number: number): number {
    let at = number;
    for (let parent = this.#parents[at] ?? at; parent !== at; parent = this.#parents[at] ?? at) {
      this.#parents[at] = this.#parents[parent] ?? parent;
      at = parent;
    }
    return at;
  }
}
