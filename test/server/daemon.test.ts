import { access, cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseCheckpoint } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyModels } from "../network.ts";
import { callDaemon, expectOneSentence, type Ready, runOnce, startDaemon } from "./daemon.ts";

let root: string;
let models: string;
/** The data folder of a network that ran and was stopped. */
let stopped: string;
let first: Ready;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "tallyd-"));
  models = await copyModels(["credit-default"], join(root, "models"));
  stopped = join(root, "stopped");
  first = await runOnce(stopped, models);
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function copyOfStopped(name: string): Promise<string> {
  const path = join(root, name);
  await cp(stopped, path, { recursive: true });
  return path;
}

async function sizeOf(data: string): Promise<number> {
  return parseCheckpoint(await readFile(join(data, "log", "tiles", "checkpoint"))).size;
}

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s ends it with status 0, also with a connection kept alive and a call under way",
  async (signal) => {
    const data = await copyOfStopped(`signal-${signal}`);
    await using daemon = startDaemon(data, models);
    const ready = await daemon.ready;
    expect((await callDaemon(ready)).status).toBe(200);
    expect(JSON.parse(await readFile(join(data, "ready.json"), "utf8"))).toEqual(ready);
    const answered = callDaemon(ready);
    await fetch(`${ready.url}/v2/health/live`);
    const ended = await daemon.stop(signal);
    expect(ended).toEqual({ code: 0, signal: null, stderr: "" });
    expect((await answered).status).toBe(200);
    await expect(access(join(data, "ready.json"))).rejects.toThrow();
  },
);

test("it goes on when nobody reads what it tells its operator, and still ends with status 0", async () => {
  const data = await copyOfStopped("unread");
  await using daemon = startDaemon(data, models);
  const ready = await daemon.ready;
  daemon.process.stdout?.destroy();
  daemon.process.stderr?.destroy();
  await rm(join(data, "artifacts"), { recursive: true });
  for (let i = 0; i < 3; i++)
    expect((await callDaemon(ready)).status, "a fault that its operator is told of").toBe(500);
  expect(await daemon.stop()).toMatchObject({ code: 0, signal: null });
});

test("a second start goes on with the same log, keys and API key", async () => {
  const data = await copyOfStopped("again");
  const size = await sizeOf(data);
  await using daemon = startDaemon(data, models);
  const ready = await daemon.ready;
  expect(ready).toMatchObject({ origin: first.origin, logVkey: first.logVkey, apiKey: first.apiKey });
  expect((await callDaemon(ready)).status).toBe(200);
  await daemon.stop();
  expect(await sizeOf(data)).toBeGreaterThan(size);
});

test("a second process on the same folder is refused, and the first goes on", async () => {
  const data = await copyOfStopped("twice");
  await using daemon = startDaemon(data, models);
  const ready = await daemon.ready;
  await using second = startDaemon(data, models);
  expectOneSentence(await second.ended, /another tallyd is running on this data folder/);
  expect((await callDaemon(ready)).status).toBe(200);
  expect(JSON.parse(await readFile(join(data, "ready.json"), "utf8"))).toEqual(ready);
  expect(await daemon.stop()).toMatchObject({ code: 0 });
});

test("of several processes that start at once on a new folder one runs, and the keys on disk are its own", async () => {
  const data = join(root, "at-once");
  const daemons = Array.from({ length: 4 }, () => startDaemon(data, models));
  const readies = (await Promise.allSettled(daemons.map(({ ready }) => ready))).filter(
    (one) => one.status === "fulfilled",
  );
  expect(readies).toHaveLength(1);
  const { origin } = readies[0]!.value;
  const ended = await Promise.all(daemons.map((daemon) => daemon.stop()));
  expect(ended.filter(({ code }) => code === 0)).toHaveLength(1);
  for (const { stderr } of ended.filter(({ code }) => code !== 0)) expect(stderr).toMatch(/another tallyd/);
  await using again = startDaemon(data, models);
  expect((await again.ready).origin).toBe(origin);
});

test("a taken port is one sentence, and nothing is left that keeps the next start from working", async () => {
  const data = await copyOfStopped("taken");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await using refused = startDaemon(data, models, { args: ["--port", String(port)] });
  expectOneSentence(await refused.ended, /the port is taken/);
  server.close();
  await using daemon = startDaemon(data, models, { args: ["--port", String(port)] });
  expect((await daemon.ready).url).toBe(`http://127.0.0.1:${port}`);
});
