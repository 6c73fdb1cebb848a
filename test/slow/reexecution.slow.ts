import { floats, floatTensor, type TensorCall } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { modelFolders } from "../../models/load.ts";
import { openReexecution } from "../../packages/server/src/execution/reexecute.ts";
import { exampleCall, openTestNode, readSource } from "../claims.ts";

/** Of each model; those that take a second or so have fewer, and the small ones make up for it: 10,000 in all. */
const REPEATS: Record<string, number> = {
  "paddle-ocr": 100,
  "paddle-text-detector": 100,
  "paddle-text-recognizer": 200,
  "silero-vad": 500,
  "use-lite": 500,
  "prompt-injection": 800,
  "state-of-the-union": 300,
  "breast-cancer": 2_500,
  "credit-default": 2_500,
  "seattle-temperature": 2_500,
};
/** Calls that are told apart by their input, of a model in numbers; others are asked their example. */
const DISTINCT = 50;

test("the repeats are ten thousand, of every model", () => {
  expect(Object.keys(REPEATS).sort()).toEqual(modelFolders().sort());
  expect(Object.values(REPEATS).reduce((sum, count) => sum + count, 0)).toBe(10_000);
});

test.each(Object.entries(REPEATS))(
  "%s answers bit for bit the same, %i times in a judge of its own",
  async (folder, count) => {
    await using node = await openTestNode();
    await using judge = await openReexecution({ log: () => {} });
    const model = await readSource(folder);
    const example = exampleCall(folder, model);
    const calls = example.operation === "infer" && folder in NUMBERS ? variants(example) : [example];
    const claims = [];
    for (const call of calls) claims.push(await node.answer(model, call));
    const outcomes: Record<string, number> = {};
    let costMicroseconds = 0;
    for (let i = 0; i < count; i++) {
      const claim = claims[i % claims.length];
      if (claim === undefined) throw new Error("there is a claim for each call");
      const result = await judge.reexecute(claim);
      outcomes[result.outcome] = (outcomes[result.outcome] ?? 0) + 1;
      costMicroseconds += result.costMicroseconds;
    }
    console.log({ folder, calls: calls.length, outcomes, meanMicroseconds: Math.round(costMicroseconds / count) });
    expect(outcomes).toEqual({ passed: count });
  },
);

const NUMBERS = { "breast-cancer": true, "credit-default": true, "seattle-temperature": true };

/** The example with its numbers larger and smaller, otherwise each time. */
function variants({ inputs, outputs }: TensorCall): TensorCall[] {
  return Array.from({ length: DISTINCT }, (_, seed) => ({
    operation: "infer",
    outputs,
    inputs: inputs.map((input) =>
      input.datatype === "FP32"
        ? floatTensor(
            input.name,
            input.shape,
            floats(input).map((value, i) => value * (1 + 0.1 * Math.sin(seed * 31 + i))),
          )
        : input,
    ),
  }));
}
