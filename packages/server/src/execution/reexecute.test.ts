import { join } from "node:path";
import { encodeAnswer, encodeCall, sha256, unitStep } from "@tallystick/protocol";
import { afterAll, expect, test } from "vitest";
import { openModel, readExample } from "../../../../models/load.ts";
import { readModelSource } from "../hub/source.ts";
import { type Claim, openReexecution } from "./reexecute.ts";

const judge = await openReexecution({ log: () => {} });
afterAll(() => judge[Symbol.asyncDispose]());

const MODELS = join(import.meta.dirname, "../../../../models");

/** What an honest node would have signed for the example of the model in `folder`. */
async function honestClaim(folder: string): Promise<Claim> {
  const { manifest, files } = await readModelSource(join(MODELS, folder));
  const inputs = readExample(folder);
  const [outcome] = await (await openModel(folder)).run([inputs]);
  if (!outcome?.ok) throw new Error(`${folder} refused its example`);
  return {
    ...{ manifest, files, receiptId: sha256(new Uint8Array(1)), profile: judge.profile },
    call: encodeCall({ operation: "infer", inputs, outputs: [] }),
    answer: encodeAnswer(outcome.outputs),
    units: unitStep(outcome.unitCount),
  };
}

test("an honest answer passes, bit for bit", async () => {
  expect(await judge.reexecute(await honestClaim("credit-default"))).toMatchObject({
    outcome: "passed",
    method: "reexecution",
    isProvable: false,
    profile: judge.profile,
  });
});
