/** The field that circuits compute in: integers modulo the order of the curve BN254. In public they are 32 bytes, big-endian. */
import { hex } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";

export const FIELD_MODULUS = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;

/** The element that the whole number `value` is, which may be negative. */
export function fieldOf(value: bigint): bigint {
  const rest = value % FIELD_MODULUS;
  return rest < 0n ? rest + FIELD_MODULUS : rest;
}

/** The whole number next to zero that the element stands for. */
export function signedOf(element: bigint): bigint {
  return element > FIELD_MODULUS / 2n ? element - FIELD_MODULUS : element;
}

/** The 32 bytes of the element that `value` is. */
export function fieldBytes(value: bigint): Uint8Array {
  const bytes = new Uint8Array(32);
  let rest = fieldOf(value);
  for (let i = 31; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

/** The number that `bytes` spell, big-endian. */
export function numberOf(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${hex(bytes)}`);
}

/** The element whose 32 bytes these are. Throws Malformed where another spelling of it is the right one. */
export function parseField(bytes: Uint8Array): bigint {
  const value = numberOf(bytes);
  if (bytes.length !== 32 || value >= FIELD_MODULUS) throw new Malformed("has bytes that are no field element");
  return value;
}
