import { encodeCall, parseCall, type Call, type Manifest, type Tensor } from "@tallystick/protocol";
import { afterAll, describe, expect, test } from "vitest";
import { exampleCall, openTestNode, readSource } from "../../../../test/claims.ts";
import { type Claim, openReexecution } from "./reexecute.ts";

const judge = await openReexecution({ log: () => {} });
const node = await openTestNode();
afterAll(async () => {
  await judge[Symbol.asyncDispose]();
  await node[Symbol.asyncDispose]();
});

const honest = async (folder: string, changes: Partial<Manifest> = {}, more: object = {}): Promise<Claim> => {
  const source = await readSource(folder, changes);
  const call = exampleCall(folder, source);
  return node.answer(source, "body" in call ? { ...call, body: { ...call.body, ...more } } : call);
};

test("an honest answer passes, bit for bit", async () => {
  expect(await judge.reexecute(await honest("credit-default"))).toMatchObject({
    outcome: "passed",
    method: "reexecution",
    isProvable: false,
    profile: judge.profile,
  });
});

const NATIVE: Partial<Manifest> = { engine: "native", tolerance: { absolute: "0.001", relative: "0.001" } };
for (const temperature of [0, 1, 0.5])
  for (const top_p of [1, 0.8])
    test(`forced ${temperature} ${top_p}`, async () => {
      const claim = await honest("state-of-the-union", NATIVE, { temperature, top_p, max_tokens: 100, n: 2, logprobs: 3 });
      console.log(claim.profile.runtime, JSON.stringify(claim.evidence).slice(0, 80));
      console.log(await judge.reexecute(claim));
      const claim2 = await honest("state-of-the-union", {}, { temperature, top_p, max_tokens: 100, n: 2 });
      console.log(await judge.reexecute(claim2));
    });
