import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { writeTolerance } from "../../../../models/tolerance.ts";
import { exampleCall, openTestNode, readSource } from "../../../../test/claims.ts";
import { readModelSource } from "../hub/source.ts";
import { openReexecution } from "./reexecute.ts";
import { logitToleranceOf, toleranceOf } from "./tolerance.ts";

const MODELS = join(import.meta.dirname, "../../../../models");
const folder = await mkdtemp(join(tmpdir(), "tallystick-test-"));
afterAll(() => rm(folder, { recursive: true }));

describe("a tolerance", () => {
  const pair = (verifying: number, error: number) => ({ own: verifying + error, verifying });

  test("is ten times the worst error, relative to the value but where that is small", () => {
    expect(toleranceOf([pair(100, 0.01), pair(-50, 0.02), pair(0.01, 0.005)])).toEqual({
      absolute: "0.05",
      relative: "0.004",
    });
  });

  test("is never so small that another processor is taken for a liar", () => {
    expect(toleranceOf([pair(200, 0)])).toEqual({ absolute: "0.002", relative: "0.00001" });
    expect(logitToleranceOf([pair(-1, 0)])).toEqual({ absolute: "0.0001", relative: "0" });
  });

  test("is rounded up, and leaves out what is no number", () => {
    expect(toleranceOf([pair(1, 0.000321), pair(Number.NaN, 0)])).toEqual({ absolute: "0.00001", relative: "0.0033" });
    expect(logitToleranceOf([pair(-2, 0.00123), pair(-9, -0.0001)])).toEqual({ absolute: "0.013", relative: "0" });
    expect(() => toleranceOf([pair(Number.NaN, 0)])).toThrow("no number");
  });
});

/** A copy of a model as a native one, without a tolerance. */
async function nativeCopy(name: string): Promise<string> {
  const path = join(folder, name);
  await cp(join(MODELS, name), path, { recursive: true });
  const source = JSON.parse(await readFile(join(path, "model.json"), "utf8"));
  for (const artifact of source.artifacts)
    artifact.from = artifact.from.replace("build:", `file:${join("../".repeat(20), MODELS, ".build")}/`);
  await writeFile(join(path, "model.json"), JSON.stringify({ ...source, engine: "native" }));
  return path;
}

test.each(["breast-cancer", "seattle-temperature", "state-of-the-union"])(
  "a native %s is refused until it is measured, and then an honest answer passes",
  async (name) => {
    const path = await nativeCopy(name);
    await expect(readModelSource(path)).rejects.toThrow("states no tolerance: measure it with models/tolerance.ts");
    const measured = await writeTolerance(path);
    console.log(name, measured);
    const { manifest, files } = await readModelSource(path);
    expect(manifest.tolerance).toEqual(measured.tolerance);
    await using node = await openTestNode();
    await using judge = await openReexecution({ log: () => {} });
    const claim = await node.answer({ manifest, files }, exampleCall(name, { manifest, files }));
    expect(await judge.reexecute(claim)).toMatchObject({ outcome: "passed" });
  },
);

test("a model that runs on the judge has no tolerance to measure, and is told so", async () => {
  const { manifest } = await readSource("breast-cancer");
  expect(manifest.tolerance).toBeUndefined();
  await expect(writeTolerance(join(MODELS, "breast-cancer"))).rejects.toThrow("compared bit by bit");
});
