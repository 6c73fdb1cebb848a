/**
 * The digest of every model's answer to its example: where a runtime or an adapter moves one bit, it shows.
 *
 *   npx tsx --conditions=@tallystick/source models/golden.ts
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Tensor } from "@tallystick/protocol";
import type { GenerationRequest, TokenLogprob } from "../packages/server/src/execution/generation.ts";
import { modelFolders, openModel, readExample, readPrompt, textFolders } from "./load.ts";
import { isScript } from "./script.ts";

export const GOLDEN_PATH = join(import.meta.dirname, "golden.json");

/** SHA-256 over the name, datatype, shape and data of each output, in the order of their names. */
export function digestOutputs(outputs: Tensor[]): string {
  const hash = createHash("sha256");
  for (const { name, datatype, shape, data } of outputs.toSorted((a, b) => (a.name < b.name ? -1 : 1)))
    hash.update(`${name} ${datatype} [${shape}] ${data.length}\n`).update(data);
  return hash.digest("hex");
}

/** The example of a model that writes, the likeliest token each time, with what each token's probability was. */
export function greedyPrompt(folder: string): GenerationRequest {
  return { ...readPrompt(folder), temperature: 0, topLogprobs: 0 };
}

/** SHA-256 over the bytes of each token and all bits of its probability. */
export function digestTokens(tokens: TokenLogprob[]): string {
  const lines = tokens.map(({ bytes, logprob }) => `${bytes} ${logprob}\n`);
  return createHash("sha256").update(lines.join("")).digest("hex");
}

async function digestAnswer(folder: string): Promise<string> {
  const model = await openModel(folder);
  if (textFolders().includes(folder)) return digestTokens((await model.write(greedyPrompt(folder))).tokens);
  return digestOutputs([...(await model.answer(readExample(folder))).values()]);
}

if (isScript(import.meta)) {
  const digests: Record<string, string> = {};
  for (const folder of modelFolders()) digests[folder] = await digestAnswer(folder);
  writeFileSync(GOLDEN_PATH, `${JSON.stringify(digests, null, 2)}\n`);
}
