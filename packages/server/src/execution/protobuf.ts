/** Reads the fields of a protobuf message in the order they stand, and nothing of what they mean (protobuf.dev, Encoding). */

export type Field =
  | { number: number; kind: "varint"; value: number }
  | { number: number; kind: "bytes"; bytes: Uint8Array }
  | { number: number; kind: "fixed"; sizeBytes: 4 | 8 };

export class MalformedProtobuf extends Error {
  override name = "MalformedProtobuf";
}

/** The varint at `at`, as a signed 64-bit number (exact below 2^53), and where the next field stands. */
function varint(bytes: Uint8Array, at: number): { value: number; end: number } {
  let low = 0;
  for (let i = 0; i < 4; i++) {
    const byte = bytes[at + i] ?? 0x80;
    low |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) return { value: low, end: at + i + 1 };
  }
  let value = BigInt(low);
  for (let i = 4; i < 10; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) throw new MalformedProtobuf("ends inside a number");
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { value: Number(BigInt.asIntN(64, value)), end: at + i + 1 };
  }
  throw new MalformedProtobuf("has a number of more than ten bytes");
}

/** The fields of the message `bytes`. Throws MalformedProtobuf where they are not one. */
export function* protobufFields(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  while (at < bytes.length) {
    const tag = varint(bytes, at);
    const number = Math.floor(tag.value / 8);
    if (number < 1 || number >= 2 ** 29) throw new MalformedProtobuf(`has a field of the number ${number}`);
    const wireType = tag.value % 8;
    at = tag.end;
    if (wireType === 0) {
      const { value, end } = varint(bytes, at);
      at = end;
      yield { number, kind: "varint", value };
    } else if (wireType === 2) {
      const { value: length, end } = varint(bytes, at);
      if (length < 0 || length > bytes.length - end) throw new MalformedProtobuf("ends inside a field");
      at = end + length;
      yield { number, kind: "bytes", bytes: bytes.subarray(end, at) };
    } else if (wireType === 5 || wireType === 1) {
      const sizeBytes = wireType === 5 ? 4 : 8;
      if (sizeBytes > bytes.length - at) throw new MalformedProtobuf("ends inside a field");
      at += sizeBytes;
      yield { number, kind: "fixed", sizeBytes };
    } else {
      throw new MalformedProtobuf(`has a field of the wire type ${wireType}, which no graph uses`);
    }
  }
}

/** The varints of a packed field. */
export function* packedVarints(bytes: Uint8Array): Generator<number> {
  for (let at = 0; at < bytes.length; ) {
    const { value, end } = varint(bytes, at);
    at = end;
    yield value;
  }
}

/** How many varints a packed field holds. */
export function countVarints(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if (byte < 0x80) count++;
  return count;
}
