/** A worker that checks batches of signatures. */
import { parentPort } from "node:worker_threads";
import { verifyEs256 } from "@tallystick/protocol";
import { unpack } from "./packed-jobs.ts";

async function answer(packed: ArrayBuffer): Promise<void> {
  const verdicts = unpack(packed).map(({ spki, message, signature }) => verifyEs256(spki, message, signature));
  parentPort?.postMessage(Uint8Array.from(await Promise.all(verdicts), Number));
}

// One after another, so that answers keep the order of what was asked.
let last = Promise.resolve();
parentPort?.on("message", (packed: ArrayBuffer) => {
  last = last.then(() => answer(packed));
});
