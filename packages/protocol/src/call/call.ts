/** A call and its answer as bytes, the same whichever wire form they came in, and commitments over them (docs/spec/call.md). */
import { sha256 } from "#platform";
import { utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import {
  byteString,
  type Codec,
  decode,
  encode,
  exactly,
  list,
  optional,
  required,
  struct,
  text,
  uint,
  word,
} from "../cbor/codec.ts";
import type { Commitment } from "../entry/payload.ts";
import { encodeJson, isJsonObject, type JsonObject, parseCanonicalJson } from "../json/canonical.ts";
import { CALL_SIZE_BYTES, NAME_LENGTH, RECEIPT_UNITS, TENSOR_RANK, TENSORS_PER_CALL } from "../limits.ts";
import { datatypeCode } from "../model/codec.ts";
import { type JsonOperation, OPERATIONS } from "./operation.ts";
import { type Tensor, tensorFault } from "./tensor.ts";

const tensor: Codec<Tensor> = struct({
  name: required(1, text(NAME_LENGTH)),
  datatype: required(2, datatypeCode),
  shape: required(3, list(uint(), TENSOR_RANK)),
  data: required(4, byteString(CALL_SIZE_BYTES)),
});

const tensors: Codec<Tensor[]> = list(tensor, TENSORS_PER_CALL);

const call = struct({
  version: required(0, exactly(1)),
  operation: required(1, word(OPERATIONS)),
  /** In ascending order of name. */
  inputs: optional(2, tensors),
  /** The outputs wanted, in this order; empty wants all. */
  outputs: optional(3, list(text(NAME_LENGTH), TENSORS_PER_CALL)),
  /** RFC 8785 JSON: what was asked, without what only says how the answer travels. */
  body: optional(4, byteString(CALL_SIZE_BYTES)),
});
export type TensorCall = { operation: "infer"; inputs: Tensor[]; outputs: string[] };
export type JsonCall = { operation: JsonOperation; body: JsonObject };
export type Call = TensorCall | JsonCall;

const answer = struct({
  version: required(0, exactly(1)),
  outputs: optional(1, tensors),
  /** RFC 8785 JSON. */
  body: optional(2, byteString(CALL_SIZE_BYTES)),
});
export type Answer = { outputs: Tensor[] } | { body: JsonObject };

/** A call as its canonical bytes say it: its inputs in ascending order of name. */
export function canonicalCall(call: TensorCall): TensorCall {
  return { ...call, inputs: [...call.inputs].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** The canonical bytes of a call. Throws Malformed where `parseCall` would. */
export function encodeCall(asked: Call): Uint8Array {
  if (asked.operation !== "infer") {
    const { operation, body } = asked;
    return checkSize(encode(call, { version: 1, operation, body: encodeJson(body) }));
  }
  const { operation, inputs, outputs } = canonicalCall(asked);
  checkInputs(inputs);
  return checkSize(encode(call, { version: 1, operation, inputs, outputs }));
}

/** Reads the canonical bytes of a call. Throws Malformed. */
export function parseCall(bytes: Uint8Array): Call {
  const { operation, inputs, outputs, body } = decode(call, checkSize(bytes));
  if (operation === "infer") {
    if (inputs === undefined || outputs === undefined || body !== undefined)
      throw new Malformed("is a call to infer, which has inputs and outputs and no body");
    checkInputs(inputs);
    return { operation, inputs, outputs };
  }
  if (inputs !== undefined || outputs !== undefined || body === undefined)
    throw new Malformed(`is a call of the operation ${operation}, which has a body and no tensors`);
  return { operation, body: parseBody(body) };
}

/** The canonical bytes of an answer in tensors. Throws Malformed where `parseAnswer` would. */
export function encodeAnswer(outputs: Tensor[]): Uint8Array {
  checkTensors(outputs, "output");
  return checkSize(encode(answer, { version: 1, outputs }));
}

/** The canonical bytes of an answer in JSON. Throws Malformed where `parseJsonAnswer` would. */
export function encodeJsonAnswer(body: unknown): Uint8Array {
  return checkSize(encode(answer, { version: 1, body: encodeJson(body) }));
}

/** Reads the canonical bytes of an answer of either kind. Throws Malformed. */
export function parseAnyAnswer(bytes: Uint8Array): Answer {
  const { outputs, body } = decode(answer, checkSize(bytes));
  if ((outputs === undefined) === (body === undefined))
    throw new Malformed("is an answer that has not either outputs or a body");
  if (body !== undefined) return { body: parseBody(body) };
  checkTensors(outputs ?? [], "output");
  return { outputs: outputs ?? [] };
}

/** Reads the canonical bytes of an answer in tensors. Throws Malformed. */
export function parseAnswer(bytes: Uint8Array): Tensor[] {
  const found = parseAnyAnswer(bytes);
  if ("outputs" in found) return found.outputs;
  throw new Malformed("is an answer in JSON where tensors are due");
}

/** Reads the canonical bytes of an answer in JSON. Throws Malformed. */
export function parseJsonAnswer(bytes: Uint8Array): JsonObject {
  const found = parseAnyAnswer(bytes);
  if ("body" in found) return found.body;
  throw new Malformed("is an answer in tensors where JSON is due");
}

function parseBody(bytes: Uint8Array): JsonObject {
  const body = parseCanonicalJson(bytes);
  if (!isJsonObject(body)) throw new Malformed("has a body that is no JSON object");
  return body;
}

function checkInputs(inputs: readonly Tensor[]): void {
  if (inputs.some(({ name }, i) => i > 0 && name <= (inputs[i - 1]?.name ?? "")))
    throw new Malformed("has inputs that are not in ascending order of name, each name once");
  checkTensors(inputs, "input");
}

function checkTensors(tensors: readonly Tensor[], side: "input" | "output"): void {
  for (const tensor of tensors) {
    const fault = tensorFault(tensor);
    if (fault !== undefined) throw new Malformed(`has a malformed ${side}: ${fault}`);
  }
}

function checkSize(bytes: Uint8Array): Uint8Array {
  if (bytes.length > CALL_SIZE_BYTES)
    throw new Malformed(`has ${bytes.length} bytes; a call or an answer has at most ${CALL_SIZE_BYTES}`);
  return bytes;
}

const TAGS = { request: utf8("tallystick request v1\0"), response: utf8("tallystick response v1\0") };

/** A commitment: SHA-256(tag ‖ 0x00 ‖ salt ‖ bytes). Without the 32 random bytes of `salt` it says nothing about `bytes`. */
export function commit(tag: keyof typeof TAGS, salt: Uint8Array, bytes: Uint8Array): Commitment {
  if (salt.length !== 32) throw new Malformed(`has a salt of ${salt.length} bytes, not 32`);
  return { alg: "sha256", digest: sha256(TAGS[tag], salt, bytes) };
}

/** What a receipt commits to beside the call and the answer, each under a salt of its own that comes of the response's salt. */
export type CommittedField = "evidence" | "upstream model" | "upstream response id" | "upstream fingerprint";

const fieldTag = (field: CommittedField) => ({
  salt: utf8(`tallystick salt v1\0${field}\0`),
  value: utf8(`tallystick ${field} v1\0`),
});
const FIELD_TAGS: Record<CommittedField, ReturnType<typeof fieldTag>> = {
  evidence: fieldTag("evidence"),
  "upstream model": fieldTag("upstream model"),
  "upstream response id": fieldTag("upstream response id"),
  "upstream fingerprint": fieldTag("upstream fingerprint"),
};

/** The salt of a field. Who is shown it can open this field and no other; to destroy the response's salt is to destroy all. */
export function fieldSalt(field: CommittedField, responseSalt: Uint8Array): Uint8Array {
  if (responseSalt.length !== 32) throw new Malformed(`has a salt of ${responseSalt.length} bytes, not 32`);
  return sha256(FIELD_TAGS[field].salt, responseSalt);
}

/** A commitment to a field: SHA-256(tag ‖ 0x00 ‖ field salt ‖ bytes). */
export function commitField(field: CommittedField, responseSalt: Uint8Array, bytes: Uint8Array): Uint8Array {
  return sha256(FIELD_TAGS[field].value, fieldSalt(field, responseSalt), bytes);
}

/**
 * The least step of the ladder 0, 1, 2, 3, 4, 6, 8, 12, 16, 23, … 2^32 (2^(k/2), rounded up) that is not below `count`, so that
 * a count in clear tells little about content; of more than the last step, that.
 */
export function unitStep(count: number): number {
  if (!(count > 0)) return 0; // What is no number counts nothing.
  if (count > RECEIPT_UNITS) return RECEIPT_UNITS;
  for (let power = 1; ; power *= 2) {
    if (count <= power) return power;
    const between = Math.ceil(power * Math.SQRT2);
    if (count <= between) return between;
  }
}
