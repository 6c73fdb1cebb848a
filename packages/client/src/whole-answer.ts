/** Whole answers of OpenAI's routes: checked against their receipt, and given out as what was checked and no more. */
import {
  type Check,
  encodeJsonAnswer,
  equal,
  findJson,
  isJsonObject,
  type Json,
  type JsonObject,
  type JsonOperation,
  parseReceiptMember,
  type ReceiptMember,
  receiptJson,
  signedId,
} from "@tallystick/protocol";
import { type Asked, checkAnswer, type VerifiedAnswer } from "./answer-check.ts";
import { orUnverified, UnverifiedError } from "./errors.ts";
import type { NodeKeys } from "./node-keys.ts";
import { ANSWER_OF } from "./openai-route.ts";

/** Holds a body to what was asked. What is given is that body with all left out that the receipt does not cover. */
export async function checkWhole(
  operation: JsonOperation,
  asked: Asked,
  text: string,
  nodeKeys: NodeKeys,
): Promise<{ body: JsonObject; verified: VerifiedAnswer }> {
  const body = parseObject(text);
  const member = memberOf(body.receipt, asked);
  const canonical = orUnverified("the answer", () => ANSWER_OF[operation](body));
  const answer = orUnverified("the answer", () => encodeJsonAnswer(canonical));
  const answered = { receipt: member.entry, answer, salt: member.responseSalt, beside: member };
  const verified = await checkAnswer(asked, answered, nodeKeys);
  const receipt = withChecks(member, asked, verified.checks);
  return { body: { ...covered(operation, body, canonical), receipt }, verified };
}

/** The receipt that came with an answer, which has to be the one for `asked`. */
export function memberOf(value: Json | undefined, { authorization }: Asked): ReceiptMember {
  if (value === undefined) throw new UnverifiedError("the answer came without its receipt");
  const member = orUnverified("the answer", () => parseReceiptMember(value));
  if (equal(member.id, signedId(authorization.signed))) return member;
  throw new UnverifiedError("the receipt that came with the answer is for another request");
}

/** The receipt as the caller gets it: with the salt that only this side has, and what was checked. */
export function withChecks(member: ReceiptMember, { salt }: Asked, checks: readonly Check[]): JsonObject {
  return { ...receiptJson({ ...member, requestSalt: salt }), checks: checks.map((check) => ({ ...check })) };
}

function parseObject(text: string): JsonObject {
  const body = findJson(text);
  if (isJsonObject(body)) return body;
  throw new UnverifiedError("the answer is not an object of JSON");
}

/** Members beside the answer itself. They name and date it; nobody signed them. */
const HEAD = ["id", "object", "created", "model", "service_tier", "system_fingerprint"];
const RESPONSE_HEAD = [
  ...["id", "object", "created_at", "model", "status", "error", "incomplete_details", "instructions", "metadata"],
  ...["max_output_tokens", "parallel_tool_calls", "previous_response_id", "reasoning", "store", "temperature", "text"],
  ...["tool_choice", "tools", "top_p", "truncation", "output", "usage"],
];

/** `body` without what its receipt does not cover: a member that nobody signed could pass for a part of the answer. */
function covered(operation: JsonOperation, body: JsonObject, canonical: JsonObject): JsonObject {
  if (operation === "response") return pick(body, RESPONSE_HEAD);
  if (operation === "embedding") {
    const rows = Array.isArray(body.data) ? body.data.filter(isJsonObject) : [];
    const data = rows.map(({ embedding = null }, index) => ({ object: "embedding", index, embedding }));
    return { ...pick(body, ["object", "model"]), data, usage: canonical.usage ?? null };
  }
  const choices = Array.isArray(canonical.choices) ? canonical.choices.filter(isJsonObject) : [];
  return {
    ...pick(body, HEAD),
    choices: choices.map((choice) => ({ logprobs: null, ...choice })),
    usage: canonical.usage ?? null,
  };
}

function pick(from: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])));
}
