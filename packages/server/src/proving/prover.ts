/** Proves and verifies what a model's integer circuit gave (docs/spec/proof.md): the tier `proved`, apart from any wire. */
import { join } from "node:path";
import {
  type Circuit,
  type CircuitFile,
  commitWeights,
  concat,
  encodeProofEvidence,
  equal,
  Malformed,
  type ProofEvidence,
  type ProvedCall,
  parseProofEvidence,
  planCircuit,
  publicInputsOf,
  sha256,
  type Tensor,
  utf8,
  type Weights,
} from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";
import { answerCall, assign, type CallToProve, openCall } from "./assignment.ts";
import { type CircuitModel, openWeights, type RevisionFiles, readCircuitModel } from "./circuit-model.ts";
import { openCrs } from "./crs.ts";
import { BATCHES, batchFor, estimateGates, estimateSeconds } from "./estimate.ts";
import { openLane } from "./lane.ts";
import { PROVING_LIMITS, type ProvingLimits } from "./limits.ts";
import { noirProgram } from "./noir.ts";
import { createPrograms, expectReply, type Program } from "./programs.ts";

/** What a circuit answers to one input, known before it is proved. */
export type CircuitAnswer = { outputs: Tensor[]; clampedCount: number };

export type Estimate = { gates: number; gatesMost: number; callsPerProof: number; cpuSeconds: number };

/** What came of checking evidence. `failed` says why; a passed one is of these calls and of no others. */
export type ProofOutcome =
  | { outcome: "passed"; calls: ProvedCall[]; verificationKey: Uint8Array }
  | { outcome: "failed"; reason: string };

export type { CallToProve };

export type CircuitClaims = Pick<Circuit, "program" | "verificationKey" | "weights">;

export type Prover = {
  /** What proving `calls` calls of a revision will cost, or a ServiceError that says why it cannot be had. */
  estimate(revision: RevisionFiles, calls: number): Estimate;
  /** What the circuit answers, at once. Throws Malformed where the input is not one row that it takes. */
  answer(revision: RevisionFiles, weightsSalt: Uint8Array, input: Tensor): CircuitAnswer;
  /** The evidence of each call; those of one batch have it in common. Throws a ServiceError. */
  prove(revision: RevisionFiles, weightsSalt: Uint8Array, calls: readonly CallToProve[]): Promise<Uint8Array[]>;
  /** Checks evidence against the revision alone: whose receipt and which input it should be of, the caller compares. */
  verify(revision: RevisionFiles, evidence: Uint8Array): Promise<ProofOutcome>;
  /** The key by which proofs of one call are verified, made from the circuit's source. Throws where the manifest names another. */
  verificationKey(revision: RevisionFiles): Promise<Uint8Array>;
  /** What a manifest has to say of a circuit and its weights, beside how often it agrees with the float model. */
  claims(circuit: CircuitFile, weights: Weights, weightsSalt: Uint8Array): Promise<CircuitClaims>;
  /** The contract that verifies proofs of so many calls of the revision. */
  solidity(revision: RevisionFiles, calls: number): Promise<string>;
  [Symbol.asyncDispose](): Promise<void>;
};

export type ProverOptions = {
  /** Where compiled programs are kept, and the CRS where none is given. */
  folder: string;
  /** The folder of the CRS: what CRS_PATH says. */
  crsPath?: string | undefined;
  limits?: Partial<ProvingLimits>;
};

/** Opens a prover. Nothing runs before it is asked to. Throws an OperatorError where the CRS is not the ceremony's. */
export async function openProver(options: ProverOptions): Promise<Prover> {
  const limits = { ...PROVING_LIMITS, ...options.limits };
  const crs = await openCrs(options.crsPath ?? join(options.folder, "crs"));
  const gatesMost = crs.gates ?? limits.fetchedGates;
  const proving = openLane(crs.folder, limits);
  // Apart, since who waits for a verdict of milliseconds should not wait for proofs.
  const verifying = openLane(crs.folder, limits);
  const programs = createPrograms(join(options.folder, "programs"), proving, limits);

  function refuseTooLarge({ name, circuit }: CircuitModel, gates: number): void {
    if (gates <= gatesMost) return;
    const { architecture } = circuit;
    const parameters = planCircuit(architecture).groups.reduce((sum, { count }) => sum + count, 0);
    throw new ServiceError(
      "limit_exceeded",
      `${name} is too large to be proved here: its ${parameters} parameters make a circuit of some ${gates} gates, and the CRS here is for ${gatesMost}; ask for another tier`,
    );
  }

  async function getProgram(model: CircuitModel, calls: number): Promise<Program> {
    const program = await programs.get(noirProgram(model.circuit.architecture, calls));
    refuseTooLarge(model, program.gates);
    if (calls === 1 && !equal(sha256(program.verificationKey), model.claims.verificationKey))
      throw new ServiceError(
        "invalid_request",
        `${model.name} names another verification key than that of its circuit`,
      );
    return program;
  }

  function planBatch(model: CircuitModel, calls: number): { gates: number; batch: number } {
    const { architecture } = model.circuit;
    const single = estimateGates(architecture, 1);
    // What is somewhat over by the estimate is compiled, which tells exactly.
    refuseTooLarge(model, Math.round(single / 1.3));
    const batch = batchFor(calls, (size) => estimateGates(architecture, size) <= gatesMost * 0.9);
    return { gates: estimateGates(architecture, batch), batch };
  }

  /** Proves up to `batch` calls at once. */
  async function proveBatch(
    model: CircuitModel,
    weights: Weights,
    salt: Uint8Array,
    calls: readonly CallToProve[],
    batch: number,
  ) {
    const { circuit, claims, name } = model;
    const opened = calls.map((call) => openCall(circuit, weights, call));
    // A batch that is not full is filled with its last call: it stands there twice, and that is all that it says.
    const full = Array.from({ length: batch }, (_, i) => opened[i] ?? opened.at(-1)).filter((one) => one !== undefined);
    const program = await getProgram(model, batch);
    const inputs = assign(circuit, weights, salt, full);
    const { compiled, verificationKey } = program;
    const reply = await proving.ask(
      { kind: "prove", program: compiled, verificationKey, inputs },
      limits.proveTimeoutMs,
    );
    const { publicInputs, proof } = expectReply(reply, "proved");
    const proved = full.map(({ call }) => call);
    const expected = publicInputsOf(proved, claims.weights);
    // The interpreter and the circuit are two roads to one answer: where they part, nothing is given out.
    if (!equal(concat(...expected), concat(...publicInputs)))
      throw new ServiceError("internal", `the circuit of ${name} gave another answer than its interpreter`);
    return encodeProofEvidence({ calls: proved, weights: claims.weights, proof });
  }

  async function check(model: CircuitModel, evidence: ProofEvidence): Promise<ProofOutcome> {
    if (!equal(evidence.weights, model.claims.weights))
      return { outcome: "failed", reason: "is of other weights than the manifest's" };
    // Any other number would have whoever sends evidence choose what is compiled here.
    if (!BATCHES.some((batch) => batch === evidence.calls.length))
      return { outcome: "failed", reason: `is of ${evidence.calls.length} calls; a proof is of ${BATCHES.join(", ")}` };
    const { outputs } = planCircuit(model.circuit.architecture);
    if (evidence.calls.some((call) => call.outputs.length !== outputs))
      return { outcome: "failed", reason: "has another number of outputs than the circuit" };
    const { verificationKey } = await getProgram(model, evidence.calls.length);
    const publicInputs = publicInputsOf(evidence.calls, model.claims.weights);
    const { proof } = evidence;
    const reply = await verifying.ask({ kind: "verify", verificationKey, publicInputs, proof }, limits.verifyTimeoutMs);
    if (!expectReply(reply, "verified").isValid) return { outcome: "failed", reason: "does not hold" };
    return { outcome: "passed", calls: evidence.calls, verificationKey };
  }

  return {
    estimate(revision, calls) {
      const { gates, batch } = planBatch(readCircuitModel(revision), calls);
      return { gates, gatesMost, callsPerProof: batch, cpuSeconds: estimateSeconds(gates) };
    },

    answer(revision, weightsSalt, input) {
      const model = readCircuitModel(revision);
      const weights = openWeights(revision, model, weightsSalt);
      return answerCall(model.circuit, weights, model.output, input);
    },

    async prove(revision, weightsSalt, calls) {
      const model = readCircuitModel(revision);
      const weights = openWeights(revision, model, weightsSalt);
      const { batch } = planBatch(model, calls.length);
      const evidence: Uint8Array[] = [];
      for (let at = 0; at < calls.length; at += batch) {
        const some = calls.slice(at, at + batch);
        const bytes = await proveBatch(model, weights, weightsSalt, some, batch);
        evidence.push(...some.map(() => bytes));
      }
      return evidence;
    },

    async verify(revision, bytes) {
      const model = readCircuitModel(revision);
      try {
        return await check(model, parseProofEvidence(bytes));
      } catch (error) {
        if (!(error instanceof Malformed)) throw error;
        return { outcome: "failed", reason: error.message };
      }
    },

    verificationKey: async (revision) => (await getProgram(readCircuitModel(revision), 1)).verificationKey,

    async claims(circuit, weights, weightsSalt) {
      const text = noirProgram(circuit.architecture, 1);
      const { verificationKey } = await programs.get(text);
      return {
        program: sha256(utf8(text)),
        verificationKey: sha256(verificationKey),
        weights: commitWeights(circuit, weights, weightsSalt),
      };
    },

    async solidity(revision, calls) {
      const { verificationKey } = await getProgram(readCircuitModel(revision), calls);
      const reply = await verifying.ask({ kind: "solidity", verificationKey }, limits.proveTimeoutMs);
      return expectReply(reply, "solidity").source;
    },

    async [Symbol.asyncDispose]() {
      await proving[Symbol.asyncDispose]();
      await verifying[Symbol.asyncDispose]();
    },
  };
}
