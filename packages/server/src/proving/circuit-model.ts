/** A revision that has a circuit: its manifest's claims held against what its own files say. */
import {
  CIRCUIT_PATH,
  type Circuit,
  type CircuitFile,
  commitWeights,
  equal,
  Malformed,
  type Manifest,
  parseCircuitFile,
  sha256,
  utf8,
  type Weights,
} from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";
import { readWeights } from "./import.ts";
import { noirProgram } from "./noir.ts";
import { UnsupportedModel } from "./unsupported.ts";

export type RevisionFiles = { manifest: Manifest; files: ReadonlyMap<string, Uint8Array> };

/** What is public of a revision's circuit, and the name of what it answers. */
export type CircuitModel = { name: string; circuit: CircuitFile; claims: Circuit; output: string };

/** What was read and found right, for as long as the manifest is in use: a call should not pay for it again. */
const models = new WeakMap<Manifest, CircuitModel>();
const opened = new WeakMap<CircuitModel, { salt: Uint8Array; weights: Weights }>();

/** The circuit of a revision. Throws a ServiceError where it has none, or another than its manifest says. */
export function readCircuitModel(revision: RevisionFiles): CircuitModel {
  const model = models.get(revision.manifest) ?? readModel(revision);
  models.set(revision.manifest, model);
  return model;
}

function readModel({ manifest, files }: RevisionFiles): CircuitModel {
  const bytes = files.get(CIRCUIT_PATH);
  const { name, circuit: claims, outputs } = manifest;
  const artifact = manifest.artifacts.find(({ path }) => path === CIRCUIT_PATH);
  if (claims === undefined || bytes === undefined || artifact === undefined)
    throw new ServiceError("invalid_request", `${name} has no circuit: ask for another tier than proved`);
  if (!equal(sha256(bytes), artifact.digest))
    throw new ServiceError("invalid_request", `${name} has another ${CIRCUIT_PATH} than its manifest names`);
  const circuit = parseOrRefuse(name, bytes);
  if (!equal(sha256(utf8(noirProgram(circuit.architecture, 1))), claims.program))
    throw new ServiceError("invalid_request", `${name} names another circuit than that of its ${CIRCUIT_PATH}`);
  return { name, circuit, claims, output: outputs[0]?.name ?? "output" };
}

function parseOrRefuse(name: string, bytes: Uint8Array): CircuitFile {
  try {
    return parseCircuitFile(bytes);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new ServiceError("invalid_request", `${name} ${cause.message}: it cannot be proved`, { cause });
  }
}

/** The weights of a revision that is proved here, by its model's file and the salt that its publisher keeps. */
export function openWeights(revision: RevisionFiles, model: CircuitModel, salt: Uint8Array): Weights {
  const known = opened.get(model);
  if (known !== undefined && equal(known.salt, salt)) return known.weights;
  const weights = readCommitted(revision, model, salt);
  opened.set(model, { salt, weights });
  return weights;
}

function readCommitted({ manifest, files }: RevisionFiles, model: CircuitModel, salt: Uint8Array): Weights {
  const { path } = manifest.artifacts.find(({ role }) => role === "model") ?? { path: "" };
  const bytes = files.get(path);
  if (bytes === undefined)
    throw new ServiceError("unavailable", `the weights of ${model.name} are not here: nothing is proved`);
  const weights = readOrRefuse(model, bytes);
  if (!equal(commitWeights(model.circuit, weights, salt), model.claims.weights))
    throw new ServiceError(
      "unavailable",
      `the weights or the salt of ${model.name} here are not those of its manifest`,
    );
  return weights;
}

function readOrRefuse({ name, circuit }: CircuitModel, bytes: Uint8Array): Weights {
  try {
    return readWeights(circuit, bytes);
  } catch (cause) {
    if (!(cause instanceof UnsupportedModel)) throw cause;
    throw new ServiceError("unavailable", `${name} is not proved: ${cause.message}`, { cause });
  }
}
