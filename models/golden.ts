/**
 * The digest of every model's answer to its example: where a runtime or an adapter moves one bit, it shows.
 *
 *   npx tsx --conditions=@tallystick/source models/golden.ts
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Tensor } from "@tallystick/protocol";
import { modelFolders, openModel, readExample } from "./load.ts";
import { isScript } from "./script.ts";

export const GOLDEN_PATH = join(import.meta.dirname, "golden.json");

/** SHA-256 over the name, datatype, shape and data of each output, in the order of their names. */
export function digestOutputs(outputs: Tensor[]): string {
  const hash = createHash("sha256");
  for (const { name, datatype, shape, data } of outputs.toSorted((a, b) => (a.name < b.name ? -1 : 1)))
    hash.update(`${name} ${datatype} [${shape}] ${data.length}\n`).update(data);
  return hash.digest("hex");
}

if (isScript(import.meta)) {
  const digests: Record<string, string> = {};
  for (const folder of modelFolders()) {
    const outputs = await (await openModel(folder)).answer(readExample(folder));
    digests[folder] = digestOutputs([...outputs.values()]);
  }
  writeFileSync(GOLDEN_PATH, `${JSON.stringify(digests, null, 2)}\n`);
}
