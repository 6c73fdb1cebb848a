import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { convertModels } from "./convert.ts";

test("converting gives the pinned bytes, does nothing a second time, and mends a file that is damaged", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tallystick-convert-"));
  try {
    const made = await convertModels(folder);
    expect(made.map(({ name }) => name)).toEqual(["use-lite.onnx", "prompt-injection.onnx"]);
    const before = statSync(join(folder, "use-lite.onnx")).mtimeMs;
    expect(await convertModels(folder)).toEqual([]);
    expect(statSync(join(folder, "use-lite.onnx")).mtimeMs).toBe(before);
    writeFileSync(join(folder, "prompt-injection.onnx"), "half");
    expect((await convertModels(folder)).map(({ name }) => name)).toEqual(["prompt-injection.onnx"]);
    expect(readdirSync(folder).sort()).toEqual(["prompt-injection.onnx", "use-lite.onnx"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
