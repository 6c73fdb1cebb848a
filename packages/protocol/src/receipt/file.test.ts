import { beforeAll, expect, test } from "vitest";
import { issueReceipt, OPENING } from "../../../../test/one-receipt.ts";
import { utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { CALL_SIZE_BYTES, RECEIPT_FILE_SIZE_BYTES } from "../limits.ts";
import { encodeOpening, encodeReceiptFile, PARTS, parseOpening, parseReceiptFile } from "./file.ts";

let text: string;
beforeAll(async () => {
  text = (await issueReceipt()).text;
});
const edited = (edit: (file: Record<string, unknown>) => void) => {
  const file = JSON.parse(text);
  edit(file);
  return utf8(JSON.stringify(file));
};

test("a receipt file is written as it was read", () => {
  expect(encodeReceiptFile(parseReceiptFile(utf8(text)))).toBe(text);
  expect(Object.keys(JSON.parse(text))).toEqual(["format", "id", ...PARTS, "opening"]);
});

test("an opening is written as it was read, with a response and without", () => {
  expect(parseOpening(encodeOpening(OPENING))).toEqual(OPENING);
  expect(parseOpening(encodeOpening({ request: OPENING.request }))).toEqual({ request: OPENING.request });
});

test.each<[string, (file: Record<string, unknown>) => void]>([
  ["another format", (file) => Object.assign(file, { format: "tallystick-receipt@v2" })],
  ["no format", (file) => delete file.format],
  ["an unknown field", (file) => Object.assign(file, { note: "" })],
  ["a field named __proto__", (file) => Object.defineProperty(file, "__proto__", { value: {}, enumerable: true })],
  ["an id in upper case", (file) => Object.assign(file, { id: String(file.id).toUpperCase() })],
  ["an id that is a number", (file) => Object.assign(file, { id: 1 })],
  ["an entry that is not base64", (file) => Object.assign(file, { node: { entry: "not base64" } })],
  ["an entry that is null", (file) => Object.assign(file, { node: { entry: null } })],
  ["a part that is a text", (file) => Object.assign(file, { node: "entry" })],
  ["a part with an unknown field", (file) => Object.assign(file, { node: { ...Object(file.node), index: 1 } })],
  ["a proof that is null", (file) => Object.assign(file, { node: { ...Object(file.node), proof: null } })],
  ["an opening of nothing", (file) => Object.assign(file, { opening: {} })],
  ["an opening without a salt", (file) => Object.assign(file, { opening: { request: { bytes: "" } } })],
  ["an opening with an unknown field", (file) => Object.assign(file, { opening: { ...Object(file.opening), x: 1 } })],
])("a receipt file with %s is malformed", (_, edit) => {
  expect(() => parseReceiptFile(edited(edit))).toThrow(Malformed);
});

test("a file that is not UTF-8, or starts with a byte order mark, is malformed", () => {
  expect(() => parseReceiptFile(utf8(text).with(20, 0xff))).toThrow("is not UTF-8 text");
  expect(() => parseReceiptFile(utf8(`\ufeff${text}`))).toThrow("is not JSON");
});

test("a file over its limit is refused before it is read, and the largest call and answer fit under it", () => {
  expect(() => parseReceiptFile(new Uint8Array(RECEIPT_FILE_SIZE_BYTES + 1))).toThrow("at most 100663296");
  const inBase64 = Math.ceil(CALL_SIZE_BYTES / 3) * 4;
  expect(2 * inBase64 + 100_000).toBeLessThan(RECEIPT_FILE_SIZE_BYTES);
});

test("an opening of four megabytes is read and written whole", () => {
  const large = { request: { salt: new Uint8Array(32), bytes: new Uint8Array(4 << 20).map((_, i) => i) } };
  const file = { ...parseReceiptFile(utf8(text)), opening: large };
  expect(parseReceiptFile(utf8(encodeReceiptFile(file))).opening?.request.bytes.length).toBe(4 << 20);
});
