/** What tests of proofs have in common: the ceremony's CRS where there is one, and models that have circuits. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  CIRCUIT_PATH,
  filesRoot,
  floatTensor,
  inputCount,
  type Manifest,
  sha256,
  type Tensor,
  writeCircuitFile,
} from "@tallystick/protocol";
import { type Choices, type ImportedModel, importModel } from "../packages/server/src/proving/import.ts";
import type { CallToProve, Prover } from "../packages/server/src/proving/prover.ts";

/** The folder of the CRS, by TALLYSTICK_CRS or CRS_PATH. Without it nothing can be proved, and no test makes one of its own. */
export const CRS_FOLDER = [process.env.TALLYSTICK_CRS, process.env.CRS_PATH].find(
  (folder) => folder !== undefined && existsSync(join(folder, "bn254_g1.dat")),
);

/** Where tests keep the programs that they compile: each takes seconds, and is the same the next time. */
export const PROGRAMS_FOLDER = join(import.meta.dirname, "../node_modules/.cache/tallystick-proving");
/** Compiling takes seconds of a processor, which others may want as well. */
export const PROVING_TIMEOUT_MS = 600_000;

/** The kinds of models that are proved, trained elsewhere on breast-cancer and digits data, and how each is quantised. */
export const FIXTURES: Record<string, Choices> = {
  logreg30: { inputBits: 16, weightBits: 12, exponents: [10] },
  mlp: { inputBits: 16, weightBits: 8, exponents: [10] },
  gbt: { inputBits: 16, weightBits: 16, exponents: [10] },
  cnn: { inputBits: 6, weightBits: 8, exponents: [4] },
};
/** What a suite that needs the CRS is called where there is none. */
export const CRS_SUITE =
  CRS_FOLDER === undefined ? "skipped: no CRS by TALLYSTICK_CRS or CRS_PATH" : "over the ceremony's CRS";

export const FIXTURE_NAMES = Object.keys(FIXTURES);

export function readFixture(name: string): Uint8Array {
  return new Uint8Array(
    readFileSync(join(import.meta.dirname, `../packages/server/src/proving/fixtures/${name}.onnx`)),
  );
}

export function importFixture(name: string): ImportedModel {
  const choices = FIXTURES[name];
  if (choices === undefined) throw new Error(`no choices for ${name}`);
  return importModel(readFixture(name), choices);
}

export const WEIGHTS_SALT = new Uint8Array(32).fill(0x5a);

/** A revision of the fixture `name`, as its publisher would make it. */
export async function fixtureRevision(prover: Prover, name: string) {
  const { circuit, weights } = importFixture(name);
  const claims = await prover.claims(circuit, weights, WEIGHTS_SALT);
  const files = new Map([
    [CIRCUIT_PATH, writeCircuitFile(circuit)],
    ["model.onnx", readFixture(name)],
  ]);
  const artifacts = [...files].map(([path, bytes]) => ({
    path,
    role: path === CIRCUIT_PATH ? ("file" as const) : ("model" as const),
    sizeBytes: bytes.length,
    digest: sha256(bytes),
  }));
  const manifest = {
    name: `test/${name}`,
    version: "1",
    category: "risk",
    task: "test",
    licence: "Apache-2.0",
    summary: "A model of the tests.",
    artifacts,
    filesRoot: filesRoot(artifacts),
    adapter: { name: "tensors", version: 1, options: "{}" },
    engine: "judge",
    forms: [[{ name: "x", datatype: "FP32", shape: [-1, ...circuit.architecture.inputShape] }]],
    outputs: [{ name: "y", datatype: "FP32", shape: [-1, 1] }],
    unit: "row",
    quality: [],
    circuit: { ...claims, agreeing: 0, measured: 0 },
  } satisfies Manifest;
  return { manifest, files, circuit, weights };
}

/** A row of numbers that look like what the model takes, another for each seed. */
export function fixtureRow({ circuit }: Pick<ImportedModel, "circuit">, seed: number): number[] {
  const spread = 2 ** (circuit.architecture.inputBits - 1 - (circuit.input.exponents[0] ?? 0)) / 8;
  let state = (seed + 1) * 2_654_435_761;
  return Array.from({ length: inputCount(circuit.architecture) }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.fround((state / 2 ** 31 - 1) * spread);
  });
}

export function rowTensor({ circuit }: Pick<ImportedModel, "circuit">, row: number[]): Tensor {
  return floatTensor("x", [1, ...circuit.architecture.inputShape], row);
}

export function callOf(model: Pick<ImportedModel, "circuit">, seed: number): CallToProve {
  return {
    receiptId: sha256(Uint8Array.of(seed)),
    input: rowTensor(model, fixtureRow(model, seed)),
    salt: new Uint8Array(32).fill(0xc0 + seed),
  };
}
