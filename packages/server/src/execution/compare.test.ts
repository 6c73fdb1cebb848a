import { bytesTensor, floatTensor, type Tensor, utf8 } from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { answersFault } from "./answers.ts";
import { isWithin, tensorsFault } from "./compare.ts";
import { floatsOf, withOneNaN } from "./floats.ts";

const TOLERANCE = { absolute: 0.01, relative: 0.1 };
const y = (...values: number[]) => [floatTensor("y", [values.length], values)];

describe("numbers", () => {
  const INFINITE = Number.POSITIVE_INFINITY;
  test.each([
    [10, 10, true],
    [11.01, 10, true],
    [11.02, 10, false],
    [-0.01, 0, true],
    [0.011, 0, false],
    [Number.NaN, Number.NaN, true],
    [Number.NaN, 0, false],
    [0, Number.NaN, false],
    [INFINITE, INFINITE, true],
    [-INFINITE, INFINITE, false],
    [INFINITE, 1e300, false],
    [0, INFINITE, false],
  ])("%d is, beside %d, within the tolerance: %s", (claimed, value, expected) => {
    expect(isWithin(claimed, value, TOLERANCE)).toBe(expected);
  });

  test("of every width are read", () => {
    const of = (datatype: Tensor["datatype"], data: Uint8Array) => [
      ...floatsOf({ name: "y", datatype, shape: [1], data }),
    ];
    expect(of("FP16", Uint8Array.of(0x00, 0xbc, 0x01, 0x00, 0xff, 0x7b, 0x00, 0x7c, 0x01, 0x7c))).toEqual([
      ...[-1, 2 ** -24, 65_504],
      ...[INFINITE, Number.NaN],
    ]);
    expect(of("FP32", new Uint8Array(Float32Array.of(0.5).buffer))).toEqual([0.5]);
    expect(of("FP64", new Uint8Array(Float64Array.of(0.1).buffer))).toEqual([0.1]);
  });

  test("that are none all have the same bits, and others keep theirs", () => {
    const bytes = new Uint8Array(new Uint32Array([0xffc00001, 0x7f800001, 0x7f800000, 0x3f800000]).buffer);
    const { data } = withOneNaN({ name: "y", datatype: "FP32", shape: [4], data: bytes });
    expect([...new Uint32Array(data.buffer)]).toEqual([0x7fc00000, 0x7fc00000, 0x7f800000, 0x3f800000]);
    const half = Uint8Array.of(0x01, 0xfe, 0x00, 0x7c);
    expect([...withOneNaN({ name: "y", datatype: "FP16", shape: [2], data: half }).data]).toEqual([0, 0x7e, 0, 0x7c]);
    const wide = new Uint8Array(new BigUint64Array([0xfff8000000000001n]).buffer);
    const found = withOneNaN({ name: "y", datatype: "FP64", shape: [1], data: wide }).data;
    expect(new BigUint64Array(found.buffer)[0]).toBe(0x7ff8000000000000n);
    const whole = new Uint8Array(new Uint32Array([0xffc00001]).buffer);
    expect(withOneNaN({ name: "y", datatype: "UINT32", shape: [1], data: whole }).data[3]).toBe(0xff);
  });
});

test("outputs are compared by name, form and value, and whole numbers and texts to the bit", () => {
  expect(tensorsFault(y(1, 2), y(1.05, 2.1), TOLERANCE)).toBeUndefined();
  expect(tensorsFault(y(1, 2), y(1.05, 2.1))).toContain("differs in 2 elements");
  expect(tensorsFault(y(1, 9), y(1, 2), TOLERANCE)).toContain("beyond the tolerance in 1 of 2");
  expect(tensorsFault(y(1), y(1, 2), TOLERANCE)).toContain("another form");
  expect(tensorsFault([...y(1), ...y(1)], y(1))).toContain("2 outputs");
  expect(tensorsFault([{ ...y(1)[0], name: "z" } as Tensor], y(1))).toContain("not at its place");
  const count = (value: number): Tensor[] => [{ name: "n", datatype: "INT8", shape: [1], data: Uint8Array.of(value) }];
  expect(tensorsFault(count(7), count(8), TOLERANCE)).toContain("differs in 1 elements");
  const text = (word: string) => [bytesTensor("t", [utf8(word)])];
  expect(tensorsFault(text("a"), text("b"), TOLERANCE)).toContain("has other bytes");
});

describe("text within a tolerance", () => {
  const chat = (content: string, logprob: number, top: number[] = []) => ({
    body: {
      choices: [
        {
          ...{ index: 0, finish_reason: "stop", message: { role: "assistant", content } },
          logprobs: {
            content: [
              { token: "a", bytes: [97], logprob, top_logprobs: top.map((one) => ({ token: "b", logprob: one })) },
            ],
          },
        },
      ],
    },
  });
  const completion = (logprob: number, top: Record<string, number>) => ({
    body: { choices: [{ text: "a", logprobs: { tokens: ["a"], token_logprobs: [logprob], top_logprobs: [top] } }] },
  });
  const LOGITS = { absolute: 0.01, relative: 0 };

  test("is the same words, with probabilities that may be off", () => {
    expect(answersFault(chat("a", -1), chat("a", -1.0199), LOGITS)).toBeUndefined();
    expect(answersFault(chat("a", -1), chat("a", -1.03), LOGITS)).toContain("choices differ");
    expect(answersFault(chat("a", -1), chat("b", -1), LOGITS)).toContain("choices differ");
    const [renamed, told] = [chat("a", -1), chat("a", -1)];
    for (const choice of renamed.body.choices) for (const token of choice.logprobs.content) token.token = "b";
    expect(answersFault(renamed, told, LOGITS)).toContain("choices differ");
    expect(answersFault(chat("a", -1), chat("a", -1.0199))).toContain("choices differ");
    expect(answersFault(chat("a", -1, [-1, -2]), chat("a", -1, [-1, -2.5]), LOGITS)).toContain("choices differ");
    expect(answersFault(chat("a", -1, [-1]), chat("a", -1, [-1, -2]), LOGITS)).toContain("choices differ");
  });

  test("may have its likeliest tokens in another order where they are as likely", () => {
    const [one, other] = [completion(-1, { a: -1, b: -1.01 }), completion(-1, { b: -1, a: -1.01 })];
    expect(answersFault(one, other, LOGITS)).toBeUndefined();
    expect(answersFault(completion(-1, { a: -1, b: -3 }), other, LOGITS)).toContain("choices differ");
  });

  test("is no tensors, and no embeddings of another length", () => {
    expect(answersFault({ outputs: [] }, chat("a", 0))).toBe("it is tensors");
    expect(answersFault(chat("a", 0), { outputs: [] })).toBe("it is JSON");
    const embedded = (embeddings: string[]) => ({ body: { embeddings } });
    expect(answersFault(embedded(["AACAPw=="]), embedded(["AACAPw=="]), LOGITS)).toBeUndefined();
    for (const wrong of [["AAAAQA=="], ["AACAPwAAgD8="], ["?"], [], ["AACAPw==", "AACAPw=="]])
      expect(answersFault(embedded(wrong), embedded(["AACAPw=="]), LOGITS)).toContain("embeddings differ");
  });
});
