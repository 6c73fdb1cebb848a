/** The circuits of the models here: what their folders say of them is made again. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CIRCUIT_PATH, commitWeights, parseCircuitFile, sha256, utf8 } from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { noirProgram } from "../packages/server/src/proving/noir.ts";
import { openProver } from "../packages/server/src/proving/prover.ts";
import { CRS_FOLDER, CRS_SUITE, PROGRAMS_FOLDER, PROVING_TIMEOUT_MS } from "../test/proving.ts";
import { CIRCUITS, importCircuit, measureAgreement, publicSalt } from "./circuit.ts";
import { openModel, readModelFile } from "./load.ts";

describe.each(Object.keys(CIRCUITS))("%s", (folder) => {
  test("has the circuit that its graph and its training data give", async () => {
    const { circuit, weights } = await importCircuit(folder);
    expect(parseCircuitFile(readModelFile(folder, CIRCUIT_PATH))).toEqual(circuit);
    const { manifest } = await openModel(folder);
    expect(manifest.circuit).toMatchObject({
      program: sha256(utf8(noirProgram(circuit.architecture, 1))),
      weights: commitWeights(circuit, weights, publicSalt(folder)),
    });
  });

  test("states how often its circuit says what the float model says, and no probability is off by a thousandth", async () => {
    const { agreeing, measured, clampedCount, greatestDifference } = await measureAgreement(
      folder,
      await importCircuit(folder),
    );
    const { manifest } = await openModel(folder);
    expect(manifest.circuit).toMatchObject({ agreeing, measured });
    expect(clampedCount).toBe(0);
    expect(greatestDifference).toBeLessThan(0.001);
    const card = readFileSync(join(import.meta.dirname, folder, "card.md"), "utf8");
    expect(card).toContain(`one half ${agreeing} times of ${measured}`);
  });
});

describe.skipIf(CRS_FOLDER === undefined)(CRS_SUITE, { timeout: PROVING_TIMEOUT_MS }, () => {
  test.each(Object.keys(CIRCUITS))(
    "%s: the verification key in its manifest is that of its circuit",
    async (folder) => {
      await using prover = await openProver({ folder: PROGRAMS_FOLDER, crsPath: CRS_FOLDER });
      const { circuit, weights } = await importCircuit(folder);
      const { manifest } = await openModel(folder);
      expect(await prover.claims(circuit, weights, publicSalt(folder))).toEqual({
        program: manifest.circuit?.program,
        verificationKey: manifest.circuit?.verificationKey,
        weights: manifest.circuit?.weights,
      });
    },
  );
});
