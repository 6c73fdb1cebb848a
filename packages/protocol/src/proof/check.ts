/**
 * What there is to check of a proof beside its own mathematics: that it is of this receipt, of the input the requester
 * committed to, of the weights and the circuit that the revision names, and of the answer that was given
 * (docs/spec/proof.md). The public inputs are built here, from what the one who checks knows.
 */
import { sha256 } from "#platform";
import { equal } from "../bytes.ts";
import type { Tensor } from "../call/tensor.ts";
import { Malformed } from "../cbor/bytes.ts";
import type { Commitment } from "../entry/payload.ts";
import type { Manifest } from "../model/manifest.ts";
import type { Check } from "../verdict.ts";
import { answerOf } from "./answer.ts";
import { CIRCUIT_PATH, type CircuitFile, parseCircuitFile } from "./circuit.ts";
import { commitInput } from "./commitment.ts";
import { findProvedCall, parseProofEvidence, publicInputsOf } from "./evidence.ts";
import { planCircuit } from "./plan.ts";
import { quantise } from "./quantise.ts";

export type ProofQuestion = {
  evidence: Uint8Array;
  /** The receipt's id, and the commitment in its authorization. */
  receiptId: Uint8Array;
  request: Commitment;
  manifest: Manifest;
  /** The bytes of the revision's circuit.json. */
  circuit: Uint8Array;
  /** What the requester asked and was answered, where it is known. */
  opened?: { input: Tensor; salt: Uint8Array; answer: Tensor };
};

/** The checks, and with them what is left to be verified: nothing where one of them failed. */
export type ProofChecks = {
  checks: Check[];
  claim: { publicInputs: Uint8Array[]; proof: Uint8Array; calls: number; circuit: CircuitFile } | undefined;
};

/** Checks all of a proof but its mathematics. Never throws at bytes. */
export function checkProof(question: ProofQuestion): ProofChecks {
  try {
    return look(question);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { checks: [failed("proof", `the evidence ${error.message}`, "malformed")], claim: undefined };
  }
}

function look({ evidence: bytes, receiptId, request, manifest, circuit: file, opened }: ProofQuestion): ProofChecks {
  const { artifacts, circuit: claims } = manifest;
  const artifact = artifacts.find(({ path }) => path === CIRCUIT_PATH);
  if (claims === undefined || artifact === undefined || !equal(sha256(file), artifact.digest))
    return stop([], failed("circuit", `the revision has no circuit, or not this ${CIRCUIT_PATH}`, "wrong_opening"));
  const circuit = parseCircuitFile(file);
  const evidence = parseProofEvidence(bytes);
  const checks = [passed("circuit", "the circuit is the one that the revision names")];
  const call = findProvedCall(evidence, receiptId);
  if (call === undefined) return stop(checks, failed("proved receipt", "the proof is of other receipts", "wrong_id"));
  checks.push(passed("proved receipt", "the proof is of this receipt"));
  if (request.alg !== "poseidon2" || !equal(request.digest, call.input))
    return stop(checks, failed("proved input", "the proof is of another input than was committed to", "wrong_opening"));
  checks.push(passed("proved input", "the proof is of the input that the requester committed to"));
  if (!equal(evidence.weights, claims.weights))
    return stop(checks, failed("proved weights", "the proof is of other weights than the revision's", "wrong_opening"));
  checks.push(passed("proved weights", "the proof is of the weights that the revision commits to"));
  const { outputs } = planCircuit(circuit.architecture);
  if (evidence.calls.some((one) => one.outputs.length !== outputs))
    return stop(checks, failed("proved answer", `the proof is not of ${outputs} outputs a call`, "malformed"));
  checks.push(checkAnswer(circuit, call.input, call.outputs, opened));
  if (checks.some(({ state }) => state === "failed")) return { checks, claim: undefined };
  const { calls, proof } = evidence;
  return {
    checks,
    claim: { publicInputs: publicInputsOf(calls, claims.weights), proof, calls: calls.length, circuit },
  };
}

function checkAnswer(
  circuit: CircuitFile,
  commitment: Uint8Array,
  outputs: readonly bigint[],
  opened: ProofQuestion["opened"],
): Check {
  const name = "proved answer";
  if (opened === undefined)
    return {
      name,
      detail: "the call and its answer are not here, so that nothing shows what was proved of them",
      state: "not_checked",
    };
  const { values, clampedCount } = quantise(circuit, opened.input);
  if (!equal(commitInput(circuit, values, opened.salt), commitment))
    return failed(name, "the input that is shown is not the one that was proved", "wrong_opening");
  const expected = answerOf(circuit, opened.answer.name, outputs);
  const isSame =
    expected.datatype === opened.answer.datatype &&
    expected.shape.join() === opened.answer.shape.join() &&
    equal(expected.data, opened.answer.data);
  if (!isSame) return failed(name, "the answer that is shown is not the one that was proved", "wrong_opening");
  const clamped =
    clampedCount === 0 ? "" : `; ${clampedCount} of its values were beyond the circuit's range and were clamped`;
  return passed(name, `the circuit gave this answer to this input${clamped}`);
}

/** What a proof does not say, to be printed with every one. */
export function proofLimits({ name, circuit }: Manifest): string[] {
  const { agreeing = 0, measured = 0 } = circuit ?? {};
  return [
    `It proves what the integer circuit of ${name} gave, not that the float model says the same: of ${measured} measured rows they agree on ${agreeing}.`,
    "It says nothing of whether the model is good or fair, nor of where the input comes from.",
    "The architecture, the bits of each number and the outputs are public to whoever holds the proof; weights and inputs are hidden only as well as their salts.",
    "It rests on BN254 and Keccak, on one honest participant of the Aztec Ignition ceremony, and on Noir and Barretenberg being free of faults; our circuits were not audited, and none of this withstands a quantum computer.",
  ];
}

function passed(name: string, detail: string): Check {
  return { name, detail, state: "passed" };
}

function failed(name: string, detail: string, failure: (Check & { state: "failed" })["failure"]): Check {
  return { name, detail, state: "failed", failure };
}

function stop(checks: Check[], last: Check): ProofChecks {
  return { checks: [...checks, last], claim: undefined };
}
