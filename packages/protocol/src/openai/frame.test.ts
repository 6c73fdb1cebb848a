import fc from "fast-check";
import { expect, test } from "vitest";
import { RUNS } from "../../../../test/runs.ts";
import { base64, hex } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { addReceipt, dataFrame, parseReceiptMember, RECEIPT_CLOSERS, receiptJson, withoutReceipt } from "./frame.ts";

const MEMBER = {
  id: new Uint8Array(32).fill(1),
  entry: new Uint8Array(3).fill(2),
  responseSalt: new Uint8Array(32).fill(3),
};

/** JSON that has it in for whoever looks for a receipt in a text: in names, in texts, as a member of something else. */
const hostile = fc.oneof(
  fc.constantFrom<unknown>(',"receipt":', '","receipt":{"id":"', '\\","receipt":{}}', "}\n\n", { a: 1, receipt: {} }),
  fc.jsonValue(),
  fc.dictionary(fc.constantFrom("receipt", ',"receipt":', "a", "__proto__"), fc.string()),
);

test("whatever a chunk says, its receipt comes out of its frame again and leaves the frame as it was", () => {
  fc.assert(
    fc.property(hostile, fc.string({ unit: "binary" }), (choices, text) => {
      const json = JSON.stringify({ id: text, choices });
      const frame = `data: ${addReceipt(json, "}", receiptJson(MEMBER))}\n\n`;
      expect(withoutReceipt(frame, "}")).toBe(`data: ${json}\n\n`);
      expect(JSON.parse(frame.slice("data: ".length)).receipt).toEqual(receiptJson(MEMBER));
    }),
    RUNS,
  );
});

test("whatever a response repeats of its request, a tool with a parameter named receipt too, its receipt comes out again", () => {
  fc.assert(
    fc.property(hostile, (properties) => {
      const response = {
        tools: [{ parameters: { type: "object", properties: { a: 1, receipt: properties } } }],
        usage: {},
      };
      const json = JSON.stringify({ type: "response.completed", response });
      const frame = `event: response.completed\ndata: ${addReceipt(json, RECEIPT_CLOSERS.response, receiptJson(MEMBER))}\n\n`;
      expect(withoutReceipt(frame, RECEIPT_CLOSERS.response)).toBe(`event: response.completed\ndata: ${json}\n\n`);
    }),
    RUNS,
  );
});

const receipt = JSON.stringify(receiptJson(MEMBER));

test.each([
  ["no receipt", 'data: {"choices":[]}\n\n'],
  ["a receipt in a text alone", 'data: {"a":"x,\\"receipt\\":{}"}\n\n'],
  ["a member behind the receipt", `data: {"choices":[],"receipt":${receipt},"choices":["other"]}\n\n`],
  ["a receipt that is a text", 'data: {"choices":[],"receipt":"x"}\n\n'],
  ["a receipt in something else", `data: {"choices":[{"a":1,"receipt":${receipt}}]}\n\n`],
  ["a receipt in a receipt", `data: {"choices":[],"receipt":{"a":1,"receipt":${receipt}}}\n\n`],
  ["bytes behind the blank line", `data: {"choices":[],"receipt":${receipt}}\n\nx`],
  ["no blank line", `data: {"choices":[],"receipt":${receipt}}\n`],
])("a frame with %s is none that ends an answer", (_, frame) => {
  expect(() => withoutReceipt(frame, "}")).toThrow(Malformed);
});

test("a receipt outside a response does not pass for one inside, nor one inside for one outside", () => {
  const outside = `data: {"response":{"a":1},"receipt":${receipt}}\n\n`;
  const inside = `data: {"response":{"a":1,"receipt":${receipt}}}\n\n`;
  expect(() => withoutReceipt(outside, "}}")).toThrow(Malformed);
  expect(() => withoutReceipt(inside, "}")).toThrow(Malformed);
});

test("a receipt member is read as it was written, with what it tells beside", () => {
  const whole = {
    ...MEMBER,
    requestSalt: new Uint8Array(32).fill(4),
    usage: { total_tokens: 1 },
    evidence: { attempts: [] },
    upstream: { model: "m" },
  };
  for (const member of [MEMBER, whole]) expect(parseReceiptMember(receiptJson(member))).toEqual(member);
});

test.each<[string, unknown]>([
  ["nothing", undefined],
  ["a list", []],
  ["no id", { id: undefined }],
  ["an id in upper case", { id: hex(MEMBER.id).toUpperCase().replaceAll("0", "A") }],
  ["an id of 31 bytes", { id: "01".repeat(31) }],
  ["no entry", { entry: "" }],
  ["an entry in a list", { entry: [base64(MEMBER.entry)] }],
  ["a salt of 31 bytes", { response_salt: base64(new Uint8Array(31)) }],
  ["a salt in base64url", { response_salt: "_".repeat(43) }],
  ["a request's salt that is none", { request_salt: "AA==" }],
])("%s is no receipt member", (_, change) => {
  const isWhole = typeof change === "object" && !Array.isArray(change);
  const value = isWhole ? { ...receiptJson(MEMBER), ...change } : change;
  expect(() => parseReceiptMember(value)).toThrow(Malformed);
});

test("a frame is its JSON behind a name of five letters, and a blank line", () => {
  expect(new TextDecoder().decode(dataFrame('{"é":1}'))).toBe('data: {"é":1}\n\n');
});
