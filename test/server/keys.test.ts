import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyModels } from "../network.ts";
import { callDaemon, expectOneSentence, runOnce, startDaemon } from "./daemon.ts";

const TALLYD = join(import.meta.dirname, "..", "..", "packages", "server", "bin", "tallyd.js");
const FILES = [
  ...["admin-token", "checkpoint.pem", "gateway.pem", "log.pem", "node.pem", "publisher.pem", "sealing-key"],
  ...["verifier.pem", "witness-1.pem", "witness-2.pem"],
];

let root: string;
let models: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "tallyd-keys-"));
  models = await copyModels(["credit-default"], join(root, "models"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Runs `tallyd keys`, and gives what it printed. */
async function tallydKeys(...args: string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [TALLYD, "keys", ...args]);
  expect(stderr).toBe("");
  return stdout;
}

async function refusal(...args: string[]): Promise<{ code: number; stderr: string }> {
  const error: unknown = await tallydKeys(...args).catch((cause: unknown) => cause);
  if (!(error instanceof Error && "code" in error && "stderr" in error)) throw new Error("it was not refused");
  return { code: Number(error.code), stderr: String(error.stderr) };
}

const publicHalves = (printed: string) =>
  new Map([...printed.matchAll(/^ {2}(\w+) +(?:made|was there) +(\S+)$/gm)].map(([, name, half]) => [name, half]));

test("tallyd keys makes every role's key for its user alone, prints the public halves, and changes none that is there", async () => {
  const folder = join(root, "above", "made");
  const first = await tallydKeys("--keys", folder);
  expect((await readdir(folder)).sort()).toEqual(FILES);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  for (const name of FILES) expect((await stat(join(folder, name))).mode & 0o777, name).toBe(0o600);
  for (const name of ["admin-token", "sealing-key"])
    expect(first).not.toContain((await readFile(join(folder, name), "utf8")).trim());
  expect([...publicHalves(first).keys()]).toEqual(["checkpoint", "log", "gateway", "node", "publisher", "verifier"]);
  await rm(join(folder, "node.pem"));
  const second = await tallydKeys("--keys", folder);
  expect(second).toMatch(/ node +made /);
  expect(second).toMatch(/ gateway +was there /);
  const [before, after] = [publicHalves(first), publicHalves(second)];
  expect(after.get("node")).not.toBe(before.get("node"));
  for (const name of ["checkpoint", "log", "gateway", "publisher"]) expect(after.get(name)).toBe(before.get(name));
});

test("tallyd keys does not go without a folder, nor into one that others may enter", async () => {
  const open = join(root, "open");
  await mkdir(open);
  await chmod(open, 0o755);
  await writeFile(join(root, "file"), "");
  const refusals: [string[], RegExp][] = [
    [[], /^tallyd: which folder are the keys to lie in\? Say so with `tallyd keys --keys DIR`\n$/],
    [["--keys", open], /^tallyd: \S+open can be read by others: chmod 700 \S+open\n$/],
    [["--keys", join(root, "file")], /^tallyd: \S+file is a file: give a folder with --keys\n$/],
    [["--key", "x"], /^tallyd: .*tallyd keys --help lists the options\n$/],
  ];
  for (const [args, words] of refusals)
    expect(await refusal(...args)).toEqual({ code: 1, stderr: expect.stringMatching(words) });
  expect(await readdir(open)).toEqual([]);
  expect(await tallydKeys("--help")).toContain("tallyd keys --keys DIR");
});

test("a network runs on keys outside its data, and makes none where one of them is lost", async () => {
  const [folder, data] = [join(root, "outside"), join(root, "data")];
  const printed = publicHalves(await tallydKeys("--keys", folder));
  const args = ["--keys", folder];
  await using daemon = startDaemon(data, models, { args });
  const ready = await daemon.ready;
  expect(ready.logVkey).toBe(printed.get("checkpoint"));
  expect((await callDaemon(ready)).status).toBe(200);
  const authorization = `Bearer ${(await readFile(join(folder, "admin-token"), "utf8")).trim()}`;
  const body = '{"name":"a colleague"}';
  const account = await fetch(`${ready.url}/v1/accounts`, { method: "POST", headers: { authorization }, body });
  expect(account.status).toBe(201);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
  expect(await readdir(join(data, "keys"))).toEqual(["api-key"]);

  const [lost, found] = [join(folder, "node.pem"), join(root, "node-elsewhere.pem")];
  await rename(lost, found);
  await using without = startDaemon(data, models, { args });
  expectOneSentence(await without.ended, /outside\/node\.pem is missing: make it with `tallyd keys/);
  await expect(stat(lost)).rejects.toThrow(/ENOENT/);
  await using elsewhere = startDaemon(data, models, { args: [...args, "--key", `node=${found}`] });
  expect((await elsewhere.ready).logVkey).toBe(ready.logVkey);
  expect(await elsewhere.stop()).toMatchObject({ code: 0, stderr: "" });

  await copyFile(join(folder, "gateway.pem"), join(folder, "checkpoint.pem"));
  await using wrong = startDaemon(data, models, { args: [...args, "--key", `node=${found}`] });
  expectOneSentence(await wrong.ended, /outside\/checkpoint\.pem holds a key of another type/);
});

test("a network that ran on the keys of its first start goes on under the same origin with them moved out", async () => {
  const [folder, data] = [join(root, "moved"), join(root, "moved-data")];
  const before = await runOnce(data, models);
  await mkdir(folder, { mode: 0o700 });
  for (const name of FILES) await rename(join(data, "keys", name), join(folder, name));
  await using daemon = startDaemon(data, models, { args: ["--keys", folder] });
  expect(await daemon.ready).toMatchObject({ logVkey: before.logVkey, apiKey: before.apiKey });
  expect((await readdir(folder)).sort()).toEqual(FILES);
});

test("behind a proxy that ends TLS it tells the proxy's URL, and listens on this machine", async () => {
  const folder = join(root, "behind");
  await tallydKeys("--keys", folder);
  const args = ["--keys", folder, "--behind-tls-proxy", "--url", "https://tallystick.example"];
  await using daemon = startDaemon(join(root, "behind-data"), models, { args });
  expect((await daemon.ready).url).toBe("https://tallystick.example");
});
