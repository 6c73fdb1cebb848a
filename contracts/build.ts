/**
 * Builds the contracts: ProvedAnswer, and for each model here that is proved the verifier of its circuit. Writes source,
 * ABI and bytecode to contracts/.build. The keys inside are made from the circuits, so it wants the CRS.
 *
 *   CRS_PATH=folder npx tsx --conditions=@tallystick/source contracts/build.ts
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CIRCUITS } from "../models/circuit.ts";
import { openModel } from "../models/load.ts";
import { isScript } from "../models/script.ts";
import { openProver } from "../packages/server/src/proving/prover.ts";
import { type Compiled, compileSolidity } from "./compile.ts";

const FOLDER = join(import.meta.dirname, ".build");
/** What Barretenberg calls the contract that it writes. */
export const VERIFIER = "HonkVerifier";

/** The contract that builds the public inputs and asks the verifier. */
export function compileProvedAnswer(): Compiled {
  return compileSolidity("ProvedAnswer", readFileSync(join(import.meta.dirname, "src/ProvedAnswer.sol"), "utf8"));
}

async function main(crsPath: string | undefined): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  write("ProvedAnswer", compileProvedAnswer());
  await using prover = await openProver({ folder: join(import.meta.dirname, "../models/.build"), crsPath });
  for (const folder of Object.keys(CIRCUITS)) {
    const source = await prover.solidity(await openModel(folder), 1);
    writeFileSync(join(FOLDER, `${folder}.sol`), source);
    write(folder, compileSolidity(VERIFIER, source));
  }
}

function write(name: string, compiled: Compiled): void {
  writeFileSync(join(FOLDER, `${name}.json`), `${JSON.stringify(compiled)}\n`);
  console.log(`contracts/.build/${name}.json, ${compiled.deployedSizeBytes} bytes when deployed`);
}

if (isScript(import.meta)) await main(process.env.CRS_PATH);
