/** What a gateway thinks of nodes that fall silent or cannot be reached, by a clock that the test moves. */
import { expect, test } from "vitest";
import { temporaryFolder } from "../folder.ts";
import { createTestClock, creditInput, startNetwork, type TestNetwork } from "../network.ts";
import { startNode, tokenFile } from "../node.ts";

const CREDIT = "statlog/credit-default";

type View = { id: string; health: string; breaker: string };

async function views(network: TestNetwork): Promise<View[]> {
  return ((await (await network.fetch("/v1/nodes")).json()) as { nodes: View[] }).nodes;
}

async function seen(network: TestNetwork, isSo: (rows: View[]) => boolean): Promise<void> {
  while (!isSo(await views(network))) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function open() {
  const clock = createTestClock();
  const nodeTokenPath = await tokenFile();
  const network = await startNetwork({ workerCount: 0, nodeTokenPath, clock });
  return { clock, network, start: (settings = {}) => startNode(network, nodeTokenPath, { clock, ...settings }) };
}

const statusOf = async (network: TestNetwork) => (await network.infer(CREDIT, [creditInput()])).status;

test("a node that cannot be reached three times is left alone, and is tried with one call once its time is over", async () => {
  const { clock, network, start } = await open();
  await using _ = network;
  await using folder = await temporaryFolder();
  const data = folder.path;
  const first = await start({ data });
  const { id } = first;
  const port = Number(new URL(first.url).port);
  expect(await statusOf(network)).toBe(200);
  await first.stop();
  for (const breaker of ["closed", "closed", "open"]) {
    expect(await statusOf(network)).toBe(503); // Nobody was reached, so nothing was signed: no 502.
    expect(await views(network)).toMatchObject([{ id, breaker }]);
  }
  expect(await views(network)).toMatchObject([{ health: "failing" }]);
  await using _again = await start({ data, port });
  expect(await statusOf(network)).toBe(503);
  clock.advance(5_000);
  expect(await statusOf(network)).toBe(200);
  expect(await views(network)).toMatchObject([{ id, breaker: "closed", health: "healthy" }]);
});

test("a node that is not heard of gets no calls, is forgotten after a minute, and comes in again by itself", async () => {
  const { clock, network, start } = await open();
  await using _ = network;
  const quiet = await start();
  expect(await views(network)).toMatchObject([{ id: quiet.id, health: "healthy" }]);
  await quiet.stop();
  clock.advance(7_001);
  expect(await views(network)).toMatchObject([{ health: "silent" }]);
  expect(await statusOf(network)).toBe(503);
  clock.advance(53_000);
  expect(await views(network)).toEqual([]);
  await using node = await start();
  while ((await views(network)).length > 0) clock.advance(60_001); // A heartbeat may come in between.
  await seen(network, ([row]) => row?.id === node.id && row.health === "healthy"); // It was told that nobody knows it.
  expect(await statusOf(network)).toBe(200);
});
