/** What a network verifies by itself, with nobody doing anything. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { creditInput, startNetwork, type TestNetwork } from "../network.ts";

const CREDIT = "statlog/credit-default";
const CANCER = "wisconsin/breast-cancer";

let network: TestNetwork;
beforeAll(async () => {
  network = await startNetwork({ verifying: { cpuShare: 1 } });
  await network.verified();
  await network.closeEpoch(); // From the next on the verifier takes part.
});
afterAll(() => network[Symbol.asyncDispose]());

const cancerInput = (first: number) => ({
  ...{ name: "features", datatype: "FP32", shape: [1, 30] },
  data: Array.from({ length: 30 }, (_, i) => i * first),
});

type Statement = { kind: string; outcome?: string; evidence: { content: Record<string, unknown> | null } };

async function statementsOf(on: TestNetwork, receipt: string | undefined): Promise<Statement[]> {
  const answer = await on.fetch(`/v1/verifications/${receipt}`);
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { statements: Statement[] }).statements;
}

test("calls over several models are run again, and the log says what came of it, with nobody doing anything", async () => {
  const answers = await Promise.all([
    ...[1, 2, 3, 4].map((amount) => network.infer(CREDIT, [creditInput(amount)])),
    ...[1, 2, 3].map((first) => network.infer(CANCER, [cancerInput(first)])),
  ]);
  await network.closeEpoch();
  await network.verified();
  for (const { receiptId } of answers) {
    const [statement, ...others] = await statementsOf(network, receiptId);
    expect(others).toEqual([]);
    expect(statement).toMatchObject({ kind: "verification", outcome: "passed", method: "reexecution" });
    expect(statement?.evidence.content).toMatchObject({ receipt: receiptId, outcome: "passed" });
  }
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
  expect(network.reported).toEqual([]);
});
