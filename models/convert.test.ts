import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { convertModels } from "./convert.ts";

test("converting gives the pinned bytes, does nothing a second time, and mends a file that is damaged", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tallystick-convert-"));
  try {
    const made = await convertModels(folder);
    const names = ["use-lite.onnx", "prompt-injection.onnx", "state-of-the-union.onnx", "state-of-the-union.gguf"];
    expect(made.map(({ name }) => name)).toEqual(names);
    const before = statSync(join(folder, "use-lite.onnx")).mtimeMs;
    expect(await convertModels(folder)).toEqual([]);
    expect(statSync(join(folder, "use-lite.onnx")).mtimeMs).toBe(before);
    writeFileSync(join(folder, "prompt-injection.onnx"), "half");
    expect((await convertModels(folder)).map(({ name }) => name)).toEqual(["prompt-injection.onnx"]);
    expect(readdirSync(folder).sort()).toEqual(names.toSorted());
  } finally {
    rmSync(folder, { recursive: true });
  }
});
