import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { readJudge, readNative } from "./profile.ts";

test("the judge's profile has the digest of the very WebAssembly that runs", async () => {
  const { profile, module } = await readJudge();
  const path = createRequire(import.meta.url).resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm");
  const binary = new Uint8Array(createHash("sha256").update(readFileSync(path)).digest());
  const runtime = `onnxruntime-web@1.30.0/opt-all/threads-1/unicode-${process.versions.unicode}`;
  expect(profile).toEqual({ runtime, binary, exactness: "exact" });
  expect(module).toBeInstanceOf(WebAssembly.Module);
});

test("the native engine's profile is tolerant and has its library's digest", async () => {
  const profile = await readNative();
  expect(profile).toMatchObject({
    runtime: expect.stringMatching(/^onnxruntime-node@1\.30\.0\/opt-all\/threads-1\/unicode-/),
    exactness: "tolerant",
  });
  expect(profile.binary).toHaveLength(32);
});

test("where the native engine is not installed, the error says how to install it", async () => {
  const { resolve } = createRequire(new URL("file:///nowhere/module.js"));
  await expect(readNative(resolve)).rejects.toThrow("npm install onnxruntime-node@1.30.0 --ignore-scripts");
});
