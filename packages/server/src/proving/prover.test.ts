/** Proofs of all four kinds of model, by the real prover over the real ceremony's CRS. */
import { readdir } from "node:fs/promises";
import {
  commitInput,
  encodeProofEvidence,
  equal,
  type ProofEvidence,
  parseProofEvidence,
  quantise,
  sha256,
} from "@tallystick/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../../../test/folder.ts";
import {
  CRS_FOLDER,
  CRS_SUITE,
  callOf,
  FIXTURE_NAMES,
  fixtureRevision,
  PROGRAMS_FOLDER,
  PROVING_TIMEOUT_MS,
  WEIGHTS_SALT,
} from "../../../../test/proving.ts";
import { interpret } from "./interpreter.ts";
import { openProver, type Prover } from "./prover.ts";

let prover: Prover;

beforeAll(async () => {
  if (CRS_FOLDER !== undefined) prover = await openProver({ folder: PROGRAMS_FOLDER, crsPath: CRS_FOLDER });
});
afterAll(async () => prover?.[Symbol.asyncDispose]());

const revisions = new Map<string, ReturnType<typeof fixtureRevision>>();
function revisionOf(name: string) {
  const revision = revisions.get(name) ?? fixtureRevision(prover, name);
  revisions.set(name, revision);
  return revision;
}

const flipped = (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));

describe.skipIf(CRS_FOLDER === undefined)(CRS_SUITE, { timeout: PROVING_TIMEOUT_MS }, () => {
  test.each(FIXTURE_NAMES)("%s: a proof holds, and is of this receipt, this input and this output", async (name) => {
    const revision = await revisionOf(name);
    const call = callOf(revision, 1);
    const [evidence = new Uint8Array(0)] = await prover.prove(revision, WEIGHTS_SALT, [call]);
    const { values } = quantise(revision.circuit, call.input);
    expect(await prover.verify(revision, evidence)).toMatchObject({
      outcome: "passed",
      calls: [
        {
          receipt: call.receiptId,
          input: commitInput(revision.circuit, values, call.salt),
          outputs: interpret(revision.circuit.architecture, revision.weights, values),
        },
      ],
    });
    const honest = parseProofEvidence(evidence);
    for (const [what, edited] of Object.entries(tampered(honest)))
      expect([what, await prover.verify(revision, encodeProofEvidence(edited))]).toMatchObject([
        what,
        { outcome: "failed" },
      ]);
  });

  test("a proof of one model does not hold for another", async () => {
    const [mlp, logistic] = await Promise.all([revisionOf("mlp"), revisionOf("logreg30")]);
    const [evidence = new Uint8Array(0)] = await prover.prove(mlp, WEIGHTS_SALT, [callOf(mlp, 2)]);
    expect(await prover.verify(logistic, evidence)).toMatchObject({ outcome: "failed" });
    const { weights } = logistic.manifest.circuit ?? { weights: new Uint8Array(32) };
    const renamed = encodeProofEvidence({ ...parseProofEvidence(evidence), weights });
    expect(await prover.verify(logistic, renamed)).toEqual({ outcome: "failed", reason: "does not hold" });
  });

  test("calls are proved together, each bound to its own receipt and input", async () => {
    const revision = await revisionOf("logreg30");
    const calls = [callOf(revision, 3), callOf(revision, 4), callOf(revision, 5)];
    const [first, second, third] = await prover.prove(revision, WEIGHTS_SALT, calls);
    expect(first !== undefined && first === second && second === third).toBe(true);
    const outcome = await prover.verify(revision, first ?? new Uint8Array(0));
    expect(outcome).toMatchObject({ outcome: "passed" });
    const proved = outcome.outcome === "passed" ? outcome.calls : [];
    for (const { receiptId, input, salt } of calls) {
      const found = proved.find(({ receipt }) => equal(receipt, receiptId));
      expect(found?.input).toEqual(commitInput(revision.circuit, quantise(revision.circuit, input).values, salt));
    }
    const honest = parseProofEvidence(first ?? new Uint8Array(0));
    const swapped = honest.calls.map((one, i) => ({ ...one, receipt: honest.calls[1 - i]?.receipt ?? one.receipt }));
    const edited = encodeProofEvidence({ ...honest, calls: swapped });
    expect(await prover.verify(revision, edited)).toEqual({ outcome: "failed", reason: "does not hold" });
  });

  test("weights or a salt that are not the manifest's prove nothing", async () => {
    const revision = await revisionOf("logreg30");
    const otherSalt = WEIGHTS_SALT.map((byte) => byte ^ 1);
    await expect(prover.prove(revision, otherSalt, [callOf(revision, 6)])).rejects.toThrow("not those of its manifest");
  });

  test("what is too large for the CRS is refused before anything is compiled, with its size and the limit", async () => {
    const revision = await revisionOf("gbt");
    const { gates, gatesMost } = prover.estimate(revision, 1);
    expect(gates).toBeLessThan(gatesMost);
    await using folder = await temporaryFolder();
    await using small = await openProver({ folder: folder.path, limits: { fetchedGates: 4_096 } });
    const words =
      /^test\/gbt is too large to be proved here: its 921 parameters make a circuit of some [0-9]+ gates, and the CRS here is for 4096; ask for another tier$/;
    expect(() => small.estimate(revision, 1)).toThrow(words);
    await expect(small.prove(revision, WEIGHTS_SALT, [callOf(revision, 8)])).rejects.toThrow(words);
    expect(await readdir(folder.path)).toEqual([]);
  });

  test("a manifest with another verification key than its circuit's is refused", async () => {
    const revision = await revisionOf("logreg30");
    const circuit = { ...revision.manifest.circuit, verificationKey: sha256(Uint8Array.of(1)) };
    const forged = { ...revision, manifest: { ...revision.manifest, circuit: { ...NO_CLAIMS, ...circuit } } };
    await expect(prover.prove(forged, WEIGHTS_SALT, [callOf(revision, 7)])).rejects.toThrow("another verification key");
  });
});

const NO_CLAIMS = {
  program: new Uint8Array(32),
  verificationKey: new Uint8Array(32),
  weights: new Uint8Array(32),
  agreeing: 0,
  measured: 0,
};

/** Evidence with one thing changed that its proof does not say. */
function tampered(honest: ProofEvidence): Record<string, ProofEvidence> {
  const [call = { receipt: new Uint8Array(32), input: new Uint8Array(32), outputs: [0n] }] = honest.calls;
  const { outputs } = call;
  return {
    "the receipt's upper half": { ...honest, calls: [{ ...call, receipt: flipped(call.receipt, 0) }] },
    "the receipt's lower half": { ...honest, calls: [{ ...call, receipt: flipped(call.receipt, 31) }] },
    "the input": { ...honest, calls: [{ ...call, input: flipped(call.input, 31) }] },
    "the output": { ...honest, calls: [{ ...call, outputs: outputs.map((value) => value + 1n) }] },
    "the weights": { ...honest, weights: flipped(honest.weights, 31) },
    "a call more": { ...honest, calls: [call, call] },
    "the proof's first byte": { ...honest, proof: flipped(honest.proof, 31) },
    "the proof's middle": { ...honest, proof: flipped(honest.proof, 32 * 100 + 31) },
    "the proof's end": { ...honest, proof: flipped(honest.proof, honest.proof.length - 1) },
    "the proof cut short": { ...honest, proof: honest.proof.subarray(0, honest.proof.length - 32) },
    "no proof": { ...honest, proof: new Uint8Array(0) },
  };
}
