import { expect, test } from "vitest";
import { endlessGraph, logisticGraph, modelFile, revisionOf } from "../../../../test/graphs.ts";
import { checkRevision } from "./revision.ts";

const ADAPTER = { name: "tensors", version: 1, options: "{}" };
const good = revisionOf(modelFile(logisticGraph()), ADAPTER);
const file = good.files.get("model.onnx") ?? new Uint8Array();

test("a file with one bit changed, wherever it is, is not loaded", () => {
  for (let i = 0; i < file.length; i++) {
    const changed = Uint8Array.from(file, (byte, at) => (at === i ? byte ^ 1 : byte));
    const check = () => checkRevision({ ...good, files: new Map([["model.onnx", changed]]) });
    expect(check).toThrow(
      /"model.onnx" of test\/model 1 has the SHA-256 [0-9a-f]{64}, not [0-9a-f]{64}: fetch it again/,
    );
  }
});

test("a file of another size is not loaded", () => {
  const files = new Map([["model.onnx", file.subarray(1)]]);
  expect(() => checkRevision({ ...good, files })).toThrow(`is ${file.length - 1} bytes, not ${file.length}`);
});

test("a missing file is named", () => {
  expect(() => checkRevision({ ...good, files: new Map() })).toThrow('"model.onnx" of test/model 1 is missing');
});

test("what people read may be missing, since nothing computes on it", () => {
  const card = { path: "card.md", role: "card" as const, sizeBytes: 5, digest: new Uint8Array(32) };
  const manifest = { ...good.manifest, artifacts: [card, ...good.manifest.artifacts] };
  expect([...checkRevision({ ...good, manifest }).files.keys()]).toEqual(["model.onnx"]);
});

test("a graph that the gate stops is not loaded, though its digest is right", () => {
  const endless = revisionOf(modelFile(endlessGraph()), ADAPTER);
  expect(() => checkRevision(endless)).toThrow('"model.onnx" of test/model 1 uses the operator Loop');
});

test("what was checked is a copy, which its giver cannot change any more", () => {
  const given = Uint8Array.from(file);
  const { files } = checkRevision({ ...good, files: new Map([["model.onnx", given]]) });
  given.fill(0);
  expect(files.get("model.onnx")).toEqual(file);
});
