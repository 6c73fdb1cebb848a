/** The entry of a native child: a process, since nothing less ends a native graph that does not end by itself. */
import { openNative } from "./engine.ts";
import type { ChildData } from "./messages.ts";
import { type Adapters, createOpener, createRunner } from "./runner.ts";
import { serve } from "./serve.ts";

const { adapters, memoryBytes }: ChildData = JSON.parse(process.argv[2] ?? "");

async function openRunner() {
  const engine = await openNative();
  const { ADAPTERS }: { ADAPTERS: Adapters } = await import(adapters);
  return createRunner(createOpener(engine, ADAPTERS));
}

serve(openRunner(), memoryBytes);
