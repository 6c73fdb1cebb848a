/** Signatures checked on every core: an audit is mostly that. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { SignatureJob } from "@tallystick/protocol";
import { pack } from "./packed-jobs.ts";

export type SignaturePool = { verifyAll(jobs: readonly SignatureJob[]): Promise<boolean[]>; close(): Promise<void> };

// Workers run compiled, from source and from dist alike.
const WORKER = new URL("../../dist/cli/signature-worker.js", import.meta.url);

/** Workers start when there is work for one more of them: a short log needs one. */
export function openSignaturePool(workerCount: number = availableParallelism()): SignaturePool {
  const seats: Seat[] = [];
  let next = 0;
  return {
    verifyAll(jobs) {
      if (jobs.length === 0) return Promise.resolve([]);
      const place = next++ % workerCount;
      seats[place] ??= openSeat();
      return seats[place].ask(pack(jobs));
    },
    close: async () => void (await Promise.all(seats.map(({ worker }) => worker.terminate()))),
  };
}

type Seat = { worker: Worker; ask(packed: ArrayBuffer): Promise<boolean[]> };

/** A worker that answers in the order it is asked. */
function openSeat(): Seat {
  const worker = new Worker(WORKER, { execArgv: [] });
  const waiting: { resolve(verdicts: boolean[]): void; reject(error: Error): void }[] = [];
  worker.on("message", (verdicts: Uint8Array) =>
    waiting.shift()?.resolve(Array.from(verdicts, (holds) => holds === 1)),
  );
  worker.on("error", (error) => {
    for (const { reject } of waiting.splice(0)) reject(error);
  });
  worker.unref();
  return {
    worker,
    ask(packed) {
      worker.ref();
      return new Promise<boolean[]>((resolve, reject) => {
        waiting.push({ resolve, reject });
        worker.postMessage(packed, [packed]);
      }).finally(() => waiting.length === 0 && worker.unref());
    },
  };
}
