import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { copyModels } from "../network.ts";
import { expectOneSentence, runOnce, startDaemon } from "./daemon.ts";
import { openFaults } from "./faults.ts";
import { canInject, type Fault } from "./log-processes.ts";

const FAULTS: Fault[] = ["EIO", "ENOSPC", "SIGKILL"];
/** How many of all calls meet a fault here; test/slow/faults.slow.ts has them all. */
const COUNT = 20;

test("whichever system call of a log fails or is its last, nothing acknowledged is lost: a few, from first to last", async (context) => {
  if (!canInject()) return context.skip("strace is not installed, or may not trace here");
  await using faults = await openFaults();
  const { calls, meet } = faults;
  expect(calls.length).toBeGreaterThan(200);
  for (let i = 0; i < COUNT; i++) {
    const [call, fault] = [calls[Math.floor((i * calls.length) / COUNT)], FAULTS[i % FAULTS.length]];
    if (call !== undefined && fault !== undefined) await meet(call, fault);
  }
}, 240_000);

test("a disk that does not read the log's checkpoint is one sentence at the start, and nothing is lost by it", async (context) => {
  if (!canInject()) return context.skip("strace is not installed, or may not trace here");
  const root = await mkdtemp(join(tmpdir(), "faults-"));
  try {
    const data = join(root, "data");
    const models = await copyModels(["credit-default"], join(root, "models"));
    await runOnce(data, models);
    const strace = ["strace", "-f", "-qq", "-o", join(root, "trace"), "-P", join(data, "log", "tiles", "checkpoint")];
    const command = [...strace, "-e", "trace=openat", "-e", "inject=openat:error=EIO"];
    await using daemon = startDaemon(data, models, { command });
    expectOneSentence(await daemon.ended, /the disk fails at .*checkpoint: look at it/);
    await runOnce(data, models);
  } finally {
    await rm(root, { recursive: true });
  }
}, 120_000);
