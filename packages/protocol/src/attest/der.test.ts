import fc from "fast-check";
import { expect, test } from "vitest";
import { RUNS } from "../../../../test/runs.ts";
import { hex, parseHex, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import {
  DerReader,
  parseBitString,
  parseBoolean,
  parseElement,
  parseInteger,
  parseNamedBits,
  parseOid,
  parseSmallInteger,
  parseTime,
  TAG,
} from "./der.ts";

const bytesOf = (text: string) => parseHex(text.replaceAll(" ", "")) ?? new Uint8Array(0);

test("elements are read one after another, each with its tag, its content and its own bytes", () => {
  const reader = new DerReader(bytesOf("3003 020105 0500"));
  const inner = reader.enter();
  expect(hex(inner.expect(TAG.integer).bytes)).toBe("020105");
  inner.finish();
  expect(reader.find(TAG.oid)).toBeUndefined();
  expect(reader.expect(TAG.null).value).toHaveLength(0);
  reader.finish();
});

test.each([
  ["nothing", ""],
  ["a tag alone", "30"],
  ["a content that ends early", "3003 0201"],
  ["a length that ends early", "3082 01"],
  ["an indefinite length", "3080 0000"],
  ["a length of one byte in the long form", "30 8101 00"],
  ["a length with a leading zero", `30 820080 ${"00".repeat(128)}`],
  ["a length of five bytes", "30 850000000001 00"],
  ["a tag of two bytes", "1f8101 00"],
  ["something after the end", "3000 00"],
])("%s is malformed", (_, text) => {
  expect(() => parseElement(bytesOf(text), bytesOf(text)[0] ?? TAG.sequence)).toThrow(Malformed);
});

test.each([
  ["2a8648ce3d040303", "1.2.840.10045.4.3.3"],
  ["0b", "0.11"],
  ["883703", "2.999.3"],
  ["2b06010401 9c78 010301", "1.3.6.1.4.1.3704.1.3.1"],
])("the object identifier %s is %s", (text, dotted) => {
  expect(parseOid(bytesOf(text))).toBe(dotted);
});

test.each([
  ["an object identifier without bytes", () => parseOid(bytesOf(""))],
  ["an object identifier that ends inside an arc", () => parseOid(bytesOf("2a86"))],
  ["an arc with a leading zero", () => parseOid(bytesOf("2a8001"))],
  ["an arc of a hundred bits", () => parseOid(bytesOf(`2a${"ff".repeat(14)}01`))],
  ["an integer without bytes", () => parseInteger(bytesOf(""))],
  ["an integer with a leading zero", () => parseInteger(bytesOf("007f"))],
  ["a negative integer with a leading byte", () => parseInteger(bytesOf("ff80"))],
  ["a negative small integer", () => parseSmallInteger(bytesOf("80"))],
  ["a small integer of five bytes", () => parseSmallInteger(bytesOf("0080000000"))],
  ["a boolean of 1", () => parseBoolean(bytesOf("01"))],
  ["a boolean of two bytes", () => parseBoolean(bytesOf("ffff"))],
  ["a bit string of seven bits", () => parseBitString(bytesOf("0102"))],
  ["a bit string of nothing", () => parseBitString(bytesOf(""))],
  ["named bits with set padding", () => parseNamedBits(bytesOf("0183"))],
  ["named bits with eight unused", () => parseNamedBits(bytesOf("0880"))],
  ["a thousand named bits, which nothing names", () => parseNamedBits(bytesOf(`00${"ff".repeat(125)}`))],
  ["unused bits of no byte", () => parseNamedBits(bytesOf("01"))],
])("%s is malformed", (_, parse) => {
  expect(parse).toThrow(Malformed);
});

test("named bits count from the first, and trailing zeros are nothing", () => {
  expect(parseNamedBits(bytesOf("0106"))).toEqual(new Set([5, 6]));
  expect(parseNamedBits(bytesOf("0006"))).toEqual(new Set([5, 6]));
  expect(parseNamedBits(bytesOf("0780"))).toEqual(new Set([0]));
  expect(parseNamedBits(bytesOf("070080"))).toEqual(new Set([8]));
  expect(parseNamedBits(bytesOf("00"))).toEqual(new Set());
});

const timeOf = (tag: number, text: string) => parseTime({ tag, value: utf8(text), bytes: new Uint8Array(0) });

test("a year of two digits is of the century from 1950 on", () => {
  expect(timeOf(TAG.utcTime, "500101000000Z")).toBe(Date.UTC(1950, 0, 1) / 1000);
  expect(timeOf(TAG.utcTime, "491231235959Z")).toBe(Date.UTC(2049, 11, 31, 23, 59, 59) / 1000);
  expect(timeOf(TAG.generalizedTime, "99991231235959Z")).toBe(253402300799);
  expect(timeOf(TAG.utcTime, "240229120000Z")).toBe(Date.UTC(2024, 1, 29, 12) / 1000);
});

test.each([
  [TAG.utcTime, "230229120000Z"],
  [TAG.utcTime, "231301120000Z"],
  [TAG.utcTime, "230100120000Z"],
  [TAG.utcTime, "230101240000Z"],
  [TAG.utcTime, "230101126000Z"],
  [TAG.utcTime, "230101120060Z"],
  [TAG.utcTime, "2301011200Z"],
  [TAG.utcTime, "230101120000+0000"],
  [TAG.utcTime, "20230101120000Z"],
  [TAG.generalizedTime, "230101120000Z"],
  [TAG.generalizedTime, "20230101120000.5Z"],
  [TAG.integer, "20230101120000Z"],
])("the time %s %s is malformed", (tag, text) => {
  expect(() => timeOf(tag, text)).toThrow(Malformed);
});

test("whatever the bytes, reading them ends and throws nothing but Malformed", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      for (const parse of [parseOid, parseInteger, parseSmallInteger, parseBoolean, parseBitString, parseNamedBits])
        onlyMalformed(() => parse(bytes));
      onlyMalformed(() => {
        for (const reader = new DerReader(bytes); reader.peek() !== undefined; ) reader.next();
      });
    }),
    RUNS,
  );
});

function onlyMalformed(attempt: () => unknown): void {
  try {
    attempt();
  } catch (fault) {
    expect(fault).toBeInstanceOf(Malformed);
  }
}
