/**
 * Proofs in the network's own process: the circuit answers at once, its proof is made behind the call, kept for the receipt's
 * requester and given to the verifier (docs/spec/proof.md). One call a proof: who holds one sees all its calls.
 */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  CIRCUIT_PATH,
  commitInput,
  equal,
  hex,
  Malformed,
  type Manifest,
  type PublishedModel,
  parseCall,
  parseCircuitFile,
  quantise,
  type Tensor,
} from "@tallystick/protocol";
import type { ProvedAnswer, ProvedAnswers, ProvedCall } from "./node/proved-answers.ts";
import { ServiceError } from "./platform/errors.ts";
import { makeFolder, writeDurably } from "./platform/files.ts";
import type { Report } from "./platform/http.ts";
import { openProver, type ProofOutcome } from "./proving/prover.ts";
import type { MadeProof } from "./verifier/proof-check.ts";

export type ProofsParts = {
  /** Where compiled programs and proofs are kept, and the folder of the CRS. */
  folder: string;
  crsPath: string;
  files(manifest: Manifest): Promise<Map<string, Uint8Array>>;
  /** What opens the commitment to a revision's weights; undefined where nobody gave it to this network. */
  weightsSaltOf(revision: Uint8Array): Uint8Array | undefined;
  report: Report;
};

export type Proofs = {
  answers: ProvedAnswers;
  /** The evidence of a receipt; undefined where none was made, or not yet, or where it was of the oldest. */
  find(receiptId: Uint8Array): Promise<Uint8Array | undefined>;
  verify(manifest: Manifest, evidence: Uint8Array): Promise<ProofOutcome>;
  /** The key of a revision's circuit, made from its source here. */
  verificationKey(manifest: Manifest): Promise<Uint8Array>;
  /** Has `listener` told of each proof that was made. */
  follow(listener: (made: MadeProof) => void): void;
  /** Resolves once no proof is being made. */
  idle(): Promise<void>;
  close(): Promise<void>;
};

/** Calls that wait to be proved. */
const WAITING_MOST = 256;
/** Proofs that are kept: some 200 MB. */
const KEPT_MOST = 10_000;

type Job = { call: ProvedCall; input: Tensor; receiptId: Uint8Array; answer: { bytes: Uint8Array; salt: Uint8Array } };

export async function openProofs({ folder, crsPath, files, weightsSaltOf, report }: ProofsParts): Promise<Proofs> {
  const kept = join(folder, "proofs");
  await makeFolder(folder);
  await makeFolder(kept);
  const names = new Set(await readdir(kept));
  const prover = await openProver({ folder, crsPath });
  const revisions = new WeakMap<Manifest, Promise<Map<string, Uint8Array>>>();
  const listeners: ((made: MadeProof) => void)[] = [];
  let takenCount = 0;
  let isClosed = false;
  let proving: Promise<void> = Promise.resolve();

  async function revisionOf(manifest: Manifest) {
    const reading = revisions.get(manifest) ?? files(manifest);
    revisions.set(manifest, reading);
    reading.catch(() => revisions.delete(manifest));
    return { manifest, files: await reading };
  }

  function saltOf({ revision, manifest }: PublishedModel): Uint8Array {
    const salt = weightsSaltOf(revision);
    if (salt !== undefined) return salt;
    throw new ServiceError(
      "unavailable",
      `${manifest.name} is not proved here: its model.json gives no weightsSalt; ask for another tier`,
    );
  }

  async function keep(receiptId: Uint8Array, evidence: Uint8Array): Promise<void> {
    await writeDurably(join(kept, hex(receiptId)), evidence, 0o600);
    names.add(hex(receiptId));
    for (const oldest of names) {
      if (names.size <= KEPT_MOST) break;
      names.delete(oldest);
      await rm(join(kept, oldest), { force: true });
    }
  }

  async function prove({ call, input, receiptId, answer }: Job): Promise<void> {
    try {
      if (isClosed) return;
      const revision = await revisionOf(call.model.manifest);
      const calls = [{ receiptId, input, salt: call.salt }];
      const [evidence] = await prover.prove(revision, saltOf(call.model), calls);
      if (evidence === undefined) throw new Error("the prover gave no evidence");
      await keep(receiptId, evidence);
      for (const listener of listeners) listener({ receiptId, evidence, answer });
    } catch (error) {
      if (!isClosed) report("a receipt could not be proved", { receipt: hex(receiptId), error: String(error) });
    }
  }

  /** The place of a call in the queue. Throws unavailable where there is none. */
  function place(): { release(): void } {
    if (takenCount >= WAITING_MOST)
      throw new ServiceError("unavailable", `${WAITING_MOST} calls wait to be proved here: ask again in a minute`);
    takenCount++;
    let isHeld = true;
    return {
      release() {
        if (isHeld) takenCount--;
        isHeld = false;
      },
    };
  }

  async function answer(call: ProvedCall, input: Tensor): Promise<Tensor[]> {
    const revision = await revisionOf(call.model.manifest);
    const salt = saltOf(call.model);
    prover.estimate(revision, 1); // Throws where it is too large to be proved here.
    return prover.answer(revision, salt, input).outputs;
  }

  async function take(call: ProvedCall): Promise<ProvedAnswer> {
    const { manifest } = call.model;
    const input = await openedInput(call, (await revisionOf(manifest)).files);
    const { release } = place();
    let isQueued = false;
    try {
      const outputs = await answer(call, input);
      return {
        outputs,
        profile: { runtime: "tallystick-circuit@1", binary: circuitOf(manifest).program, exactness: "exact" },
        prove(receiptId, given) {
          isQueued = true;
          proving = proving.then(() => prove({ call, input, receiptId, answer: given })).finally(release);
        },
        release: () => isQueued || release(),
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  return {
    answers: { take },
    find: async (receiptId) =>
      names.has(hex(receiptId)) ? new Uint8Array(await readFile(join(kept, hex(receiptId)))) : undefined,
    verify: async (manifest, evidence) => prover.verify(await revisionOf(manifest), evidence),
    verificationKey: async (manifest) => prover.verificationKey(await revisionOf(manifest)),
    follow: (listener) => void listeners.push(listener),
    idle: () => proving,
    async close() {
      isClosed = true;
      await prover[Symbol.asyncDispose]();
      await proving;
    },
  };
}

function circuitOf({ name, circuit }: Manifest): NonNullable<Manifest["circuit"]> {
  if (circuit !== undefined) return circuit;
  throw new ServiceError("invalid_request", `${name} has no circuit: ask for another tier`);
}

/** The one tensor of a call, which is the one committed to. */
async function openedInput({ asked, salt, call, model }: ProvedCall, files: Map<string, Uint8Array>): Promise<Tensor> {
  try {
    const given = parseCall(call);
    const [input, ...others] = given.operation === "infer" ? given.inputs : [];
    if (input === undefined || others.length > 0) throw new Malformed("is not of one tensor, which is what is proved");
    if (input.name !== model.manifest.forms[0]?.[0]?.name) throw new Malformed(`has no such input as "${input.name}"`);
    const circuit = parseCircuitFile(files.get(CIRCUIT_PATH) ?? new Uint8Array(0));
    if (!equal(commitInput(circuit, quantise(circuit, input).values, salt), asked.request.digest))
      throw new ServiceError("invalid_request", "the call is not the one that the authorization commits to");
    return input;
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new ServiceError("invalid_request", `the call ${cause.message}`, { cause });
  }
}
