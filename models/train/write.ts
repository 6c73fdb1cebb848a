/** Writes a trained model beside its script and says what its model.json has to pin. */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

export function writeModel(script: string, model: Uint8Array): void {
  const digest = createHash("sha256").update(model).digest("hex");
  const source = readFileSync(new URL("model.json", script), "utf8");
  writeFileSync(new URL("model.onnx", script), model);
  console.log(`model.onnx: ${model.length} bytes, sha256 ${digest}`);
  console.log(
    source.includes(digest) ? "model.json pins it" : "model.json pins another: change it there, and its quality",
  );
}
