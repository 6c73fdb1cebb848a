/** The name that somebody meant: the known ones that take the fewest changes of a letter to become what was written. */

/** Names this far from what was written, by its length, were not meant. */
const CHANGES_MOST = 3;
/** What is longer was not a slip of the pen, and would take its time. */
const LENGTH_MOST = 64;

/** A question that names the nearest of `names`, or nothing where none is near: `; did you mean by?` */
export function didYouMean(written: string, names: readonly string[]): string {
  const meant = nearest(written, names);
  return meant === undefined ? "" : `; did you mean ${meant}?`;
}

export function nearest(written: string, names: readonly string[]): string | undefined {
  if (written === "" || written.length > LENGTH_MOST) return undefined;
  const word = written.toLowerCase();
  const most = Math.min(CHANGES_MOST, Math.ceil(word.length / 3));
  const near = names
    .map((name) => ({ name, changes: changesOf(word, name.toLowerCase()) }))
    .filter(({ changes }) => changes <= most)
    .sort((a, b) => a.changes - b.changes);
  return near[0]?.name ?? names.find((name) => word.length > 3 && name.includes(word));
}

/** How many letters are put in, left out or exchanged between the two (Levenshtein's distance). */
function changesOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const exchanged = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(exchanged, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
