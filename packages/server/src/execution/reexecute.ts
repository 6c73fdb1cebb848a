/**
 * Runs what a receipt is about again and compares, for a verifier or a referee (docs/design/judge-runtime.md): the path that a
 * node takes from a call's canonical bytes to an answer's, in a pool of its own, without a network.
 */
import {
  type Call,
  type ExecutionProfile,
  encodeAnswer,
  encodeManifest,
  equal,
  hex,
  type JsonObject,
  Malformed,
  type Manifest,
  type Method,
  parseAnyAnswer,
  parseCall,
  seedOf,
  sha256,
  unitStep,
} from "@tallystick/protocol";
import { createLocalGenerator } from "../local-generator.ts";
import { answerJson } from "../node/json-answer.ts";
import { bounded, choose } from "../node/tensor-answer.ts";
import { answersFault } from "./answers.ts";
import type { Tolerance } from "./compare.ts";
import type { Log } from "./crew.ts";
import { EXECUTION_LIMITS, type ExecutionLimits } from "./limits.ts";
import { openExecution } from "./pool.ts";
import { type EngineProfile, readJudge } from "./profile.ts";

/** What a receipt says, opened: its call, its answer, and what it is about. */
export type Claim = {
  manifest: Manifest;
  /** By path in the manifest. They are held to its digests; what is missing leaves the claim undecided. */
  files: ReadonlyMap<string, Uint8Array>;
  /** The canonical bytes, as the opening has them and the commitments hold. */
  call: Uint8Array;
  answer: Uint8Array;
  receiptId: Uint8Array;
  /** What the receipt says ran it, and how much it counted. */
  profile: ExecutionProfile;
  units: number;
  outputUnits?: number;
  /** What the receipt's evidence commits to: of a language model on an engine that is not exact, its tokens. */
  evidence?: JsonObject;
};

export type Reexecution = {
  outcome: "passed" | "failed" | "undecided";
  method: Method & ("reexecution" | "forcing");
  /** Why, in words that say nothing of the content. */
  detail: string;
  /** Whether a failure is a fault that anybody can show: only what must be bit for bit the same can be. */
  isProvable: boolean;
  costMicroseconds: number;
  /** What ran it here; lacks where nothing ran. */
  profile?: ExecutionProfile;
};

export type Judge = AsyncDisposable & {
  /** Total but for faults of ours. One claim after another; those that wait are in order. */
  reexecute(claim: Claim): Promise<Reexecution>;
  /** The exact engine of this judge: what it runs on can be compared bit by bit. */
  profile: ExecutionProfile;
};

export type JudgeOptions = { deadlineMs?: number; limits?: Partial<ExecutionLimits>; log: Log };

type Verdict = Omit<Reexecution, "costMicroseconds">;

const DEADLINE_MS = 600_000;
/** Claims that wait. */
const WAITING_MOST = 256;

/** Opens the one worker in which claims are judged. */
export async function openReexecution({ deadlineMs = DEADLINE_MS, limits, log }: JudgeOptions): Promise<Judge> {
  const { loadedBytes } = { ...EXECUTION_LIMITS, ...limits };
  const judge = signedProfile((await readJudge()).profile);
  const pool = await openExecution({ judgeWorkerCount: 1, ...(limits === undefined ? {} : { limits }), log });
  /** The revisions that are loaded, by the bytes of their files; the one used longest ago comes first. */
  const loaded = new Map<string, { digest: Uint8Array; sizeBytes: number }>();
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();

  /** Why the model cannot be run here; undefined once it can. */
  async function load({ manifest, files }: Claim): Promise<{ revision: Uint8Array } | { missing: string }> {
    const revision = sha256(encodeManifest(manifest));
    const key = hex(revision);
    const sizeBytes = manifest.artifacts.reduce((sum, artifact) => sum + artifact.sizeBytes, 0);
    const known = loaded.delete(key);
    if (!known) await makeRoom(sizeBytes);
    try {
      // A native revision is judged by the judge: the same graph, and arithmetic that is the same everywhere.
      if (!known) await pool.load({ digest: revision, manifest: { ...manifest, engine: "judge" }, files });
    } catch (error) {
      return { missing: error instanceof Error ? error.message : String(error) };
    }
    loaded.set(key, { digest: revision, sizeBytes });
    return { revision };
  }

  async function makeRoom(sizeBytes: number): Promise<void> {
    let sum = sizeBytes + [...loaded.values()].reduce((all, one) => all + one.sizeBytes, 0);
    for (const [key, one] of [...loaded]) {
      if (sum <= loadedBytes) return;
      loaded.delete(key);
      sum -= one.sizeBytes;
      await pool.unload(one.digest);
    }
  }

  async function run(revision: Uint8Array, { manifest, receiptId }: Claim, call: Call): Promise<Again> {
    if (call.operation !== "infer") {
      const outcome = await answerJson(createLocalGenerator(pool), { revision, manifest }, call, {
        seed: seedOf(receiptId),
        deadlineMs,
      });
      if (outcome.kind !== "answered") return notAnswered(outcome);
      const { promptTokens, completionTokens } = outcome.usage;
      const outputUnits = call.operation === "embedding" ? undefined : unitStep(completionTokens);
      return { kind: "answered", answer: outcome.bytes, units: unitStep(promptTokens), outputUnits };
    }
    const execution = await pool.run(revision, call.inputs, { deadlineMs });
    if (execution.kind === "overloaded") return notAnswered(execution);
    const concluded = bounded(choose(execution, call.outputs));
    if (concluded.kind !== "answered") return notAnswered(concluded);
    const { outputs, unitCount } = concluded;
    return { kind: "answered", answer: encodeAnswer(outputs), units: unitStep(unitCount), outputUnits: undefined };
  }

  async function decide(claim: Claim): Promise<Verdict> {
    const standard = standardOf(claim, judge);
    if (!standard.ok) return standard.verdict;
    const { tolerance, isOther } = standard;
    const profile: ExecutionProfile = { ...judge, exactness: tolerance === undefined ? "exact" : "tolerant" };
    const says = (outcome: Verdict["outcome"], detail: string): Verdict => {
      const isProvable = outcome === "failed" && tolerance === undefined;
      return { outcome, method: "reexecution", detail, isProvable, profile };
    };
    const call = parseOr(parseCall, claim.call);
    if (call === undefined) return says("failed", "what was answered is no call");
    const opened = await load(claim);
    if ("missing" in opened) return undecided(`the model does not open here: ${opened.missing}`);
    const again = await run(opened.revision, claim, call);
    const fault = differenceOf(claim, again, tolerance);
    if (fault.kind === "none") return says("passed", tolerance === undefined ? SAME : WITHIN);
    if (fault.kind === "unknown") return { ...says("undecided", fault.detail) };
    if (!isOther) return says("failed", fault.detail);
    return says("undecided", `${otherJudge(claim.profile, judge)}, and ${fault.detail}`);
  }

  return {
    profile: judge,

    reexecute(claim) {
      if (waiting >= WAITING_MOST)
        return Promise.resolve({ ...undecided(`${waiting} claims wait already`), costMicroseconds: 0 });
      waiting++;
      const next = last.then(async () => {
        // The one worker is busy with nothing else: the time that passes is its own.
        const begun = performance.now();
        const verdict = await decide(claim);
        return { ...verdict, costMicroseconds: Math.ceil(1000 * (performance.now() - begun)) };
      });
      last = next.catch(() => {}).finally(() => waiting--);
      return next;
    },

    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}

const SAME = "the model gives the same answer, bit for bit";
const WITHIN = "the model gives the same answer, within the tolerance of its revision";

/** What came of running it again. `unable` is no fault of the node. */
type Again =
  | { kind: "answered"; answer: Uint8Array; units: number; outputUnits: number | undefined }
  | { kind: "refused"; message: string }
  | { kind: "unable"; message: string };

/** What a call without an answer says of a claim that there is one. */
function notAnswered(outcome: { kind: string; message?: string; reason?: string }): Again {
  const { kind, message = kind, reason = kind } = outcome;
  return kind === "refused"
    ? { kind, message: "the model refuses the call, and an answer was signed" }
    : { kind: "unable", message: `it did not run to its end here (${reason}): ${message}` };
}

/** By what a claim is to be judged: bit by bit, or within a tolerance; `isOther`, where another judge than this one ran it. */
type Standard = { ok: true; tolerance?: Tolerance; isOther: boolean } | { ok: false; verdict: Verdict };

function standardOf({ manifest, profile }: Claim, judge: ExecutionProfile): Standard {
  const name = `${manifest.name} ${manifest.version}`;
  const refuse = (detail: string): Standard => ({ ok: false, verdict: undecided(detail) });
  if (manifest.engine === "relay") return refuse(`${name} is relayed: what ran elsewhere cannot be run again`);
  if (manifest.engine === "llama") return refuse(`${name} runs on llama.cpp, which the judge does not`);
  if (manifest.engine === "native") {
    const { tolerance } = manifest;
    if (tolerance === undefined) return refuse(`${name} is native and states no tolerance to compare within`);
    const { absolute, relative } = tolerance;
    return { ok: true, tolerance: { absolute: Number(absolute), relative: Number(relative) }, isOther: false };
  }
  if (profile.exactness !== "exact" || !profile.runtime.startsWith(`${runtimeName(judge)}@`)) {
    const detail = `${name} runs on the judge, and the receipt says that ${profile.runtime} ran it (${profile.exactness})`;
    return { ok: false, verdict: { outcome: "failed", method: "reexecution", detail, isProvable: true } };
  }
  return { ok: true, isOther: profile.runtime !== judge.runtime || !equal(profile.binary, judge.binary) };
}

const runtimeName = ({ runtime }: ExecutionProfile) => runtime.slice(0, runtime.lastIndexOf("@"));

function otherJudge(theirs: ExecutionProfile, ours: ExecutionProfile): string {
  const name = ({ runtime, binary }: ExecutionProfile) => `${runtime} (${hex(binary).slice(0, 16)}…)`;
  return `the receipt says that ${name(theirs)} ran it, and here is ${name(ours)}`;
}

type Difference = { kind: "none" } | { kind: "some" | "unknown"; detail: string };

function differenceOf(claim: Claim, again: Again, tolerance: Tolerance | undefined): Difference {
  if (again.kind !== "answered") return { kind: again.kind === "refused" ? "some" : "unknown", detail: again.message };
  const fault = equal(claim.answer, again.answer)
    ? undefined
    : answersFault(parseOr(parseAnyAnswer, claim.answer), parseAnyAnswer(again.answer), tolerance);
  if (fault !== undefined) return { kind: "some", detail: `the answer is not the model's: ${fault}` };
  const counted = [claim.units, claim.outputUnits].join();
  if (counted !== [again.units, again.outputUnits].join())
    return { kind: "some", detail: "the answer is the model's, and the receipt counts other units than it took" };
  return { kind: "none" };
}

function undecided(detail: string): Verdict {
  return { outcome: "undecided", method: "reexecution", detail, isProvable: false };
}

function signedProfile({ runtime, binary, exactness }: EngineProfile): ExecutionProfile {
  return { runtime, binary, exactness };
}

function parseOr<T>(parse: (bytes: Uint8Array) => T, bytes: Uint8Array): T | undefined {
  try {
    return parse(bytes);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}
