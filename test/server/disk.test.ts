import { execFileSync } from "node:child_process";
import { appendFile, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyModels } from "../network.ts";
import { callDaemon, expectOneSentence, runOnce, startDaemon } from "./daemon.ts";

let root: string;
let models: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "tallyd-"));
  models = await copyModels(["credit-default"], join(root, "models"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Mounts a file system in memory, as root may; undefined where that is not permitted. */
async function mount(
  name: string,
  options: string,
): Promise<{ path: string; remount(options: string): void; unmount(): void } | undefined> {
  const path = join(root, name);
  await mkdir(path);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", path], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  return {
    path,
    remount: (changed) => void execFileSync("mount", ["-o", `remount,${changed}`, path]),
    unmount: () => void execFileSync("umount", ["-l", path]),
  };
}

test("a full disk: calls are refused as unavailable, reading goes on, and nothing acknowledged is lost", async (context) => {
  const disk = await mount("disk", "size=8m");
  if (disk === undefined) return context.skip("mounting a file system is not permitted here");
  try {
    const data = join(disk.path, "data");
    await using daemon = startDaemon(data, models);
    const ready = await daemon.ready;
    const receiptIds: string[] = [];
    const id = (answer: Response) => answer.headers.get("x-receipt-id") ?? "";
    receiptIds.push(id(await callDaemon(ready)));
    await fillDisk(join(disk.path, "filler"));
    let refused: Response | undefined;
    for (let i = 0; i < 2_000 && refused === undefined; i++) {
      const answer = await callDaemon(ready, i);
      if (answer.status === 200) receiptIds.push(id(answer));
      else refused = answer;
    }
    expect(refused?.status).toBe(503);
    expect(await refused?.json()).toMatchObject({
      error: expect.stringMatching(/operator must look at the disk/),
      code: "unavailable",
    });
    expect((await callDaemon(ready)).status).toBe(503);
    const health = await fetch(`${ready.url}/v2/health/ready`);
    expect([health.status, await health.json()]).toEqual([503, { ready: false }]);
    expect(daemon.diskWarnings(), "8 MiB are less than 2 GiB").toHaveLength(1);
    const usage = await fetch(`${ready.url}/v1/usage`);
    expect(usage.status).toBe(200);
    expect((await fetch(`${ready.url}/v1/receipts/${receiptIds[0]}`)).status).toBe(200);
    expect((await fetch(`${ready.url}/`)).status).toBe(200);
    const adminToken = (await readFile(join(data, "keys", "admin-token"), "utf8")).trim();
    const headers = { authorization: `Bearer ${adminToken}` };
    const account = await fetch(`${ready.url}/v1/accounts`, { method: "POST", headers, body: '{"name":"another"}' });
    expect([201, 503]).toContain(account.status);
    expect(daemon.process.exitCode).toBe(null);
    const ended = await daemon.stop();
    expect(ended.stderr).toContain("the log cannot write");
    expect(ended.signal).toBe(null);

    await using full = startDaemon(data, models);
    const again = await Promise.race([full.ready.then(() => undefined), full.ended]);
    if (again !== undefined) expectOneSentence(again, /disk/);
    await full.stop();
    await rm(join(disk.path, "filler"));
    await using daemonAgain = startDaemon(data, models);
    const { url } = await daemonAgain.ready;
    for (const receiptId of receiptIds) expect((await fetch(`${url}/v1/receipts/${receiptId}`)).status).toBe(200);
    expect((await callDaemon(await daemonAgain.ready)).status).toBe(200);
  } finally {
    disk.unmount();
  }
});

/** Writes zeros until nothing more fits. */
async function fillDisk(path: string): Promise<void> {
  for (const sizeBytes of [65_536, 4_096, 512])
    for (;;) {
      try {
        await appendFile(path, new Uint8Array(sizeBytes));
      } catch {
        break;
      }
    }
}

test("a read-only folder is one sentence, whether new or used before", async (context) => {
  const disk = await mount("read-only", "size=16m");
  if (disk === undefined) return context.skip("mounting a file system is not permitted here");
  try {
    await runOnce(join(disk.path, "used"), models);
    disk.remount("ro");
    for (const name of ["new", "used"]) {
      await using daemon = startDaemon(join(disk.path, name), models);
      expectOneSentence(await daemon.ended, /may not write/);
    }
  } finally {
    disk.unmount();
  }
});

test("however little room a first start has, it says so in one sentence, and the next start with room works", async (context) => {
  const disk = await mount("small", "size=4k");
  if (disk === undefined) return context.skip("mounting a file system is not permitted here");
  try {
    const data = join(disk.path, "data");
    for (const size of ["8k", "16k", "32k", "48k", "64k", "96k", "128k"]) {
      disk.remount(`size=${size}`);
      await using daemon = startDaemon(data, models);
      expectOneSentence(await daemon.ended, /disk/);
    }
    disk.remount("size=16m");
    await using again = startDaemon(data, models);
    expect((await callDaemon(await again.ready)).status).toBe(200);
  } finally {
    disk.unmount();
  }
});
