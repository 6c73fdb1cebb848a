/** A manifest's deterministic CBOR, whose SHA-256 is the revision (docs/spec/entry.md, `model`). */
import { sha256 } from "#platform";
import { concat, equal } from "../bytes.ts";
import { OPERATIONS } from "../call/operation.ts";
import { DATATYPES } from "../call/tensor.ts";
import { Malformed } from "../cbor/bytes.ts";
import {
  type Codec,
  decode,
  dimension,
  encode,
  exactly,
  fixedBytes,
  list,
  optional,
  required,
  struct,
  text,
  uint,
  word,
} from "../cbor/codec.ts";
import { NAME } from "../entry/payload.ts";
import { MANIFEST_SIZE_BYTES, NAME_LENGTH, TENSOR_RANK, TENSORS_PER_CALL } from "../limits.ts";
import type { Artifact, Manifest } from "./manifest.ts";

const { infer: _, ...JSON_OPERATIONS } = OPERATIONS;

/** Datatypes by their place in the Open Inference Protocol's table. */
export const datatypeCode = word(
  Object.fromEntries(Object.keys(DATATYPES).map((name, i) => [name, i + 1])) as Record<keyof typeof DATATYPES, number>,
);

const PATH = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const slug = text(64, /^[a-z0-9][a-z0-9-]*$/);

/** A bound in decimal: `0`, `0.00001`, `1e-5`. */
const decimal = text(16, /^(0|[1-9][0-9]*)(\.[0-9]+)?(e-[1-9][0-9]?)?$/);

const artifact = struct({
  path: required(1, text(NAME_LENGTH, PATH)),
  role: required(2, word({ model: 1, file: 2, card: 3, example: 4 })),
  sizeBytes: required(3, uint()),
  digest: required(4, fixedBytes(32)),
});

const tensorSpec = struct({
  name: required(1, text(NAME_LENGTH)),
  datatype: required(2, datatypeCode),
  shape: required(3, list(dimension, TENSOR_RANK)),
  content: optional(4, word({ text: 1, image: 2, wav: 3 })),
  columns: optional(5, list(text(NAME_LENGTH), 256)),
});

const manifest: Codec<Manifest & { format: 1 }> = struct({
  format: required(0, exactly(1)),
  name: required(1, text(NAME_LENGTH, NAME)),
  version: required(2, text(64, /^[0-9A-Za-z.+-]+$/)),
  category: required(3, word({ vision: 1, audio: 2, text: 3, risk: 4, forecasting: 5 })),
  task: required(4, slug),
  licence: required(5, text(64)),
  summary: required(6, text(300)),
  artifacts: required(7, list(artifact, 64)),
  filesRoot: required(8, fixedBytes(32)),
  adapter: required(
    9,
    struct({ name: required(1, slug), version: required(2, uint(255)), options: required(3, text(4096)) }),
  ),
  engine: required(10, word({ judge: 1, native: 2, relay: 3, llama: 4 })),
  forms: required(11, list(list(tensorSpec, TENSORS_PER_CALL), 4)),
  outputs: required(12, list(tensorSpec, TENSORS_PER_CALL)),
  unit: required(13, slug),
  quality: required(
    14,
    list(struct({ metric: required(1, text(64)), value: required(2, text(64)), on: required(3, text(200)) }), 16),
  ),
  operations: optional(15, list(word(JSON_OPERATIONS), 4)),
  contextLength: optional(16, uint()),
  upstream: optional(17, slug),
  tolerance: optional(18, struct({ absolute: required(1, decimal), relative: required(2, decimal) })),
  circuit: optional(
    19,
    struct({
      program: required(1, fixedBytes(32)),
      verificationKey: required(2, fixedBytes(32)),
      weights: required(3, fixedBytes(32)),
      agreeing: required(4, uint()),
      measured: required(5, uint()),
    }),
  ),
});

/** SHA-256 over the digests of `artifacts` in order of path: OpenSSF Model Signing v1.0, serialization method `files`. */
export function filesRoot(artifacts: readonly Artifact[]): Uint8Array {
  const inOrder = [...artifacts].sort((a, b) => (a.path < b.path ? -1 : 1));
  return sha256(concat(...inOrder.map(({ digest }) => digest)));
}

/** The manifest's bytes: what a revision is the SHA-256 of. */
export function encodeManifest(value: Manifest): Uint8Array {
  return encode(manifest, { format: 1, ...value });
}

/** Reads a manifest and holds it to its own claims. Throws Malformed. */
export function parseManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > MANIFEST_SIZE_BYTES)
    throw new Malformed(`is a manifest of ${bytes.length} bytes; at most ${MANIFEST_SIZE_BYTES} are allowed`);
  const { format: _, ...value } = decode(manifest, bytes);
  const paths = value.artifacts.map(({ path }) => path);
  if (paths.some((path, i) => i > 0 && path <= (paths[i - 1] ?? "")))
    throw new Malformed("has artifacts that are not in ascending order of path");
  if (!equal(value.filesRoot, filesRoot(value.artifacts)))
    throw new Malformed("has a files root that is not that of its artifacts");
  if ((value.engine === "relay") !== (value.upstream !== undefined))
    throw new Malformed("is relayed and names no upstream, or names one and is not relayed");
  const { forms, operations } = value;
  if (operations !== undefined && (operations.length === 0 || new Set(operations).size < operations.length))
    throw new Malformed("has a list of operations that is empty, or has one of them twice");
  if (forms.length === 0 && operations === undefined)
    throw new Malformed("says neither which tensors it takes nor which operations it serves");
  return value;
}

/** The revision that `manifestBytes` are. */
export function revisionOf(manifestBytes: Uint8Array): Uint8Array {
  return sha256(manifestBytes);
}
