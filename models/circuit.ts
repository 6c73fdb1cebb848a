/**
 * Makes the integer circuit of a model: writes its circuit.json, measures on the rows that the model has not seen how often
 * it says what the float model says, and prints what model.json has to state of it. The verification key needs the CRS.
 *
 *   CRS_PATH=folder npx tsx --conditions=@tallystick/source models/circuit.ts [folder]
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { answerOf, CIRCUIT_PATH, floats, hex, quantiseRow, writeCircuitFile } from "@tallystick/protocol";
import { type ImportedModel, importModel } from "../packages/server/src/proving/import.ts";
import { interpret } from "../packages/server/src/proving/interpreter.ts";
import { openProver } from "../packages/server/src/proving/prover.ts";
import { openModel, readModelFile } from "./load.ts";
import { isScript } from "./script.ts";
import { predict } from "./train/predict.ts";
import type { Examples } from "./train/table.ts";

/** Bits of an input and of a weight: with 16 of each no probability is off by as much as a thousandth. */
const BITS = 16;

type Source = { trained: Examples; heldOut: Examples };

/** The models that are proved, by their folders, and the rows that they were trained on and measured on. */
export const CIRCUITS: Record<string, () => Promise<Source>> = {
  "breast-cancer": () => import("./breast-cancer/train.ts"),
  "credit-default": () => import("./credit-default/train.ts"),
};

/** The circuit of the model in `folder`: each input scaled so that twice its greatest value in training has room. */
export async function importCircuit(folder: string): Promise<ImportedModel> {
  const { trained } = await sourceOf(folder);
  const width = trained.features[0]?.length ?? 0;
  const exponents = Array.from({ length: width }, (_, column) => {
    const most = trained.features.reduce((greatest, row) => Math.max(greatest, Math.abs(row[column] ?? 0)), 0);
    return BITS - 2 - Math.ceil(Math.log2(most || 1));
  });
  return importModel(readModelFile(folder, "model.onnx"), { inputBits: BITS, weightBits: BITS, exponents });
}

export type Agreement = { agreeing: number; measured: number; clampedCount: number; greatestDifference: number };

/** On how many held-out rows the circuit is on the float model's side of one half, and how far they are apart at most. */
export async function measureAgreement(folder: string, { circuit, weights }: ImportedModel): Promise<Agreement> {
  const { heldOut } = await sourceOf(folder);
  const chances = await predict(await openModel(folder), heldOut.features);
  const agreement = { agreeing: 0, measured: heldOut.features.length, clampedCount: 0, greatestDifference: 0 };
  for (const [i, row] of heldOut.features.entries()) {
    const { values, clampedCount } = quantiseRow(circuit, Float32Array.from(row));
    const [chance = 0] = floats(answerOf(circuit, "", interpret(circuit.architecture, weights, values)));
    const expected = chances[i] ?? 0;
    if (chance >= 0.5 === expected >= 0.5) agreement.agreeing++;
    agreement.clampedCount += clampedCount;
    agreement.greatestDifference = Math.max(agreement.greatestDifference, Math.abs(chance - expected));
  }
  return agreement;
}

async function sourceOf(folder: string): Promise<Source> {
  const load = CIRCUITS[folder];
  if (load === undefined) throw new Error(`${folder} has no circuit: name one of ${Object.keys(CIRCUITS).join(", ")}`);
  return load();
}

/** The salt of a model whose weights are public: it hides nothing, and is the same each time. */
export function publicSalt(folder: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(`tallystick public weights v1\0${folder}`).digest());
}

async function main(folders: string[], crsPath: string | undefined): Promise<void> {
  await using prover = await openProver({ folder: join(import.meta.dirname, ".build"), crsPath });
  for (const folder of folders.length > 0 ? folders : Object.keys(CIRCUITS)) {
    const model = await importCircuit(folder);
    const path = join(import.meta.dirname, folder, CIRCUIT_PATH);
    writeFileSync(path, writeCircuitFile(model.circuit));
    const salt = publicSalt(folder);
    const { program, verificationKey, weights } = await prover.claims(model.circuit, model.weights, salt);
    const { clampedCount, greatestDifference, ...counts } = await measureAgreement(folder, model);
    console.log(
      `${folder}: ${CIRCUIT_PATH} has the SHA-256 ${createHash("sha256").update(readFileSync(path)).digest("hex")}`,
    );
    const claims = { program: hex(program), verificationKey: hex(verificationKey), weights: hex(weights) };
    console.log(`"circuit": ${JSON.stringify({ ...claims, ...counts, weightsSalt: hex(salt) }, undefined, 2)}`);
    console.log(`largest difference ${greatestDifference.toExponential(1)}, ${clampedCount} values clamped`);
  }
}

if (isScript(import.meta)) await main(process.argv.slice(2), process.env.CRS_PATH);
