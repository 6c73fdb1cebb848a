/**
 * Measures the quality of the models here and holds it to what their model.json states.
 *
 *   npx tsx --conditions=@tallystick/source models/measure.ts [folder]
 */
import type { Quality } from "@tallystick/protocol";
import { isScript } from "./script.ts";

/** How each model is measured, by its folder. */
export const MEASURES: Record<string, () => Promise<{ measure(): Promise<Quality[]> }>> = {
  "breast-cancer": () => import("./breast-cancer/measure.ts"),
  "credit-default": () => import("./credit-default/measure.ts"),
  "paddle-ocr": () => import("./paddle-ocr/measure.ts"),
  "paddle-text-detector": () => import("./paddle-text-detector/measure.ts"),
  "paddle-text-recognizer": () => import("./paddle-text-recognizer/measure.ts"),
  "prompt-injection": () => import("./prompt-injection/measure.ts"),
  "seattle-temperature": () => import("./seattle-temperature/measure.ts"),
  "silero-vad": () => import("./silero-vad/measure.ts"),
  "state-of-the-union": () => import("./state-of-the-union/measure.ts"),
  "use-lite": () => import("./use-lite/measure.ts"),
};

/** The quality of the model in `folder`, measured. */
export async function measureModel(folder: string): Promise<Quality[]> {
  const load = MEASURES[folder];
  if (load === undefined) throw new Error(`no model ${folder}: name one of ${Object.keys(MEASURES).join(", ")}`);
  const { measure } = await load();
  return measure();
}

async function main(folders: string[]): Promise<void> {
  for (const folder of folders.length > 0 ? folders : Object.keys(MEASURES))
    for (const { metric, value, on } of await measureModel(folder))
      console.log(`${folder}: ${metric} ${value} on ${on}`);
}

if (isScript(import.meta)) await main(process.argv.slice(2));
