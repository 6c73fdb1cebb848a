/**
 * Measures how far a model's own engine is from the one that verifies it, and writes the tolerance into its model.json.
 *
 *   npx tsx --conditions=@tallystick/source models/tolerance.ts FOLDER
 *
 * FOLDER is the path of a model of the engine `native` or `llama`. Its golden inputs are its example and, where that is
 * numbers, others near to it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { floats, floatTensor, type Manifest, type Tensor } from "@tallystick/protocol";
import {
  type Golden,
  type Measured,
  type MeasureOptions,
  measureTolerance,
} from "../packages/server/src/execution/tolerance.ts";
import { readUnmeasuredSource } from "../packages/server/src/hub/source.ts";
import { parseExample, parsePrompt } from "./load.ts";
import { isScript } from "./script.ts";

const SEEDS = 8;
const VARIANTS = 32;

/** Golden inputs of a model, from its example. */
function goldenOf({ forms }: Manifest, example: Uint8Array): Golden {
  if (forms.length > 0) return { calls: variants(parseExample(example), VARIANTS) };
  const prompt = parsePrompt(example);
  const drawn = Array.from({ length: SEEDS }, (_, seed) => ({ ...prompt, temperature: 1, seed }));
  return { prompts: [{ ...prompt, temperature: 0 }, ...drawn] };
}

/** A call, and the same call with its numbers larger and smaller; alone, where it has none. */
export function variants(call: Tensor[], count: number): Tensor[][] {
  if (!call.some(({ datatype }) => datatype === "FP32")) return [call];
  return Array.from({ length: count }, (_, seed) =>
    call.map((input) => (input.datatype === "FP32" && seed > 0 ? varied(input, seed) : input)),
  );
}

function varied(input: Tensor, seed: number): Tensor {
  const values = floats(input).map((value, i) => value * (1 + 0.1 * Math.sin(seed * 31 + i)));
  return floatTensor(input.name, input.shape, values);
}

/** The tolerance is in the folder's model.json afterwards. */
export async function writeTolerance(path: string, options: MeasureOptions = {}): Promise<Measured> {
  const { manifest, files } = await readUnmeasuredSource(path);
  if (manifest.engine === "judge")
    throw new Error(`${manifest.name} runs on the judge, where answers are compared bit by bit: it needs no tolerance`);
  const example = files.get("example.json");
  if (example === undefined) throw new Error(`${manifest.name} has no example.json to be measured on`);
  const measured = await measureTolerance({ manifest, files }, goldenOf(manifest, example), options);
  const file = join(path, "model.json");
  const source: object = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, `${JSON.stringify({ ...source, tolerance: measured.tolerance }, null, 2)}\n`);
  return measured;
}

if (isScript(import.meta)) {
  const [, , path] = process.argv;
  if (path === undefined) throw new Error("name the folder of a model");
  const llama = process.env.NODE_LLAMA_CPP;
  const options = llama === undefined ? {} : { findLlama: createRequire(join(llama, "index.js")).resolve };
  const { tolerance, pairCount, differing } = await writeTolerance(path, options);
  console.log(
    `${path}: ${differing} of ${pairCount} numbers differ; absolute ${tolerance.absolute}, relative ${tolerance.relative}`,
  );
}
