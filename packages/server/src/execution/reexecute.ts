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
  inputsFault,
  parseCall,
  seedOf,
  sha256,
  tokensIn,
  unitStep,
} from "@tallystick/protocol";
import { createLocalGenerator } from "../local-generator.ts";
import { answerJson } from "../node/json-answer.ts";
import { bounded, choose } from "../node/tensor-answer.ts";
import {
  type Again,
  type Claim,
  differenceOf,
  isWritten,
  notAnswered,
  otherJudge,
  parseOr,
  type Reexecution,
  standardOf,
  undecided,
  type Verdict,
  withoutTokens,
} from "./claim.ts";
import type { Log } from "./crew.ts";
import type { ClaimedTokens } from "./generation.ts";
import { EXECUTION_LIMITS, type ExecutionLimits } from "./limits.ts";
import { openExecution } from "./pool.ts";
import { readJudge } from "./profile.ts";

export type { Claim, Reexecution } from "./claim.ts";

export type Judge = AsyncDisposable & {
  /** Total but for faults of ours. One claim after another; those that wait are in order. */
  reexecute(claim: Claim): Promise<Reexecution>;
  /** The exact engine of this judge: what it runs on can be compared bit by bit. */
  profile: ExecutionProfile;
};

export type JudgeOptions = {
  deadlineMs?: number;
  limits?: Partial<ExecutionLimits>;
  /** Finds node-llama-cpp, where it is not beside this package. */
  findLlama?: (id: string) => string;
  log: Log;
};

const DEADLINE_MS = 600_000;
/** Claims that wait. */
const WAITING_MOST = 256;

/** Opens the one worker in which claims are judged. */
export async function openReexecution({ deadlineMs = DEADLINE_MS, ...options }: JudgeOptions): Promise<Judge> {
  const { loadedBytes } = { ...EXECUTION_LIMITS, ...options.limits };
  const { profile: judge } = await readJudge();
  const pool = await openExecution({ judgeWorkerCount: 1, ...options });
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
      const engine = manifest.engine === "native" ? "judge" : manifest.engine;
      if (!known) await pool.load({ digest: revision, manifest: { ...manifest, engine }, files });
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

  async function run(
    revision: Uint8Array,
    { manifest, receiptId }: Claim,
    call: Call,
    claimed: ClaimedTokens | undefined,
  ): Promise<Again> {
    if (call.operation !== "infer") {
      const generator = createLocalGenerator(pool, claimed);
      const options = { seed: seedOf(receiptId), deadlineMs };
      const outcome = await answerJson(generator, { revision, manifest }, call, options);
      if (outcome.kind !== "answered") return notAnswered(outcome);
      const { promptTokens, completionTokens } = outcome.usage;
      const outputUnits = call.operation === "embedding" ? undefined : unitStep(completionTokens);
      return { kind: "answered", answer: outcome.bytes, units: unitStep(promptTokens), outputUnits };
    }
    const execution = await pool.run(revision, call.inputs, { deadlineMs });
    if (execution.kind === "overloaded") return notAnswered(execution);
    const concluded = bounded(choose(execution, call.outputs));
    if (concluded.kind !== "answered") {
      // What the engine fails at may be for reasons of this machine, but not where the call has none of the model's forms.
      const fault = inputsFault(manifest, call.inputs);
      return notAnswered(fault === undefined ? concluded : { kind: "refused", message: fault });
    }
    const { outputs, unitCount } = concluded;
    return { kind: "answered", answer: encodeAnswer(outputs), units: unitStep(unitCount), outputUnits: undefined };
  }

  async function decide(claim: Claim): Promise<Verdict> {
    const standard = standardOf(claim, judge);
    if (!standard.ok) return standard.verdict;
    const { tolerance, isOther } = standard;
    const call = parseOr(parseCall, claim.call);
    const forced = tolerance !== undefined && call !== undefined && isWritten(call) ? call : undefined;
    const method = forced !== undefined ? "forcing" : "reexecution";
    const isProvable = tolerance === undefined;
    const failed = (detail: string): Verdict => ({ outcome: "failed", method, detail, isProvable });
    if (call === undefined) return failed("what was answered is no call");
    // Of text on an engine that is not exact, the tokens themselves are checked, each beside those that the node wrote before it.
    const tokens = forced === undefined ? undefined : tokensIn(claim.evidence ?? {});
    if (forced !== undefined && tokens === undefined) return withoutTokens(claim, forced);
    const opened = await load(claim);
    if ("missing" in opened) return undecided(`the model does not open here: ${opened.missing}`, method);
    const { runtime, binary } = pool.profile(opened.revision);
    const profile: ExecutionProfile = { runtime, binary, exactness: isProvable ? "exact" : "tolerant" };
    const claimed = tokens === undefined || tolerance === undefined ? undefined : { tokens, tolerance };
    const again = await run(opened.revision, claim, call, claimed);
    const difference = differenceOf(claim, again, tolerance);
    if (difference.kind === "none") {
      const detail = `the model gives the same answer${isProvable ? ", bit for bit" : ", within the tolerance of its revision"}`;
      return { outcome: "passed", method, detail, isProvable: false, profile };
    }
    if (difference.kind === "unknown") return { ...undecided(difference.detail, method), profile };
    if (!isOther) return { ...failed(difference.detail), profile };
    const detail = `${otherJudge(claim.profile, judge)}, and ${difference.detail}`;
    if (claim.isEngineKnown || equal(claim.profile.binary, judge.binary)) return { ...undecided(detail), profile };
    // Else whoever names an engine that nobody has could not be found wrong. That it gives other bits nobody can show.
    return { ...failed(`${detail}; no verifier of this log has run that engine`), isProvable: false, profile };
  }

  return {
    profile: judge,

    reexecute(claim) {
      if (waiting >= WAITING_MOST)
        return Promise.resolve({ ...undecided(`${waiting} claims wait already`), costMicroseconds: 0 });
      waiting++;
      const next = last.then(async () => {
        const begun = performance.now();
        const before = process.cpuUsage();
        const verdict = await decide(claim);
        const { user, system } = process.cpuUsage(before);
        // A judge's process does nothing else. What native engines take is in a process of theirs, which is busy with this alone.
        const isHere = claim.manifest.engine === "judge";
        return { ...verdict, costMicroseconds: isHere ? user + system : Math.ceil(1000 * (performance.now() - begun)) };
      });
      last = next.catch(() => {}).finally(() => waiting--);
      return next;
    },

    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}
