/**
 * How far the numbers of a revision's own engine are from those of the engine that verifies it, measured on golden inputs: the
 * tolerance that its manifest states (docs/design/judge-runtime.md, "Tolerance").
 */
import assert from "node:assert/strict";
import { encodeManifest, type Manifest, sha256, type Tensor } from "@tallystick/protocol";
import { tensorsFault } from "./compare.ts";
import { floatsOf, isFloat } from "./floats.ts";
import type { ClaimedTokens, GenerationRequest, TokenLogprob } from "./generation.ts";
import { type ExecutionPool, openExecution } from "./pool.ts";

/** Calls that stand for all: in tensors, or prompts of a model that writes. */
export type Golden = { calls: Tensor[][] } | { prompts: GenerationRequest[] };
/** A number as the revision's own engine gives it, and as the verifying one does. */
export type Pair = { own: number; verifying: number };
export type Measured = { tolerance: NonNullable<Manifest["tolerance"]>; pairCount: number; differing: number };

/** What was seen, times this: other processors differ more than the one that measured. */
const ALLOWANCE = 10;
/** Of the largest value. Engines that agree on the golden inputs were seen to differ by a quarter of it on others. */
const LEAST = 1e-5;
/** Below this share of the largest value, an error is measured as it is and not by the value. */
const SMALL = 1e-3;

const ANY: ClaimedTokens["tolerance"] = { absolute: Number.MAX_VALUE, relative: 0 };
const DEADLINE_MS = 600_000;

export type MeasureOptions = { findLlama?: (id: string) => string };

/** Throws where the two differ in what is no number: no tolerance covers that. */
export async function measureTolerance(
  { manifest, files }: { manifest: Manifest; files: ReadonlyMap<string, Uint8Array> },
  golden: Golden,
  options: MeasureOptions = {},
): Promise<Measured> {
  await using pool = await openExecution({ judgeWorkerCount: 1, log: () => {}, ...options });
  const load = async (engine: Manifest["engine"]) => {
    const as = { ...manifest, engine };
    const digest = sha256(encodeManifest(as));
    await pool.load({ digest, manifest: as, files });
    return digest;
  };
  const own = await load(manifest.engine);
  const verifying = manifest.engine === "native" ? await load("judge") : own;
  const pairs: Pair[] = [];
  if ("calls" in golden)
    for (const call of golden.calls) pairs.push(...(await comparedOutputs(pool, own, verifying, call)));
  else for (const prompt of golden.prompts) pairs.push(...(await comparedLogprobs(pool, own, verifying, prompt)));
  return {
    tolerance: "calls" in golden ? toleranceOf(pairs) : logitToleranceOf(pairs),
    pairCount: pairs.length,
    differing: pairs.filter((pair) => pair.own !== pair.verifying).length,
  };
}

async function comparedOutputs(pool: ExecutionPool, own: Uint8Array, verifying: Uint8Array, call: Tensor[]) {
  const run = async (digest: Uint8Array) => {
    const execution = await pool.run(digest, call, { deadlineMs: DEADLINE_MS });
    if (execution.kind !== "answered") throw new Error(`a golden input has no answer: ${execution.message}`);
    return execution.outputs;
  };
  const [ours, theirs] = [await run(own), await run(verifying)];
  const fault = tensorsFault(ours, theirs, { absolute: Number.MAX_VALUE, relative: 0 });
  if (fault !== undefined) throw new Error(`the engines differ in more than numbers: ${fault}`);
  return ours.flatMap((output, i) => {
    const other = theirs[i];
    if (other === undefined || !isFloat(output.datatype)) return [];
    const values = floatsOf(other);
    return Array.from(floatsOf(output), (value, at): Pair => ({ own: value, verifying: values[at] ?? Number.NaN }));
  });
}

/** How many of the likeliest tokens are compared at each place. */
const TOP = 20;

/** What is written is read again as a verifier reads it, and the probabilities at each place are compared. */
async function comparedLogprobs(
  pool: ExecutionPool,
  own: Uint8Array,
  verifying: Uint8Array,
  prompt: GenerationRequest,
): Promise<Pair[]> {
  const request = { ...prompt, topLogprobs: TOP };
  const read = async (digest: Uint8Array, claimed?: ClaimedTokens) => {
    const logprobs: TokenLogprob[] = [];
    const onDelta = (delta: { logprobs: TokenLogprob[] }) => logprobs.push(...delta.logprobs);
    const end = await pool.generate(digest, request, { deadlineMs: DEADLINE_MS, claimed, onDelta });
    if (end.kind !== "answered") throw new Error(`a golden prompt has no answer: ${JSON.stringify(end)}`);
    return { logprobs, tokens: end.choices.map(({ tokens }) => tokens) };
  };
  const written = await read(own);
  const forced = await read(verifying, { tokens: written.tokens, tolerance: ANY });
  assert.equal(written.logprobs.length, forced.logprobs.length, "the same tokens have as many probabilities");
  return written.logprobs.flatMap(({ logprob, top }, at) => {
    const other = forced.logprobs[at];
    if (other === undefined) return [];
    const known = new Map(other.top.map((one) => [one.bytes.join(), one.logprob]));
    const pairs = top.map((one): Pair => ({ own: one.logprob, verifying: known.get(one.bytes.join()) ?? one.logprob }));
    return [{ own: logprob, verifying: other.logprob }, ...pairs];
  });
}

/** Ten times the worst that was seen: relative to the value, and beside it for what is near zero. */
export function toleranceOf(pairs: readonly Pair[]): Measured["tolerance"] {
  const finite = pairs.filter(({ own, verifying }) => Number.isFinite(own) && Number.isFinite(verifying));
  if (finite.length === 0) throw new Error("the golden inputs give no number to measure by");
  const largest = finite.reduce((most, { verifying }) => Math.max(most, Math.abs(verifying)), 0);
  let [absolute, relative] = [LEAST * largest, LEAST];
  for (const { own, verifying } of finite) {
    const error = Math.abs(own - verifying);
    if (Math.abs(verifying) > SMALL * largest) relative = Math.max(relative, (ALLOWANCE * error) / Math.abs(verifying));
    else absolute = Math.max(absolute, ALLOWANCE * error);
  }
  return { absolute: decimalAbove(absolute), relative: decimalAbove(relative) };
}

/** Of logits, by the logarithms of probabilities: what counts there is the distance between two, not from zero. */
export function logitToleranceOf(pairs: readonly Pair[]): Measured["tolerance"] {
  if (pairs.length === 0) throw new Error("the golden prompts give no probability to measure by");
  const worst = pairs.reduce((most, { own, verifying }) => Math.max(most, Math.abs(own - verifying)), 0);
  return { absolute: decimalAbove(Math.max(ALLOWANCE * worst, 10 * LEAST)), relative: "0" };
}

/** The least decimal of two digits that is not below `value`. */
function decimalAbove(value: number): string {
  if (value === 0) return "0";
  const digit = Math.floor(Math.log10(value)) - 1;
  const found = Math.ceil(Number((value / 10 ** digit).toPrecision(12)));
  return String(Number(`${found}e${digit}`));
}
