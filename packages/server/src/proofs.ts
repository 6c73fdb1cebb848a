/**
 * Proofs in the network's own process: the circuit answers at once, its proof is made behind the call, once the log has the
 * receipt, kept for its requester and checked by the verifier (docs/spec/proof.md). One call a proof: who holds one sees all
 * its calls.
 */
import { join } from "node:path";
import {
  CIRCUIT_PATH,
  commitInput,
  equal,
  type FoldState,
  hex,
  keyOf,
  Malformed,
  type Manifest,
  type PublishedModel,
  parseCall,
  parseCircuitFile,
  quantise,
  type Tensor,
} from "@tallystick/protocol";
import type { ProvedAnswer, ProvedAnswers, ProvedCall } from "./node/proved-answers.ts";
import { type Clock, nowSeconds } from "./platform/clock.ts";
import { closeDatabase, openDatabase } from "./platform/database.ts";
import { ServiceError } from "./platform/errors.ts";
import { makeFolder } from "./platform/files.ts";
import type { Report } from "./platform/http.ts";
import type { Random } from "./platform/random.ts";
import { createProofStore, type ProofJob, type ProofStore } from "./proof-store.ts";
import { openProver, type ProofOutcome } from "./proving/prover.ts";
import { createLoop } from "./verifier/loop.ts";

export type ProofsParts = {
  /** Where compiled programs and proofs are kept, and the folder of the CRS. */
  folder: string;
  crsPath: string;
  /** Under which calls and proofs are sealed: kept elsewhere. */
  sealingKey: Uint8Array;
  /** What is published by now, at the start all that the log has. */
  fold: Pick<FoldState, "receipts" | "models">;
  files(manifest: Manifest): Promise<Map<string, Uint8Array>>;
  /** What opens the commitment to a revision's weights; undefined where nobody gave it to this network. */
  weightsSaltOf(revision: Uint8Array): Uint8Array | undefined;
  clock: Clock;
  random: Random;
  report: Report;
};

export type Proofs = Pick<ProofStore, "find" | "destroy" | "listUnchecked" | "noteChecked"> & {
  answers: ProvedAnswers;
  verify(manifest: Manifest, evidence: Uint8Array): Promise<ProofOutcome>;
  /** The key of a revision's circuit, made from its source here. */
  verificationKey(manifest: Manifest): Promise<Uint8Array>;
  /** The fold knows more receipts: those among them that are to be proved are. */
  wake(): void;
  /** Tells `listener` whenever a proof was made, or given up. */
  follow(listener: () => void): void;
  /** Resolves once no proof is being made. */
  idle(): Promise<void>;
  close(): Promise<void>;
};

/** Calls that wait to be proved. */
const WAITING_MOST = 256;
/** How often one is tried: a busy machine may cost one, and what ends the process must not do so for ever. */
const ATTEMPTS_MOST = 3;
const SWEEP_SECONDS = 60;

export async function openProofs(parts: ProofsParts): Promise<Proofs> {
  const { folder, crsPath, fold, files, weightsSaltOf, clock, report } = parts;
  const prover = await openProver({ folder, crsPath });
  await makeFolder(folder);
  // Whoever has an answer has its proof, or is told that there is none: also after power was lost.
  const database = openDatabase(join(folder, "proofs.sqlite"), "FULL");
  const store = createProofStore({ ...parts, database });
  // A crash before the receipt was signed: nobody was promised anything, and the call may come again.
  for (const id of store.listWaiting()) if (!fold.receipts.has(keyOf(id))) store.destroy(id);
  const revisions = new WeakMap<Manifest, Promise<Map<string, Uint8Array>>>();
  const listeners: (() => void)[] = [];
  let takenCount = 0;
  let isClosed = false;
  let sweptSeconds = 0;
  const loop = createLoop(proveAll, report);

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

  async function proveAll(): Promise<void> {
    for (const id of store.listWaiting())
      if (!isClosed && fold.receipts.has(keyOf(id)))
        await prove(id).catch((error: unknown) => {
          report("a receipt could not be proved", { receipt: hex(id), error: String(error) });
        });
  }

  async function prove(id: Uint8Array): Promise<void> {
    const found = store.find(id);
    if (found?.state === "failed") return giveUp(id, found.reason);
    if (found?.state !== "waiting") return;
    const { job, attempts } = found;
    if (attempts >= ATTEMPTS_MOST) return giveUp(id, "the process that proves ended each time");
    store.noteAttempt(id, 1);
    try {
      const evidence = await evidenceOf(id, job);
      store.conclude(id, { state: "made", evidence, answer: job.answer }, nowSeconds(clock));
      for (const listener of listeners) listener();
    } catch (error) {
      if (isClosed) return store.noteAttempt(id, -1); // It was cut short, and is done at the next start.
      const reason = error instanceof Error ? error.message : String(error);
      if (attempts + 1 >= ATTEMPTS_MOST) return giveUp(id, reason);
      report("a receipt could not be proved, and is tried again", { receipt: hex(id), error: reason });
      loop.wake();
    }
  }

  function giveUp(id: Uint8Array, reason: string): void {
    store.conclude(id, { state: "failed", reason }, nowSeconds(clock));
    report("a receipt could not be proved", { receipt: hex(id), error: reason });
    for (const listener of listeners) listener();
  }

  async function evidenceOf(receiptId: Uint8Array, { call, salt }: ProofJob): Promise<Uint8Array> {
    const model = fold.models.get(fold.receipts.get(keyOf(receiptId))?.model ?? "");
    if (model === undefined) throw new Error("the log has no such revision");
    const revision = await revisionOf(model.manifest);
    const [input] = tensorsOf(call);
    if (input === undefined) throw new Error("the call has no input");
    const [evidence] = await prover.prove(revision, saltOf(model), [{ receiptId, input, salt }]);
    if (evidence === undefined) throw new Error("the prover gave no evidence");
    return evidence;
  }

  /** The place of a call in the queue until it is kept. Throws unavailable where there is none. */
  function place(): { release(): void } {
    if (takenCount + store.waitingCount >= WAITING_MOST)
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
    try {
      const outputs = await answer(call, input);
      return {
        outputs,
        profile: { runtime: "tallystick-circuit@1", binary: circuitOf(manifest).program, exactness: "exact" },
        keep(receiptId, given) {
          store.keep(receiptId, { call: call.call, salt: call.salt, answer: given });
          release();
        },
        release,
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  function wake(): void {
    const now = nowSeconds(clock);
    if (now - sweptSeconds >= SWEEP_SECONDS) {
      sweptSeconds = now;
      store.sweep(now);
    }
    loop.wake();
  }

  wake();
  return {
    answers: { take },
    find: store.find,
    destroy: store.destroy,
    listUnchecked: store.listUnchecked,
    noteChecked: store.noteChecked,
    verify: async (manifest, evidence) => prover.verify(await revisionOf(manifest), evidence),
    verificationKey: async (manifest) => prover.verificationKey(await revisionOf(manifest)),
    wake,
    follow: (listener) => void listeners.push(listener),
    idle: loop.idle,
    async close() {
      isClosed = true;
      await prover[Symbol.asyncDispose]();
      await loop.close();
      closeDatabase(database);
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
    const [input, ...others] = tensorsOf(call);
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

/** Throws Malformed. */
function tensorsOf(call: Uint8Array): Tensor[] {
  const given = parseCall(call);
  return given.operation === "infer" ? given.inputs : [];
}
