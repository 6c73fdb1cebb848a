import { expect, test } from "vitest";
import { modelFolders } from "../../models/load.ts";
import { variants } from "../../models/tolerance.ts";
import { openReexecution } from "../../packages/server/src/execution/reexecute.ts";
import { exampleCall, openTestNode, readSource } from "../claims.ts";

/** Of each model; those that take a second or so have fewer, and the small ones make up for it: 10,000 in all. */
const REPEATS: Record<string, number> = {
  "breast-cancer": 2_800,
  "credit-default": 2_800,
  "seattle-temperature": 2_800,
  "prompt-injection": 900,
  "use-lite": 300,
  "silero-vad": 200,
  "state-of-the-union": 100,
  "paddle-text-recognizer": 60,
  "paddle-text-detector": 20,
  "paddle-ocr": 20,
};
/** Calls that are told apart by their input, of a model in numbers; others are asked their example. */
const DISTINCT = 50;
const NUMBERS = new Set(["breast-cancer", "credit-default", "seattle-temperature"]);

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
    const calls =
      example.operation === "infer" && NUMBERS.has(folder)
        ? variants(example.inputs, DISTINCT).map((inputs) => ({ ...example, inputs }))
        : [example];
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
