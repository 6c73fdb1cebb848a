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
  type Infer,
  list,
  required,
  struct,
  text,
  uint,
  word,
} from "../cbor/codec.ts";
import type { Commitment } from "../entry/payload.ts";
import { CALL_SIZE_BYTES, NAME_LENGTH, TENSOR_RANK, TENSORS_PER_CALL } from "../limits.ts";
import { datatypeCode } from "../model/codec.ts";
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
  operation: required(1, word({ infer: 1 })),
  /** In ascending order of name. */
  inputs: required(2, tensors),
  /** The outputs wanted, in this order; empty wants all. */
  outputs: required(3, list(text(NAME_LENGTH), TENSORS_PER_CALL)),
});
export type Call = Omit<Infer<typeof call>, "version">;

const answer = struct({ version: required(0, exactly(1)), outputs: required(1, tensors) });

/** A call as its canonical bytes say it: its inputs in ascending order of name. */
export function canonicalCall(call: Call): Call {
  return { ...call, inputs: [...call.inputs].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** The canonical bytes of a call. Throws Malformed where `parseCall` would. */
export function encodeCall(asked: Call): Uint8Array {
  const { operation, inputs, outputs } = canonicalCall(asked);
  checkInputs(inputs);
  return checkSize(encode(call, { version: 1, operation, inputs, outputs }));
}

/** Reads the canonical bytes of a call. Throws Malformed. */
export function parseCall(bytes: Uint8Array): Call {
  const { operation, inputs, outputs } = decode(call, checkSize(bytes));
  checkInputs(inputs);
  return { operation, inputs, outputs };
}

/** The canonical bytes of an answer. Throws Malformed where `parseAnswer` would. */
export function encodeAnswer(outputs: Tensor[]): Uint8Array {
  checkTensors(outputs, "output");
  return checkSize(encode(answer, { version: 1, outputs }));
}

/** Reads the canonical bytes of an answer. Throws Malformed. */
export function parseAnswer(bytes: Uint8Array): Tensor[] {
  const { outputs } = decode(answer, checkSize(bytes));
  checkTensors(outputs, "output");
  return outputs;
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

/**
 * The least step of the ladder 0, 1, 2, 3, 4, 6, 8, 12, 16, 23, … (2^(k/2), rounded up) that is not below `count`, so that
 * a count in clear tells little about content.
 */
export function unitStep(count: number): number {
  if (count <= 0) return 0;
  for (let power = 1; ; power *= 2) {
    if (count <= power) return power;
    const between = Math.ceil(power * Math.SQRT2);
    if (count <= between) return between;
  }
}
