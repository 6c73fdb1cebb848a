/** Who counted again, and what the log's own key said that closed days came to. */
import {
  bytesOf,
  type FoldState,
  hex,
  type Key,
  keyOf,
  parseHex,
  type Recomputation,
  timeOf,
} from "@tallystick/protocol";
import type { Recomputations, RecomputationsQuery } from "./schemas.ts";

const hexOf = (key: Key) => hex(bytesOf(key));

/** Where a statement stands in the list. */
type Place = { agrees: boolean; at: number };
type Placed = Place & { stated: Recomputation };

export type ListRecomputations = (query: RecomputationsQuery) => Recomputations;

/**
 * A page of what auditors say: the last word of each, else all that the named ones say. Who disagrees comes first, and of two the key
 * that enrolled first: whoever enrols a thousand keys is behind everybody who was there.
 */
export function createRecomputations(fold: FoldState): ListRecomputations {
  let known: { size: number; last: readonly Placed[] } | undefined;

  /** The last words, in order. They are put in order once for each size of the log, whoever asks. */
  function lastWords(): readonly Placed[] {
    if (known?.size !== fold.size)
      known = { size: fold.size, last: inOrder(placedBy(lastOf(fold), enrolmentOf(fold))) };
    return known.last;
  }

  return ({ agrees, auditor, limit, cursor }) => {
    const last = lastWords();
    const agreed = last.filter((one) => one.agrees).length;
    const asked = auditor === undefined ? last : inOrder(placedBy(saidBy(fold, auditor), newestFirst));
    const after = cursor === undefined ? undefined : parseCursor(cursor);
    const found = asked.filter(
      (one) =>
        (agrees === undefined || one.agrees === (agrees === "yes")) && (after === undefined || compare(one, after) > 0),
    );
    const shown = found.slice(0, limit);
    const end = shown.at(-1);
    return {
      recomputations: shown.map(({ stated }) => rowOf(fold, stated)),
      ...{ agreed, disagreed: last.length - agreed },
      next: end !== undefined && found.length > shown.length ? `${end.agrees ? "yes" : "no"}.${end.at}` : null,
    };
  };
}

function lastOf({ recomputations }: FoldState): Recomputation[] {
  return [...recomputations.values()].flatMap((said) => said.at(-1) ?? []);
}

function saidBy({ recomputations }: FoldState, auditors: readonly string[]): Recomputation[] {
  const keys = new Set(auditors.map((id) => keyOf(parseHex(id) ?? new Uint8Array(0))));
  return [...keys].flatMap((key) => recomputations.get(key) ?? []);
}

const enrolmentOf =
  ({ keys }: FoldState) =>
  ({ auditor, index }: Recomputation) =>
    keys.get(auditor)?.index ?? index;
/** More entries than a log has. */
const BEYOND = 1e12;
const newestFirst = ({ index }: Recomputation) => BEYOND - index;

function placedBy(said: readonly Recomputation[], placeOf: (stated: Recomputation) => number): Placed[] {
  return said.map((stated) => ({ stated, agrees: stated.agrees, at: placeOf(stated) }));
}

const compare = (a: Place, b: Place) => Number(a.agrees) - Number(b.agrees) || a.at - b.at;
const inOrder = (placed: Placed[]) => placed.sort(compare);

function parseCursor(cursor: string): Place {
  const [agrees, at] = cursor.split(".");
  return { agrees: agrees === "yes", at: Number(at) };
}

function rowOf(fold: FoldState, stated: Recomputation): Recomputations["recomputations"][number] {
  const { index, auditor, size, rules, result, agrees, snapshot } = stated;
  const timeSeconds = timeOf(fold, index);
  return {
    index,
    auditor: hexOf(auditor),
    name: fold.keys.get(auditor)?.name ?? hexOf(auditor),
    time: timeSeconds === undefined ? null : new Date(timeSeconds * 1000).toISOString(),
    ...{ size, rules_digest: hexOf(rules), result_digest: hexOf(result), agrees },
    disagrees_with: [...fold.snapshots.values()].find(({ id }) => id === snapshot)?.day ?? null,
  };
}
