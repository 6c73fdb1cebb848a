/** The entry of a child that runs llama.cpp: a process of its own, as a native child is. */
import { openLlama } from "./llama.ts";
import type { LlamaData } from "./messages.ts";
import { createRunner } from "./runner.ts";
import { serve } from "./serve.ts";

const { module, memoryBytes, generations }: LlamaData = JSON.parse(process.argv[2] ?? "");

async function openRunner() {
  return createRunner(await openLlama(module, generations));
}

serve(openRunner(), memoryBytes);
