/** The engine of a node: the execution pool, filled as calls ask for revisions. */
import { keyOf, type Manifest, type PublishedModel } from "@tallystick/protocol";
import { openExecution } from "./execution/pool.ts";
import type { Engine } from "./node/service.ts";
import type { Report } from "./platform/http.ts";

/** Runs models in workers; each revision is opened on its first call. */
export async function openEngine(
  workerCount: number,
  report: Report,
): Promise<{ engine: Engine; close: () => Promise<void> }> {
  const pool = await openExecution({ judgeWorkerCount: workerCount, log: report });
  const ready = new Map<string, Promise<void>>();

  function prepare(
    { revision, manifest }: PublishedModel,
    files: (manifest: Manifest) => Promise<Map<string, Uint8Array>>,
  ) {
    const name = keyOf(revision);
    const known = ready.get(name);
    if (known !== undefined) return known;
    const opening = files(manifest).then((bytes) => pool.load({ digest: revision, manifest, files: bytes }));
    ready.set(name, opening);
    opening.catch(() => ready.delete(name));
    return opening;
  }

  const run: Engine["run"] = (revision, inputs, deadlineMs) => pool.run(revision, inputs, { deadlineMs });
  const profile: Engine["profile"] = (revision) => pool.profile(revision);
  return { engine: { prepare, run, profile }, close: () => pool[Symbol.asyncDispose]() };
}
