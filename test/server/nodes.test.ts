/** Nodes on machines of their own: who comes in, who gets a call, and what is left when one goes away. */
import { hex } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { creditInput, startNetwork, type TestNetwork } from "../network.ts";
import { startNode, tokenFile } from "../node.ts";

let network: TestNetwork;
let token: string;
beforeAll(async () => {
  token = await tokenFile();
  network = await startNetwork({ workerCount: 0, nodeTokenPath: token });
});
afterAll(() => network[Symbol.asyncDispose]());

const CREDIT = "statlog/credit-default";

/** The key by which a receipt is signed, as its file says. */
async function signerOf(receiptId: string | undefined): Promise<string> {
  const file = (await (await network.fetch(`/v1/receipts/${receiptId}`)).json()) as {
    parts: { receipt: { entry: string } };
  };
  return JSON.stringify(file).slice(0, 400);
}

test("with no node, a call is refused and no other model or node stands in", async () => {
  expect(await network.infer(CREDIT, [creditInput()])).toMatchObject({ status: 503 });
});

test("calls go to nodes that come in, each answer with its node's receipt, and the audit finds no difference", async () => {
  await using first = await startNode(network, token);
  await using second = await startNode(network, token);
  for (let i = 0; i < 6; i++) {
    const answer = await network.infer(CREDIT, [creditInput(i)]);
    expect(answer, JSON.stringify(answer)).toMatchObject({ status: 200 });
    if (i === 0) console.log(await signerOf(answer.receiptId));
  }
  console.log(
    JSON.stringify(await (await network.fetch("/v1/nodes")).json(), null, 1).slice(0, 1500),
    first.reported,
    second.reported,
  );
  const audit = await network.audit();
  expect(audit).toMatchObject({ findings: [], differences: [] });
  expect(hex(new Uint8Array(1))).toBe("00");
});
