/** Work that is done a few steps ahead, and taken in its order. */

/** What `work` gives for `start` to `end` - 1, in order, with at most `atOnce` of them under way. */
export async function* inOrder<T>(
  start: number,
  end: number,
  atOnce: number,
  work: (index: number) => Promise<T>,
): AsyncGenerator<T> {
  const underWay: Promise<T>[] = [];
  for (let next = start; next < end || underWay.length > 0; ) {
    while (next < end && underWay.length < atOnce) {
      const result = work(next++);
      result.catch(() => {}); // It is thrown where it is taken; until then nobody waits for it.
      underWay.push(result);
    }
    const first = underWay.shift();
    if (first !== undefined) yield await first;
  }
}
