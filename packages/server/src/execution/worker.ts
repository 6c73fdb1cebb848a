/** The entry of a judge: a thread, since that is enough to end a WebAssembly graph that does not end by itself. */
import { parentPort, workerData } from "node:worker_threads";
import { openJudge } from "./engine.ts";
import type { Request, ThreadData } from "./messages.ts";
import { type Adapters, createOpener, createRunner } from "./runner.ts";

const { adapters, module, memoryBytes }: ThreadData = workerData;

async function openRunner() {
  const engine = await openJudge(module, memoryBytes);
  const { ADAPTERS }: { ADAPTERS: Adapters } = await import(adapters);
  return createRunner(createOpener(engine, ADAPTERS));
}
const opening = openRunner();

parentPort?.on("message", async (request: Request) => {
  const reply = await (await opening)(request);
  parentPort?.postMessage(reply, reply.kind === "answers" ? [reply.outputs.data.buffer] : []);
});
