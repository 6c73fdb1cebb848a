/**
 * An NVIDIA GPU's attestation report: SPDM 1.1 GET_MEASUREMENTS and its MEASUREMENTS (DMTF DSP0274), with NVIDIA's own
 * fields in the opaque data. Only the structure is read here; hopper.ts says what a report is worth.
 */
import { Malformed } from "../cbor/bytes.ts";
import { ByteReader } from "./byte-reader.ts";

export type GpuReport = {
  /** The requester's nonce, as the request has it. */
  nonce: Uint8Array;
  /** What was measured, by the number of its block. */
  measurements: Map<number, Uint8Array>;
  /** NVIDIA's fields, by type. */
  fields: Map<number, Uint8Array>;
  /** Request and response up to the signature, and the signature (r ‖ s). */
  signed: Uint8Array;
  signature: Uint8Array;
};

/** NVIDIA's types of opaque field that somebody reads. */
export const GPU_FIELDS = { driver: 3, vbios: 6, fwid: 20 } as const;

/** A Hopper report has some 4 kB. */
const REPORT_SIZE_BYTES = 65_536;
const SPDM_1_1 = 0x11;
const GET_MEASUREMENTS = 0xe0;
const MEASUREMENTS = 0x60;
const SIGNATURE_REQUESTED = 1;
const ALL_MEASUREMENTS = 0xff;
const DMTF_MEASUREMENT = 1;

/** Reads request and response, one after the other. Throws Malformed. */
export function parseGpuReport(bytes: Uint8Array): GpuReport {
  if (bytes.length > REPORT_SIZE_BYTES) throw new Malformed(`is a report of more than ${REPORT_SIZE_BYTES} bytes`);
  const reader = new ByteReader(bytes);
  const nonce = readRequest(reader);
  if (reader.uint(1) !== SPDM_1_1 || reader.uint(1) !== MEASUREMENTS)
    throw new Malformed("has no SPDM 1.1 measurements");
  reader.take(2); // Parameters: how many blocks there could be, and the slot.
  const blockCount = reader.uint(1);
  const measurements = readBlocks(reader.take(reader.uint(3)), blockCount);
  reader.take(32); // The responder's nonce.
  const fields = readFields(reader.take(reader.uint(2)));
  const signed = bytes.subarray(0, reader.offset);
  const signature = reader.take(96);
  reader.finish();
  return { nonce, measurements, fields, signed, signature };
}

function readRequest(reader: ByteReader): Uint8Array {
  if (reader.uint(1) !== SPDM_1_1 || reader.uint(1) !== GET_MEASUREMENTS)
    throw new Malformed("has no SPDM 1.1 request for measurements");
  // Raw bit streams would be blocks of another size; the signature is what makes it evidence.
  if (reader.uint(1) !== SIGNATURE_REQUESTED) throw new Malformed("did not ask for a signature");
  if (reader.uint(1) !== ALL_MEASUREMENTS) throw new Malformed("did not ask for all measurements");
  const nonce = reader.take(32);
  reader.take(1); // The slot of the certificate chain.
  return nonce;
}

function readBlocks(record: Uint8Array, blockCount: number): Map<number, Uint8Array> {
  const reader = new ByteReader(record);
  const blocks = new Map<number, Uint8Array>();
  for (let i = 0; i < blockCount; i++) {
    const index = reader.uint(1);
    if (reader.uint(1) !== DMTF_MEASUREMENT) throw new Malformed(`has a block ${index} that is no DMTF measurement`);
    const block = new ByteReader(reader.take(reader.uint(2)));
    block.take(1); // The kind of value: firmware, hardware, configuration.
    const value = block.take(block.uint(2));
    block.finish();
    if (blocks.has(index)) throw new Malformed(`has two blocks ${index}`);
    blocks.set(index, value);
  }
  reader.finish();
  return blocks;
}

function readFields(opaque: Uint8Array): Map<number, Uint8Array> {
  const reader = new ByteReader(opaque);
  const fields = new Map<number, Uint8Array>();
  while (reader.left > 0) {
    const type = reader.uint(2);
    const value = reader.take(reader.uint(2));
    if (fields.has(type)) throw new Malformed(`has two fields of type ${type}`);
    fields.set(type, value);
  }
  return fields;
}
