import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createSystemRandom, openNetwork, systemClock } from "@tallystick/server";
import { expect, test } from "vitest";
import { temporaryFolder } from "../folder.ts";
import { creditInput, startNetwork } from "../network.ts";

const MODEL = "statlog/credit-default";

test("a network is ready until its log cannot write, and alive all the same", async () => {
  await using network = await startNetwork();
  const ask = async (path: string) => {
    const answer = await network.fetch(path);
    return [answer.status, await answer.json()];
  };
  expect(await ask("/v2/health/ready")).toEqual([200, { ready: true }]);
  expect(await ask(`/v2/models/${MODEL}/ready`)).toEqual([200, { name: MODEL, ready: true }]);
  const tiles = join(network.data, "log", "tiles");
  await rm(tiles, { recursive: true });
  await writeFile(tiles, "no folder");
  await network.infer(MODEL, [creditInput()]);
  await network.idle();
  expect(network.reported.map(({ event }) => event)).toContain("the log cannot write");
  expect(await ask("/v2/health/ready")).toEqual([503, { ready: false }]);
  expect(await ask(`/v2/models/${MODEL}/ready`)).toEqual([503, { name: MODEL, ready: false }]);
  expect(await ask("/v2/health/live")).toEqual([200, { live: true }]);
});

test("a network that is closing is not ready", async () => {
  await using place = await temporaryFolder();
  const network = await openNetwork({
    data: join(place.path, "data"),
    models: join(import.meta.dirname, "..", "..", "docs"), // A folder without models.
    workerCount: 1,
    clock: systemClock,
    random: createSystemRandom(),
    report: () => {},
    integrateIntervalMs: 1,
    publishIntervalMs: 1,
    epochIntervalMs: 3_600_000,
    deadlineMs: 1_000,
    resolveTexts: async () => [],
  });
  const app = network.application("http://127.0.0.1");
  expect((await app.request("/v2/health/ready")).status).toBe(200);
  const closed = network.close();
  expect((await app.request("/v2/health/ready")).status).toBe(503);
  await closed;
});
