/** Appraises one archived piece of evidence, as the first thing that its isolate does after loading the protocol, and again. */
import { parentPort, workerData } from "node:worker_threads";
import { appraise } from "@tallystick/protocol";

const { archived, nowSeconds, failure } = workerData;
const times = [];
for (let i = 0; i < 2; i++) {
  const started = performance.now();
  const { checks } = await appraise(archived, { nowSeconds, expected: {} });
  times.push(performance.now() - started);
  const failed = checks.filter(({ state }) => state === "failed");
  if (failed.some((check) => check.failure !== failure)) throw new Error(JSON.stringify(failed));
}
parentPort?.postMessage(times);
