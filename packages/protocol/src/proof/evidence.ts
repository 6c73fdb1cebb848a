/**
 * The evidence of a proof (docs/spec/proof.md): what it is of, in public, and its bytes. Who checks it builds the public
 * inputs from what they know themselves, and takes none from the prover.
 */
import { equal } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { byteString, type Codec, decode, encode, exactly, fixedBytes, list, required, struct } from "../cbor/codec.ts";
import { CIRCUIT_OUTPUTS, PROOF_CALLS, PROOF_SIZE_BYTES } from "../limits.ts";
import { fieldBytes, numberOf, parseField, signedOf } from "./field.ts";

/** One call of a proof: its receipt, the requester's commitment to its input, and what the circuit gave. */
export type ProvedCall = { receipt: Uint8Array; input: Uint8Array; outputs: bigint[] };

export type ProofEvidence = {
  calls: ProvedCall[];
  /** The commitment to the model's weights. */
  weights: Uint8Array;
  proof: Uint8Array;
};

const digest = fixedBytes(32);
/** 32 bytes that spell a field element. */
const element: Codec<Uint8Array> = {
  write: digest.write,
  read(reader) {
    const bytes = digest.read(reader);
    parseField(bytes);
    return bytes;
  },
};

const evidence = struct({
  version: required(0, exactly(1)),
  calls: required(
    1,
    list(
      struct({
        receipt: required(1, digest),
        input: required(2, element),
        outputs: required(3, list(element, CIRCUIT_OUTPUTS, 1)),
      }),
      PROOF_CALLS,
      1,
    ),
  ),
  weights: required(2, element),
  proof: required(3, byteString(PROOF_SIZE_BYTES)),
});

export function encodeProofEvidence({ calls, weights, proof }: ProofEvidence): Uint8Array {
  const written = calls.map(({ receipt, input, outputs }) => ({ receipt, input, outputs: outputs.map(fieldBytes) }));
  return encode(evidence, { version: 1, calls: written, weights, proof });
}

/** Throws Malformed. */
export function parseProofEvidence(bytes: Uint8Array): ProofEvidence {
  const { calls, weights, proof } = decode(evidence, bytes);
  if (proof.length % 32 !== 0) throw new Malformed("has a proof that is not of whole field elements");
  return {
    calls: calls.map(({ receipt, input, outputs }) => ({
      receipt,
      input,
      outputs: outputs.map((one) => signedOf(parseField(one))),
    })),
    weights,
    proof,
  };
}

/** The public inputs of a proof of `calls`, 32 bytes each, in the order in which the circuit has them. */
export function publicInputsOf(calls: readonly ProvedCall[], weights: Uint8Array): Uint8Array[] {
  return [
    ...calls.flatMap(({ receipt }) => contextOf(receipt).map(fieldBytes)),
    weights,
    ...calls.flatMap(({ input, outputs }) => [input, ...outputs.map(fieldBytes)]),
  ];
}

/** A receipt's id as two elements, the upper 128 bits first: 256 bits do not fit in one. */
export function contextOf(receiptId: Uint8Array): [bigint, bigint] {
  return [numberOf(receiptId.subarray(0, 16)), numberOf(receiptId.subarray(16))];
}

/** The call of `evidence` that is of the receipt `id`. */
export function findProvedCall({ calls }: ProofEvidence, id: Uint8Array): ProvedCall | undefined {
  return calls.find(({ receipt }) => equal(receipt, id));
}
