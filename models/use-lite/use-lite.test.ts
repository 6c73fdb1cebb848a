import { bytesTensor, floats, floatTensor, type Tensor, textTensor } from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { openModel } from "../load.ts";
import reference from "./reference.json" with { type: "json" };

function ids(rows: number[][]): Tensor {
  const values = BigInt64Array.from(rows.flat(), BigInt);
  return {
    name: "ids",
    datatype: "INT64",
    shape: [rows.length, rows[0]?.length ?? 0],
    data: new Uint8Array(values.buffer),
  };
}

const mask = (rows: number[][]) => floatTensor("mask", [rows.length, rows[0]?.length ?? 0], rows.flat());

async function embed(texts: string[]): Promise<Float32Array[]> {
  const { answer } = await openModel("use-lite");
  const values = floats((await answer([textTensor("text", texts)])).get("embedding")!);
  return texts.map((_, i) => values.subarray(512 * i, 512 * (i + 1)));
}

const dot = (a: Float32Array, b: Float32Array | undefined) =>
  a.reduce((sum, value, i) => sum + value * (b?.[i] ?? 0), 0);

describe("embedding", () => {
  test("gives what TensorFlow.js gives on the same weights", async () => {
    const embeddings = await embed(reference.texts);
    for (const [i, expected] of reference.embeddings.entries())
      for (const [j, value] of expected.entries())
        expect(Math.abs((embeddings[i]?.[j] ?? 0) - value)).toBeLessThan(2e-6);
  });

  test("takes ids as the texts they are of, padded or not", async () => {
    const { answer } = await openModel("use-lite");
    for (const [i, row] of reference.ids.entries()) {
      const text = await answer([textTensor("text", [reference.texts[i] ?? ""])]);
      expect(await answer([ids([row]), mask([row.map(() => 1)])])).toEqual(text);
      const padded = await answer([ids([[...row, 0, 0]]), mask([[...row.map(() => 1), 0, 0]])]);
      const [expected, found] = [floats(text.get("embedding")!), floats(padded.get("embedding")!)];
      expect(dot(expected, found)).toBeCloseTo(1, 5);
    }
  });

  test("gives length one, and like meaning a larger product than unlike", async () => {
    const [password, login, weather] = await embed(reference.texts);
    for (const one of [password, login, weather]) expect(dot(one!, one)).toBeCloseTo(1, 5);
    expect(dot(password!, login)).toBeGreaterThan(0.4);
    expect(dot(password!, weather)).toBeLessThan(0.2);
  });
});

test("what cannot be embedded is refused, alone, with what to do", async () => {
  const { run } = await openModel("use-lite");
  const text = (...texts: string[]) => [textTensor("text", texts)];
  const outcomes = await run([
    text("fine"),
    text("fine", "  \n "),
    text(),
    text(...new Array<string>(65).fill("a")),
    text("very ".repeat(200)),
    text("x".repeat(4097)),
    [bytesTensor("text", [Uint8Array.of(0xff)])],
    [ids([[5, 8000]]), mask([[1, 1]])],
    [ids([[5, -1]]), mask([[1, 1]])],
    [ids([[5, 6]]), mask([[0.5, 1]])],
    [ids([[5], [6]]), mask([[1], [0]])],
    [ids([[5, 6]]), mask([[1]])],
    [ids([new Array<number>(129).fill(7)]), mask([new Array<number>(129).fill(1)])],
  ]);
  expect(outcomes.map((outcome) => (outcome.ok ? "answered" : outcome.message))).toEqual([
    "answered",
    "text 1 is empty",
    '"text" has 0 elements: send 1 to 64',
    '"text" has 65 elements: send 1 to 64',
    "text 0 is 200 word pieces long and the model reads 128: send its sentences",
    "text 0 is longer than 4096 characters: send its sentences",
    '"text" is missing or not UTF-8',
    '"ids" has at element 1 an id that is not 0 to 7999',
    '"ids" has at element 1 an id that is not 0 to 7999',
    '"mask" has a number that is neither 0 nor 1',
    '"mask" leaves nothing of row 1',
    '"mask" has not the shape of "ids"',
    '"ids" is [1,129]: send 1 to 64 rows of 1 to 128 ids',
  ]);
});
