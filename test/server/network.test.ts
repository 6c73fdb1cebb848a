import { expect, test } from "vitest";
import { creditInput, startNetwork } from "../network.ts";

test("a network answers, publishes, starts again where it was, and its audit finds nothing", async () => {
  await using network = await startNetwork();
  const first = await network.infer("statlog/credit-default", [creditInput()]);
  expect(first).toMatchObject({ status: 200, receiptId: expect.stringMatching(/^[0-9a-f]{64}$/) });
  await network.closeEpoch();
  const { origin } = network;
  const before = await (await network.fetch("/v1/usage")).text();
  await network.restart();
  expect(network.origin).toBe(origin);
  expect(await (await network.fetch("/v1/usage")).text()).toBe(before);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
  expect(network.reported).toEqual([]);
});
