import { expect, test } from "vitest";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { hex, parseHex } from "../bytes.ts";
import { CborReader, CborWriter, MAJOR, Malformed } from "./bytes.ts";
import { byteString, type Codec, decode, encode, list, optional, required, struct, uint } from "./codec.ts";

type CborVector = Vector & { type: keyof typeof TYPES; hex: string; value: unknown };
const valid = readVectors<CborVector>("cbor/valid.json");
const invalid = readVectors<CborVector>("cbor/invalid.json");

/** An integer of either sign, as decimal text. */
const integer: Codec<string> = {
  write(writer, value) {
    const number = BigInt(value);
    if (number < 0n) writer.head(MAJOR.negative, -1n - number);
    else writer.head(MAJOR.uint, number);
  },
  read(reader) {
    if (reader.peek() !== MAJOR.negative) return String(reader.head(MAJOR.uint));
    return String(-1n - BigInt(reader.head(MAJOR.negative)));
  },
};

const small = struct({ a: required(0, uint(255)), b: optional(1, byteString(10)), c: optional(2, uint(23)) });
/** What test/vectors/README.md calls `map`, its values as text. */
const map: Codec<Record<string, string>> = {
  write(writer, value) {
    const { 0: a = "", 1: b, 2: c } = value;
    small.write(writer, {
      a: Number(a),
      ...(b === undefined ? {} : { b: parseHex(b) ?? new Uint8Array(0) }),
      ...(c === undefined ? {} : { c: Number(c) }),
    });
  },
  read(reader) {
    const { a, b, c } = small.read(reader);
    return {
      0: String(a),
      ...(b === undefined ? {} : { 1: hex(b) }),
      ...(c === undefined ? {} : { 2: String(c) }),
    };
  },
};

const TYPES = {
  integer,
  bytes: {
    write: (writer: CborWriter, value: string) => writer.bytes(parseHex(value) ?? new Uint8Array(0)),
    read: (reader: CborReader) => hex(reader.bytes()),
  },
  text: {
    write: (writer: CborWriter, value: string) => writer.text(value),
    read: (reader: CborReader) => reader.text(),
  },
  integers: list(integer, 32),
  map,
};
/** The codec of a vector's type; its values are the JSON that the vector has. */
const codecOf = ({ type }: CborVector) => TYPES[type] as Codec<unknown>;
const bytesOf = (vector: CborVector) => parseHex(vector.hex) ?? new Uint8Array(0);

test.each(valid)("$desc is read and written: $hex", (vector) => {
  expect(decode(codecOf(vector), bytesOf(vector))).toEqual(vector.value);
  expect(hex(encode(codecOf(vector), vector.value))).toBe(vector.hex);
});

test.each(invalid)("$desc is malformed: $hex", (vector) => {
  expect(() => decode(codecOf(vector), bytesOf(vector))).toThrow(Malformed);
});

test("whatever ends early or goes on is malformed", () => {
  for (const vector of valid) {
    const whole = bytesOf(vector);
    for (let length = 0; length < whole.length; length++)
      expect(() => decode(codecOf(vector), whole.subarray(0, length)), vector.desc).toThrow(Malformed);
    expect(() => decode(codecOf(vector), Uint8Array.of(...whole, 0)), vector.desc).toThrow(Malformed);
  }
});

test("an item that starts in the middle of a buffer is read from there", () => {
  const shared = Uint8Array.of(0xff, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0, 0xff);
  expect(new CborReader(shared.subarray(1, 10)).head(MAJOR.uint)).toBe(2 ** 32);
});

test("a writer grows as far as what is written", () => {
  const writer = new CborWriter();
  const long = new Uint8Array(20_000).fill(7);
  writer.bytes(long);
  writer.text("x".repeat(2_000));
  const reader = new CborReader(writer.finish());
  expect(reader.bytes()).toEqual(long);
  expect(reader.text()).toBe("x".repeat(2_000));
  reader.finish();
});

test("what was written stays as it is while others are written, one after another or one inside the other", () => {
  const texts = Array.from({ length: 64 }, (_, i) => (i % 3 === 0 ? `ü${i}` : "x".repeat(i * 13)));
  const written = texts.map((text) => {
    const [outer, inner] = [new CborWriter(), new CborWriter()];
    outer.text(text);
    inner.text(`${text}!`);
    return [outer.finish(), inner.finish()];
  });
  const read = (bytes: Uint8Array | undefined) => new CborReader(bytes ?? new Uint8Array(0)).text();
  expect(written.map(([outer, inner]) => [read(outer), read(inner)])).toEqual(texts.map((text) => [text, `${text}!`]));
});

test("a fault is told by where it is, never by repeating the bytes", () => {
  const fault = () => decode(TYPES.text, Uint8Array.of(0x63, 0x41, 0x42, 0xff));
  expect(fault).toThrow("has a text before byte 4 that is not UTF-8");
});
