/** What holds for every model here. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  bytesElements,
  CATEGORIES,
  equal,
  inputsFault,
  type Tensor,
  type TensorSpec,
  tensorFault,
} from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import type { Outcome } from "../packages/server/src/execution/adapter.ts";
import { digestOutputs, digestTokens, GOLDEN_PATH, greedyPrompt } from "./golden.ts";
import { modelFolders, openModel, readExample, readModelFile, readPrompt, tensorFolders, textFolders } from "./load.ts";
import { MEASURES, measureModel } from "./measure.ts";

const folders = modelFolders();
const [ofTensors, ofText] = [tensorFolders(), textFolders()];
const answered = new Map<string, Promise<Outcome[]>>();

/** The outcome of the model's example, sent alone; asked for once. */
async function answerExample(folder: string): Promise<Outcome | undefined> {
  const answering = answered.get(folder) ?? openModel(folder).then(({ run }) => run([readExample(folder)]));
  answered.set(folder, answering);
  const [outcome] = await answering;
  return outcome;
}

function outputsOf(outcome: Outcome | undefined): Tensor[] {
  if (!outcome?.ok) throw new Error(`refused: ${outcome?.message}`);
  return outcome.outputs;
}

test("there are ten models in all five categories", async () => {
  const models = await Promise.all(folders.map(openModel));
  expect(new Set(models.map(({ manifest }) => manifest.category))).toEqual(new Set(CATEGORIES));
  expect(new Set(models.map(({ manifest }) => manifest.name)).size).toBe(10);
  expect(Object.keys(MEASURES)).toEqual(folders);
});

test("every answer to an example is the one that is pinned, bit for bit", async () => {
  const pinned = JSON.parse(readFileSync(GOLDEN_PATH, "utf8"));
  const found: Record<string, string> = {};
  for (const folder of ofTensors) found[folder] = digestOutputs(outputsOf(await answerExample(folder)));
  for (const folder of ofText)
    found[folder] = digestTokens((await (await openModel(folder)).write(greedyPrompt(folder))).tokens);
  expect(found).toEqual(pinned);
});

describe.each(folders)("%s", (folder) => {
  test("pins the digest of all that computes", () => {
    const { artifacts } = JSON.parse(readFileSync(join(import.meta.dirname, folder, "model.json"), "utf8"));
    for (const { role, sha256 } of artifacts)
      if (role === "model" || role === "file") expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test("states the quality that is measured", async () => {
    const { manifest } = await openModel(folder);
    expect(await measureModel(folder)).toEqual(manifest.quality);
    expect(manifest.quality.length).toBeGreaterThan(0);
  });

  test("has a card under its own name that says where it comes from and what it is not good for", async () => {
    const { manifest, files } = await openModel(folder);
    const card = new TextDecoder().decode(files.get("card.md"));
    expect(card.startsWith(`# ${manifest.name}\n`)).toBe(true);
    for (const part of ["Where it comes from", "How good it is", "What it is not good for", manifest.licence])
      expect(card).toContain(part);
  });
});

describe.each(ofTensors)("%s", (folder) => {
  test("has an example of its first form, small enough to read, and the file that is inside it", async () => {
    const { manifest } = await openModel(folder);
    const [first = []] = manifest.forms;
    const example = readExample(folder);
    expect(inputsFault({ ...manifest, forms: [first] }, example)).toBeUndefined();
    expect(statSync(join(import.meta.dirname, folder, "example.json")).size).toBeLessThan(150_000);
    const { content } = first[0] ?? {};
    if (content !== "image" && content !== "wav") return;
    const natural = readModelFile(folder, content === "image" ? "example.png" : "example.wav");
    expect(example.flatMap(bytesElements).map((element) => equal(element, natural))).toEqual([true]);
  });

  test("answers its example with the outputs that its manifest names", async () => {
    const { manifest } = await openModel(folder);
    const outputs = outputsOf(await answerExample(folder));
    expect(outputs.map(tensorFault)).toEqual(outputs.map(() => undefined));
    expect(outputs.map(({ name }) => name)).toEqual(manifest.outputs.map(({ name }) => name));
    for (const [i, spec] of manifest.outputs.entries()) expect(isOf(spec, outputs[i])).toBe(true);
  });

  test("answers a call among others as it answers it alone, bit for bit", async () => {
    const { run } = await openModel(folder);
    const example = readExample(folder);
    const others = variations(example);
    const [first, ...rest] = await run([example, ...others, example]);
    expect(first).toEqual(await answerExample(folder));
    expect(rest.pop()).toEqual(first);
    for (const [i, call] of others.entries()) expect(await run([call])).toEqual([rest[i]]);
  });
});

describe.each(ofText)("%s", (folder) => {
  test("writes its example within the tokens it may take, and the same again", async () => {
    const { write } = await openModel(folder);
    const first = await write(readPrompt(folder));
    expect(first.outcome).toMatchObject({ kind: "answered" });
    expect(first.text.length).toBeGreaterThan(50);
    expect(await write(readPrompt(folder))).toEqual(first);
  });
});

function isOf({ datatype, shape }: TensorSpec, tensor: Tensor | undefined): boolean {
  return (
    tensor?.datatype === datatype &&
    tensor.shape.length === shape.length &&
    shape.every((size, axis) => size === -1 || size === tensor.shape[axis])
  );
}

/** Where the example has rows: a call that is refused, and the first row alone. */
function variations(example: Tensor[]): Tensor[][] {
  if (example.every(({ shape }) => shape[0] === 1)) return [];
  const bad = example.map((tensor) => ({ ...tensor, data: tensor.data.map(() => 0xff) }));
  const first = example.map((tensor) => {
    const [element] = tensor.datatype === "BYTES" ? bytesElements(tensor) : [];
    const size = element ? 4 + element.length : tensor.data.length / (tensor.shape[0] ?? 1);
    return { ...tensor, shape: [1, ...tensor.shape.slice(1)], data: tensor.data.slice(0, size) };
  });
  return example[0]?.datatype === "FP32" ? [bad, first] : [first];
}
