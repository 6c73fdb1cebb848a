import { bytesTensor, floats, textTensor } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { openModel, readExample } from "../load.ts";

const text = (...texts: string[]) => [textTensor("text", texts)];

test("an injection is likely and a plain question is not", async () => {
  const { answer } = await openModel("prompt-injection");
  const [injection, question] = floats((await answer(readExample("prompt-injection"))).get("injection_probability")!);
  expect(injection).toBeGreaterThan(0.99);
  expect(question).toBeLessThan(0.1);
});

test("a text of no known word gets the model's prior, whatever the text", async () => {
  const { answer } = await openModel("prompt-injection");
  const [chinese, cyrillic] = floats((await answer(text("你好，世界", "привет"))).get("injection_probability")!);
  expect(chinese).toBe(cyrillic);
  expect(chinese).toBeCloseTo(0.14, 3);
});

test("what is no text is refused, alone, with what to do", async () => {
  const { run } = await openModel("prompt-injection");
  const outcomes = await run([
    text("fine"),
    text("fine", ""),
    text(),
    text(...new Array<string>(65).fill("a")),
    text("x".repeat(65_537)),
    [bytesTensor("text", [Uint8Array.of(0xc3)])],
  ]);
  expect(outcomes.map((outcome) => (outcome.ok ? "answered" : outcome.message))).toEqual([
    "answered",
    "text 1 is empty",
    '"text" has 0 elements: send 1 to 64',
    '"text" has 65 elements: send 1 to 64',
    "text 0 is longer than 65536 characters: send it in parts",
    '"text" is missing or not UTF-8',
  ]);
});
