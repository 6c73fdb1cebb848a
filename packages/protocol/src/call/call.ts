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

/** The canonical bytes of a call; its inputs are put in order. Throws Malformed where a limit is broken. */
export function encodeCall({ operation, inputs, outputs }: Call): Uint8Array {
  return encode(call, {
    version: 1,
    operation,
    inputs: [...inputs].sort((a, b) => (a.name < b.name ? -1 : 1)),
    outputs,
  });
}

/** Reads the canonical bytes of a call. Throws Malformed. */
export function parseCall(bytes: Uint8Array): Call {
  const { operation, inputs, outputs } = decode(call, bytes);
  for (const [i, input] of inputs.entries()) {
    if (i > 0 && input.name <= (inputs[i - 1]?.name ?? ""))
      throw new Malformed("has inputs that are not in ascending order of name");
    const fault = tensorFault(input);
    if (fault !== undefined) throw new Malformed(`has a malformed input: ${fault}`);
  }
  return { operation, inputs, outputs };
}

/** The canonical bytes of an answer. */
export function encodeAnswer(outputs: Tensor[]): Uint8Array {
  return encode(answer, { version: 1, outputs });
}

/** Reads the canonical bytes of an answer. Throws Malformed. */
export function parseAnswer(bytes: Uint8Array): Tensor[] {
  const { outputs } = decode(answer, bytes);
  for (const output of outputs) {
    const fault = tensorFault(output);
    if (fault !== undefined) throw new Malformed(`has a malformed output: ${fault}`);
  }
  return outputs;
}

const TAGS = { request: utf8("tallystick request v1\0"), response: utf8("tallystick response v1\0") };

/** A commitment: SHA-256(tag ‖ 0x00 ‖ salt ‖ bytes). Without the 32 random bytes of `salt` it says nothing about `bytes`. */
export function commit(tag: keyof typeof TAGS, salt: Uint8Array, bytes: Uint8Array): Commitment {
  if (salt.length !== 32) throw new Malformed(`has a salt of ${salt.length} bytes, not 32`);
  return { alg: "sha256", digest: sha256(TAGS[tag], salt, bytes) };
}

/** `count` rounded up to a step of 2^(k/2), so that a count in clear tells little about content. */
export function unitStep(count: number): number {
  if (count <= 1) return count;
  const k = Math.ceil(2 * Math.log2(count) - 1e-9);
  return Math.ceil(2 ** (k / 2) - 1e-9);
}
