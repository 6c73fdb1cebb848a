/** Where a model comes from before it is a revision: `model.json` in a folder, its files beside it, built or in npm packages. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import {
  type Artifact,
  CATEGORIES,
  type Circuit,
  DATATYPES,
  encodeManifest,
  filesRoot,
  hex,
  Malformed,
  type Manifest,
  type Price,
  sha256,
} from "@tallystick/protocol";
import { z } from "zod";
import { OperatorError, systemCode } from "../platform/errors.ts";

const TensorSpec = z.strictObject({
  name: z.string(),
  datatype: z.enum(Object.keys(DATATYPES) as [keyof typeof DATATYPES]),
  shape: z.array(z.number().int().min(-1)),
  content: z.enum(["text", "image", "wav"]).exactOptional(),
  columns: z.array(z.string()).exactOptional(),
});

const atomic = z.string().regex(/^(0|[1-9][0-9]{0,18})$/, "must be a decimal number of atomic units");

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, "must be 32 bytes in hex");

/** What models/circuit.ts prints; the salt of the weights is the publisher's, and stays out of the manifest. */
const CircuitSource = z.strictObject({
  program: sha256Hex,
  verificationKey: sha256Hex,
  weights: sha256Hex,
  agreeing: z.number().int().nonnegative(),
  measured: z.number().int().nonnegative(),
  weightsSalt: sha256Hex,
});

const ModelSource = z.strictObject({
  name: z.string(),
  version: z.string(),
  category: z.enum(CATEGORIES),
  task: z.string(),
  licence: z.string(),
  summary: z.string(),
  engine: z.enum(["judge", "native", "llama"]),
  adapter: z.strictObject({ name: z.string(), version: z.number().int(), options: z.record(z.string(), z.unknown()) }),
  unit: z.string(),
  artifacts: z.array(
    z.strictObject({
      path: z.string(),
      role: z.enum(["model", "file", "card", "example"]),
      from: z.string().regex(/^(npm|file|build):/),
      sha256: z.string().length(64).optional(),
    }),
  ),
  forms: z.array(z.array(TensorSpec)),
  outputs: z.array(TensorSpec),
  operations: z.array(z.enum(["chat", "completion", "embedding", "response"])).exactOptional(),
  contextLength: z.number().int().positive().exactOptional(),
  tolerance: z.strictObject({ absolute: z.string(), relative: z.string() }).exactOptional(),
  circuit: CircuitSource.exactOptional(),
  quality: z.array(z.strictObject({ metric: z.string(), value: z.string(), on: z.string() })),
  /** Atomic units: a call, a million units of input, a million of output. Fixed with the revision. */
  price: atomic.default("0"),
  unitPrice: atomic.default("0"),
  outputUnitPrice: atomic.default("0"),
  /** Withdraws the revision: it stays in the log, and is not offered any more. */
  yanked: z.boolean().default(false),
});

/** A revision, its terms, and the bytes of its artifacts. */
export type Package = {
  manifest: Manifest;
  manifestBytes: Uint8Array;
  price: Price;
  yanked: boolean;
  /** By which a node here opens the commitment to the weights of a model that has a circuit. */
  weightsSalt?: Uint8Array;
  files: Map<string, Uint8Array>;
};

/**
 * Reads the model in `folder`. Throws an OperatorError where something is missing or not what its digest says, or where nobody
 * could verify its answers for want of a tolerance.
 */
export async function readModelSource(folder: string): Promise<Package> {
  const found = await readUnmeasuredSource(folder);
  const { name, version, engine, tolerance } = found.manifest;
  if (engine === "native" && tolerance === undefined)
    throw new OperatorError(
      `${name} ${version} is native and states no tolerance: measure it with models/tolerance.ts, or run it on the judge`,
    );
  return found;
}

/** The same for a model whose tolerance is not measured yet. */
export async function readUnmeasuredSource(folder: string): Promise<Package> {
  const path = join(folder, "model.json");
  const parsed = ModelSource.safeParse(readJson(await readFile(path, "utf8"), path));
  if (!parsed.success) throw new OperatorError(`${path} is not a model: ${z.prettifyError(parsed.error)}`);
  const {
    artifacts: sources,
    adapter,
    price: perCall,
    unitPrice,
    outputUnitPrice,
    yanked,
    circuit,
    ...rest
  } = parsed.data;
  const price: Price = {
    priceAtomic: BigInt(perCall),
    unitPriceAtomic: BigInt(unitPrice),
    outputUnitPriceAtomic: BigInt(outputUnitPrice),
  };
  const files = new Map<string, Uint8Array>();
  const artifacts: Artifact[] = [];
  for (const source of sources.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const bytes = await readArtifact(folder, source.from);
    const digest = sha256(bytes);
    if (source.sha256 !== undefined && source.sha256 !== hex(digest))
      throw new OperatorError(
        `${source.path} of ${rest.name} has the digest ${hex(digest)}, not ${source.sha256}: install its package again`,
      );
    files.set(source.path, bytes);
    artifacts.push({ path: source.path, role: source.role, sizeBytes: bytes.length, digest });
  }
  const options = JSON.stringify(adapter.options);
  const manifest: Manifest = {
    ...rest,
    artifacts,
    filesRoot: filesRoot(artifacts),
    adapter: { ...adapter, options },
    ...(circuit === undefined ? {} : { circuit: readCircuit(circuit) }),
  };
  const terms = { manifest, manifestBytes: encodeOrRefuse(manifest, path), price, yanked, files };
  return circuit === undefined ? terms : { ...terms, weightsSalt: bytesOf(circuit.weightsSalt) };
}

function readCircuit(source: z.infer<typeof CircuitSource>): Circuit {
  const { program, verificationKey, weights, agreeing, measured } = source;
  return {
    program: bytesOf(program),
    verificationKey: bytesOf(verificationKey),
    weights: bytesOf(weights),
    agreeing,
    measured,
  };
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

function readJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new OperatorError(`${path} is not JSON: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

function encodeOrRefuse(manifest: Manifest, path: string): Uint8Array {
  try {
    return encodeManifest(manifest);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new OperatorError(`${path} is not a model: it ${cause.message}`, { cause });
  }
}

async function readArtifact(folder: string, from: string): Promise<Uint8Array> {
  const [kind = "", rest = ""] = from.split(/:(.*)/s);
  const path =
    kind === "npm" ? packageFile(rest) : kind === "build" ? join(folder, "..", ".build", rest) : join(folder, rest);
  try {
    return new Uint8Array(await readFile(path));
  } catch (cause) {
    if (systemCode(cause) !== "ENOENT") throw cause;
    const remedy = kind === "build" ? "run `npm run build`" : "run `npm install`";
    throw new OperatorError(`${path} is missing: ${remedy}`, { cause });
  }
}

/** The file of an installed package. Its package.json may not be exported, so the folder is looked for as Node does. */
function packageFile(specifier: string): string {
  const [, name = "", path = ""] = /^((?:@[^/]+\/)?[^/]+)\/(.+)$/.exec(specifier) ?? [];
  for (const folder of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    const file = join(folder, name, path);
    if (existsSync(file)) return file;
  }
  throw new OperatorError(`the package ${name} is not installed: run \`npm install\``);
}
