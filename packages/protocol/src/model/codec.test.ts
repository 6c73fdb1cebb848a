import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MANIFEST } from "../../../../test/one-receipt.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { vectorsOf } from "../../../../test/vectors-dir.ts";
import { hex, parseHex } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { MANIFEST_SIZE_BYTES } from "../limits.ts";
import { encodeManifest, filesRoot, parseManifest, revisionOf } from "./codec.ts";
import type { Artifact } from "./manifest.ts";

type ManifestVector = Vector & { hex: string; name: string; revision: string; filesRoot: string };
const vectors = readVectors<ManifestVector>("model/manifests.json");
const bytesOf = (text: string) => parseHex(text) ?? new Uint8Array(0);

test.each(vectors)("a manifest of $desc", (vector) => {
  const bytes = bytesOf(vector.hex);
  if (vector.wantErr) {
    expect(() => parseManifest(bytes)).toThrow(Malformed);
    return;
  }
  const manifest = parseManifest(bytes);
  expect(manifest.name).toBe(vector.name);
  expect(hex(filesRoot(manifest.artifacts))).toBe(vector.filesRoot);
  expect(hex(revisionOf(bytes))).toBe(vector.revision);
  expect(hex(encodeManifest(manifest))).toBe(vector.hex);
});

test("a manifest that ends early or goes on is malformed", () => {
  const bytes = encodeManifest(MANIFEST);
  for (let length = 0; length < bytes.length; length++)
    expect(() => parseManifest(bytes.subarray(0, length))).toThrow(Malformed);
  expect(() => parseManifest(new Uint8Array([...bytes, 0]))).toThrow(Malformed);
});

test("a manifest of more than 32 KiB is refused before it is read", () => {
  expect(() => parseManifest(new Uint8Array(MANIFEST_SIZE_BYTES + 1))).toThrow("at most 32768");
});

test("a manifest whose order or bound is broken is not written as if it were good", () => {
  const [first, second] = MANIFEST.artifacts;
  if (first === undefined || second === undefined) return expect.fail("the manifest has two files");
  expect(() => parseManifest(encodeManifest({ ...MANIFEST, artifacts: [second, first] }))).toThrow("order of path");
  expect(() => parseManifest(encodeManifest({ ...MANIFEST, filesRoot: new Uint8Array(32) }))).toThrow("files root");
  expect(() => encodeManifest({ ...MANIFEST, name: "../etc" })).toThrow(Malformed);
});

const folder = vectorsOf("model-signing");

test.skipIf(folder === undefined)(
  `the files root is the subject digest of OpenSSF Model Signing v1.0${folder ? "" : " (skipped: no vectors)"}`,
  () => {
    const path = join(folder ?? "", "test-vectors/v1.0/valid/key.bundle.json");
    const { dsseEnvelope } = JSON.parse(readFileSync(path, "utf8"));
    const { subject, predicate } = JSON.parse(Buffer.from(dsseEnvelope.payload, "base64").toString("utf8"));
    expect(predicate.serialization.method).toBe("files");
    const artifacts = predicate.resources.map(
      (resource: { name: string; digest: string }): Artifact => ({
        path: resource.name,
        role: "file",
        sizeBytes: 0,
        digest: bytesOf(resource.digest),
      }),
    );
    expect(hex(filesRoot(artifacts))).toBe(subject[0].digest.sha256);
    expect(hex(filesRoot([...artifacts].reverse()))).toBe(subject[0].digest.sha256);
  },
);
