/** What is opened together is closed together, the newest first. */

export type Closer = () => Promise<void> | void;

/** What `open` makes. Where it throws, what it opened so far is closed. */
export async function openAll<T>(open: (closers: Closer[]) => Promise<T>): Promise<T> {
  const closers: Closer[] = [];
  try {
    return await open(closers);
  } catch (error) {
    await closeAll(closers).catch(() => {}); // What went wrong first is what the operator is told.
    throw error;
  }
}

/** Runs what is to be closed, the newest first, each whatever became of the others. Throws the first failure. */
export async function closeAll(closers: Closer[]): Promise<void> {
  const failures: unknown[] = [];
  for (const closer of closers.splice(0).reverse())
    await Promise.resolve()
      .then(closer)
      .catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
