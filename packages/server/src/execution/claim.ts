/** What a receipt says, opened, and by what it is judged: what must be equal, how nearly, and what no verifier here can say. */
import {
  type Call,
  COMMITTED_TOKENS,
  type ExecutionProfile,
  equal,
  hex,
  isJsonObject,
  type JsonCall,
  type JsonObject,
  Malformed,
  type Manifest,
  type Method,
  outputLimit,
  parseAnyAnswer,
  parseCall,
  parseJsonAnswer,
  textElements,
  unitStep,
} from "@tallystick/protocol";
import { answersFault } from "./answers.ts";
import type { Tolerance } from "./compare.ts";
import { isSettledText } from "./settled-text.ts";

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
  /** Whether a verifier of the log has run the engine that the receipt names. */
  isEngineKnown: boolean;
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

/** What came of a claim, but for what that cost. */
export type Verdict = Omit<Reexecution, "costMicroseconds">;
/** What came of running it again. `unable` is no fault of the node. */
export type Again =
  | { kind: "answered"; answer: Uint8Array; units: number; outputUnits: number | undefined }
  | { kind: "refused"; message: string }
  | { kind: "unable"; message: string };

/** What a call without an answer says of a claim that there is one. */
export function notAnswered(outcome: { kind: string; message?: string; reason?: string }): Again {
  const { kind, message = kind, reason = kind } = outcome;
  if (kind !== "refused") return { kind: "unable", message: `it did not run to its end here (${reason}): ${message}` };
  return { kind, message: `the model refuses what an answer was signed for: ${message}` };
}

/** By what a claim is to be judged: bit by bit, or within a tolerance; `isOther`, where another judge than this one ran it. */
type Standard = { ok: true; tolerance?: Tolerance; isOther: boolean } | { ok: false; verdict: Verdict };

/** How `claim` is to be judged by a judge of the profile `judge`, or why it is judged already. */
export function standardOf(claim: Claim, judge: ExecutionProfile): Standard {
  const { manifest, profile } = claim;
  const name = `${manifest.name} ${manifest.version}`;
  const refuse = (detail: string): Standard => ({ ok: false, verdict: undecided(detail) });
  if (manifest.engine === "relay") return refuse(`${name} is relayed: what ran elsewhere cannot be run again`);
  if (manifest.engine !== "judge") {
    const { tolerance, engine } = manifest;
    if (tolerance === undefined)
      return refuse(`${name} runs on the ${engine} engine and states no tolerance to compare within`);
    const { absolute, relative } = tolerance;
    return { ok: true, tolerance: { absolute: Number(absolute), relative: Number(relative) }, isOther: false };
  }
  if (profile.exactness !== "exact" || !profile.runtime.startsWith(`${runtimeName(judge)}@`)) {
    const detail = `${name} runs on the judge, and the receipt says that ${profile.runtime} ran it (${profile.exactness})`;
    return { ok: false, verdict: { outcome: "failed", method: "reexecution", detail, isProvable: true } };
  }
  return { ok: true, isOther: isOtherJudge(claim, judge) };
}

/** Whether bits may differ between the judge of the receipt and this one, of this call. */
function isOtherJudge({ profile, call }: Claim, judge: ExecutionProfile): boolean {
  if (!equal(profile.binary, judge.binary)) return true;
  if (profile.runtime === judge.runtime) return false;
  const [engine, ours] = [profile.runtime, judge.runtime].map((runtime) => runtime.replace(/\/unicode-[0-9.]+$/, ""));
  return engine !== ours || !isSettledText(textOf(parseOr(parseCall, call)));
}

/** The text of a call that adapters read by Unicode's tables. */
function textOf(call: Call | undefined): string {
  if (call === undefined) return "";
  if (call.operation !== "infer") return JSON.stringify(call.body);
  const texts = call.inputs
    .filter(({ datatype }) => datatype === "BYTES")
    .flatMap((input) => textElements(input) ?? []);
  return texts.join(" ");
}

const runtimeName = ({ runtime }: ExecutionProfile) => runtime.slice(0, runtime.lastIndexOf("@"));

/** That another judge ran it than this one, in words that name both. */
export function otherJudge(theirs: ExecutionProfile, ours: ExecutionProfile): string {
  const name = ({ runtime, binary }: ExecutionProfile) => `${runtime} (${hex(binary).slice(0, 16)}…)`;
  return `the receipt says that ${name(theirs)} ran it, and here is ${name(ours)}`;
}

type Difference = { kind: "none" } | { kind: "some" | "unknown"; detail: string };

/** In what the claim is not what came of running it again. */
export function differenceOf(claim: Claim, again: Again, tolerance: Tolerance | undefined): Difference {
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

/** Nothing of which the node is at fault. */
export function undecided(detail: string, method: Verdict["method"] = "reexecution"): Verdict {
  return { outcome: "undecided", method, detail, isProvable: false };
}

/** Whether its answer is text that a model writes, token after token. */
export const isWritten = (call: Call): call is JsonCall => call.operation !== "infer" && call.operation !== "embedding";

/**
 * A node commits to the tokens of every answer that is not too long for it, where its engine is not exact. How long the answer
 * is, only the node says: what the call or the model does not allow is no reason to have no tokens.
 */
export function withoutTokens({ answer, manifest, outputUnits }: Claim, call: JsonCall): Verdict {
  const body = parseOr(parseJsonAnswer, answer);
  const usage = isJsonObject(body?.usage) ? body.usage : {};
  const count = Number(usage.completion_tokens ?? usage.output_tokens);
  const ofOne = Math.min(
    outputLimit(call.body) ?? Number.POSITIVE_INFINITY,
    manifest.contextLength ?? Number.POSITIVE_INFINITY,
  );
  const most = ofOne * (typeof call.body.n === "number" ? call.body.n : 1);
  if (count > COMMITTED_TOKENS && count <= most && outputUnits === unitStep(count))
    return undecided(`the answer has more than the ${COMMITTED_TOKENS} tokens that evidence commits to`, "forcing");
  const detail = "the receipt's evidence tells no tokens, without which its answer cannot be checked";
  return { outcome: "failed", method: "forcing", detail, isProvable: false };
}

/** What `parse` reads; undefined where it is malformed. */
export function parseOr<T>(parse: (bytes: Uint8Array) => T, bytes: Uint8Array): T | undefined {
  try {
    return parse(bytes);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}
