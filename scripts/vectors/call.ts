/** test/vectors/call: calls and answers as canonical bytes, commitments over them, the ladder of units. */
import { createHash } from "node:crypto";
import { unitStep } from "@tallystick/protocol";
import { cbor, type Item, map } from "./cbor.ts";
import { jsonAnswerVectors, jsonCallVectors } from "./json.ts";

const FP32 = 11;
const BYTES = 13;
const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
const tensor = (name: Item, datatype: Item, shape: Item, data: Item) =>
  map([1, name], [2, datatype], [3, shape], [4, data]);
const elements = (...texts: string[]) =>
  Buffer.concat(
    texts.flatMap((text) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(Buffer.byteLength(text));
      return [length, Buffer.from(text)];
    }),
  );
const x = tensor("x", FP32, [1, 2], floats(1, 2.5));
const text = tensor("text", BYTES, [2], elements("hello", ""));
const call = (inputs: Item, outputs: Item = []) => map([0, 1], [1, 1], [2, inputs], [3, outputs]);
const answer = (outputs: Item) => map([0, 1], [1, outputs]);

export function callVectors(): object[] {
  const good = (desc: string, item: Item, says: object) => ({
    desc,
    wantErr: false,
    hex: cbor(item).toString("hex"),
    says,
  });
  const bad = (desc: string, item: Item) => ({ desc, wantErr: true, hex: cbor(item).toString("hex") });
  const xSays = { name: "x", datatype: "FP32", shape: [1, 2], data: floats(1, 2.5).toString("hex") };
  const textSays = { name: "text", datatype: "BYTES", shape: [2], data: elements("hello", "").toString("hex") };
  const infer = (inputs: object[], outputs: string[] = []) => ({ operation: "infer", inputs, outputs });
  return [
    good("one input of two numbers", call([x]), infer([xSays])),
    good("two inputs in order of name", call([text, x], ["y"]), infer([textSays, xSays], ["y"])),
    good("no input", call([]), infer([])),
    good(
      "a scalar, whose shape is empty",
      call([tensor("x", FP32, [], floats(1))]),
      infer([{ ...xSays, shape: [], data: "0000803f" }]),
    ),
    good(
      "an input of no rows",
      call([tensor("x", FP32, [0, 2], new Uint8Array(0))]),
      infer([{ ...xSays, shape: [0, 2], data: "" }]),
    ),
    good(
      "names in order of UTF-16 units",
      call([tensor("\u{10151}", 1, [1], Buffer.of(1)), tensor("\uff5e", 1, [1], Buffer.of(0))]),
      infer([
        { name: "\u{10151}", datatype: "BOOL", shape: [1], data: "01" },
        { name: "\uff5e", datatype: "BOOL", shape: [1], data: "00" },
      ]),
    ),
    bad("version 2", map([0, 2], [1, 1], [2, [x]], [3, []])),
    bad("an operation that nobody knows", map([0, 1], [1, 6], [2, [x]], [3, []])),
    bad("no outputs wanted, not even an empty list", map([0, 1], [1, 1], [2, [x]])),
    bad("a key that nobody knows", map([0, 1], [1, 1], [2, [x]], [3, []], [5, 0])),
    bad("inputs that are not in order of name", call([x, text])),
    bad("an input twice", call([x, x])),
    bad("a byte of data too few", call([tensor("x", FP32, [1, 2], new Uint8Array(7))])),
    bad("a byte of data too many", call([tensor("x", FP32, [1, 2], new Uint8Array(9))])),
    bad("data where the shape has a zero", call([tensor("x", FP32, [0, 2], floats(1))])),
    bad("a datatype that nobody knows", call([tensor("x", 14, [1, 2], floats(1, 2))])),
    bad("the datatype 0", call([tensor("x", 0, [1, 2], floats(1, 2))])),
    bad("a datatype as text", call([tensor("x", "FP32", [1, 2], floats(1, 2))])),
    bad("a size under 0", call([tensor("x", FP32, [-1, 2], floats(1, 2))])),
    bad("a shape of nine axes", call([tensor("x", FP32, Array(9).fill(1), floats(1))])),
    bad("a shape of more elements than can be counted", call([tensor("x", 1, [2 ** 40, 2 ** 40], Buffer.of(1))])),
    bad(
      "an element whose length is over the end",
      call([tensor("text", BYTES, [1], Buffer.from("0600000068656c6c6f", "hex"))]),
    ),
    bad("an element too few", call([tensor("text", BYTES, [2], elements("hello"))])),
    bad("an element too many", call([tensor("text", BYTES, [1], elements("hello", ""))])),
    bad("a length cut short", call([tensor("text", BYTES, [1], Buffer.from("0500", "hex"))])),
    bad("a name of 129 letters", call([tensor("x".repeat(129), FP32, [1], floats(1))])),
    bad("65 outputs wanted", call([x], Array(65).fill("y"))),
    bad("a tensor without data", call([map([1, "x"], [2, FP32], [3, [0]])])),
    ...jsonCallVectors(),
  ];
}

export function answerVectors(): object[] {
  const good = (desc: string, item: Item, says: object) => ({
    desc,
    wantErr: false,
    hex: cbor(item).toString("hex"),
    says,
  });
  const bad = (desc: string, item: Item) => ({ desc, wantErr: true, hex: cbor(item).toString("hex") });
  const y = tensor("y", FP32, [1, 2], floats(2, 5));
  const ySays = { name: "y", datatype: "FP32", shape: [1, 2], data: floats(2, 5).toString("hex") };
  const textSays = { name: "text", datatype: "BYTES", shape: [2], data: elements("hello", "").toString("hex") };
  return [
    good("one output of two numbers", answer([y]), [ySays]),
    good("outputs in whatever order they were asked for", answer([y, text]), [ySays, textSays]),
    bad("version 2", map([0, 2], [1, [y]])),
    bad("no outputs, not even an empty list", map([0, 1])),
    bad("a byte of data too few", answer([tensor("y", FP32, [1, 2], new Uint8Array(7))])),
    bad("a call for an answer", call([x])),
    ...jsonAnswerVectors(),
  ];
}

export function commitmentVectors(): object[] {
  const salt = createHash("sha256").update("request salt").digest();
  const bytes = cbor(call([x]));
  const made = (tag: string, salted: Buffer, over: Buffer) =>
    createHash("sha256").update(`tallystick ${tag} v1\0`).update(salted).update(over).digest("hex");
  const vector = (desc: string, wantErr: boolean, tag: string, salted: Buffer, over: Buffer, digest: string) => ({
    desc,
    wantErr,
    tag,
    salt: salted.toString("hex"),
    bytes: over.toString("hex"),
    digest,
  });
  const digest = made("request", salt, bytes);
  const flipped = Buffer.from(bytes);
  flipped[9] = (flipped[9] ?? 0) ^ 1;
  return [
    vector("a request", false, "request", salt, bytes, digest),
    vector("a response", false, "response", salt, bytes, made("response", salt, bytes)),
    vector("no bytes", false, "request", salt, Buffer.alloc(0), made("request", salt, Buffer.alloc(0))),
    vector("a request's digest for a response", true, "response", salt, bytes, digest),
    vector("another salt", true, "request", createHash("sha256").update("another").digest(), bytes, digest),
    vector("other bytes", true, "request", salt, flipped, digest),
    vector("bytes without their salt", true, "request", salt, bytes, made("request", Buffer.alloc(0), bytes)),
    vector("a salt of 31 bytes", true, "request", salt.subarray(1), bytes, made("request", salt.subarray(1), bytes)),
    vector("a salt of 33 bytes", true, "request", Buffer.concat([salt, Buffer.of(0)]), bytes, digest),
  ];
}

/** Commitments to fields of a receipt, each under its own salt, which comes of the response's. */
export function fieldVectors(): object[] {
  const salt = createHash("sha256").update("response salt").digest();
  const sha256 = (...parts: (string | Uint8Array)[]) =>
    parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
  const vector = (
    desc: string,
    wantErr: boolean,
    field: string,
    over: string,
    made: string,
    salted = salt,
    used = salted,
  ) => ({
    desc,
    wantErr,
    field,
    salt: salted.toString("hex"),
    bytes: Buffer.from(over).toString("hex"),
    digest: sha256(`tallystick ${made} v1\0`, sha256(`tallystick salt v1\0${made}\0`, used), over).toString("hex"),
  });
  const evidence = '{"attempts":[{"at":"node-a","ms":12,"outcome":"ok"}]}';
  return [
    vector("evidence", false, "evidence", evidence, "evidence"),
    vector("an upstream's model", false, "upstream model", "qwen3-8b", "upstream model"),
    vector("an upstream's response id", false, "upstream response id", "chatcmpl-1", "upstream response id"),
    vector("an upstream's fingerprint", false, "upstream fingerprint", "fp_1", "upstream fingerprint"),
    vector("a model as a fingerprint", true, "upstream fingerprint", "qwen3-8b", "upstream model"),
    vector("a response id as evidence", true, "evidence", "chatcmpl-1", "upstream response id"),
    vector("a field under another salt", true, "evidence", evidence, "evidence", salt, sha256("another")),
    vector("a field under a salt of 31 bytes", true, "evidence", evidence, "evidence", salt.subarray(1)),
    {
      ...vector("a field under the response's salt itself", true, "upstream model", "qwen3-8b", "upstream model"),
      digest: sha256("tallystick upstream model v1\0", salt, "qwen3-8b").toString("hex"),
    },
  ];
}

export function unitVectors(): object[] {
  const counts = [
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    12,
    13,
    16,
    17,
    23,
    24,
    33,
    46,
    47,
    1000,
    65_536,
    65_537,
    2 ** 31 + 1,
    2 ** 32,
    2 ** 32 + 1,
    2 ** 40,
  ];
  return counts.map((count) => ({ desc: `${count} of a unit`, wantErr: false, count, step: unitStep(count) }));
}
