import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { encodeNoteKey, hex, parseLogProof, proves, sha256, tilePath, utf8 } from "@tallystick/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Ran, runTally } from "../e2e/processes.ts";
import { documentedFields } from "../e2e/reference.ts";
import { temporaryFolder } from "../folder.ts";
import { LogInMemory } from "../log-in-memory.ts";
import { type FileServer, serveFiles } from "./file-server.ts";
import { filesOf, flip } from "./log-files.ts";
import { extendLog, numberedLog } from "./numbered-log.ts";

/** Long ago: what asks for a fresh checkpoint gets none. */
const THEN_SECONDS = 1_700_000_000;
const FORKED_AT = 100;
const TALLY = join(import.meta.dirname, "..", "..", "packages", "client", "bin", "tally.js");

let place: Awaited<ReturnType<typeof temporaryFolder>>;
let server: FileServer;
/** What is served, which a test changes as it likes. */
const files = new Map<string, Uint8Array>();
const vkey = encodeNoteKey(numberedLog(0).key);
const origin = numberedLog(0).key.name;

beforeEach(async () => {
  place = await temporaryFolder();
  server = await serveFiles(files);
  serve(numberedLog(300));
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

function serve(log: LogInMemory): void {
  files.clear();
  for (const [path, bytes] of filesOf(log, THEN_SECONDS)) files.set(path, bytes);
}

const tally = (...args: string[]): Promise<Ran> => runTally([...args, "--vkey", vkey], place.path);
const here = (...names: string[]) => join(place.path, ...names);

describe("monitor", () => {
  const look = (...args: string[]) => tally("monitor", server.url, "--once", ...args);

  test("goes on in each process from where the last one was", async () => {
    expect(await look()).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("300 entries, met for the first time"),
    });
    serve(numberedLog(700));
    expect(await look()).toMatchObject({ status: 0, stdout: expect.stringContaining("700 entries, 400 new") });
    const { stdout } = await look("--json");
    expect(JSON.parse(stdout)).toEqual({ origin, size: 700, newEntries: 0, timeSeconds: THEN_SECONDS });
    expect(Object.keys(JSON.parse(stdout))).toEqual(await documentedFields("monitor"));
    const kept = await readFile(here("home", "checkpoints", hex(sha256(utf8(origin)))));
    expect(new Uint8Array(kept)).toEqual(files.get("checkpoint"));
  });

  test.each([
    ["the honest tree, then the forged one", FORKED_AT, undefined],
    ["the forged tree, then the honest one", undefined, FORKED_AT],
  ])("ends with the alarm at a fork and keeps the evidence once: %s", async (_, later, first) => {
    serve(numberedLog(300, first));
    const before = files.get("checkpoint");
    expect(await look()).toMatchObject({ status: 0 });
    serve(numberedLog(400, later));
    const alarms = [await look(), await look()];
    for (const { status, stdout } of alarms) {
      expect(status).toBe(6);
      expect(stdout).toMatch(
        /^ALARM {2}log\.example\/tallystick {2}fork: the log of 400 entries does not begin with the 300/,
      );
    }
    const [, folder = ""] = /The evidence is in (.+)\n$/.exec(alarms[0]?.stdout ?? "") ?? [];
    expect((await readdir(folder)).sort()).toEqual(["checkpoint-earlier", "checkpoint-served", "consistency-proof"]);
    expect(new Uint8Array(await readFile(join(folder, "checkpoint-earlier")))).toEqual(before);
    expect(await readdir(join(folder, ".."))).toHaveLength(1);
    const { stdout } = await look("--json");
    expect(JSON.parse(stdout)).toMatchObject({ origin, alarm: { kind: "fork" }, evidence: folder });
  });

  test("ends with the alarm at a shrunk log, a forged signature, a wrong entry, an old checkpoint", async () => {
    await look();
    serve(numberedLog(299));
    expect(await look()).toMatchObject({ status: 6, stdout: expect.stringContaining("shrunk") });
    serve(numberedLog(300));
    const checkpoint = files.get("checkpoint") ?? utf8("");
    files.set("checkpoint", flip(-20)(checkpoint.slice()));
    expect(await look()).toMatchObject({ status: 6, stdout: expect.stringContaining("signature") });
    serve(numberedLog(400));
    const bundle = tilePath({ level: "entries", index: 1, width: 144 });
    files.set(bundle, flip(-1)(files.get(bundle) ?? utf8("")));
    expect(await look()).toMatchObject({ status: 6, stdout: expect.stringContaining("entries: ") });
    serve(numberedLog(400));
    expect(await look("--stale", "60")).toMatchObject({ status: 6, stdout: expect.stringContaining("stale") });
    expect(await look()).toMatchObject({ status: 0 });
  });

  test("compares with each witness that it is given", async () => {
    const path = `w/${hex(sha256(utf8(origin)))}/checkpoint`;
    const witness = ["--witness", `${server.url}/none`, "--witness", `${server.url}/w`];
    files.set(path, utf8(numberedLog(200).checkpointFile(THEN_SECONDS)));
    const fine = await look(...witness);
    expect(fine).toMatchObject({
      status: 0,
      stderr: expect.stringContaining("none: it has cosigned nothing of this log"),
    });
    files.set(path, utf8(numberedLog(200, FORKED_AT).checkpointFile(THEN_SECONDS)));
    expect(await look(...witness)).toMatchObject({ status: 6, stdout: expect.stringContaining("split") });
  });

  test("says with --once that nothing could be said, and with the wrong words what is wrong with them", async () => {
    const gone = server.url;
    files.clear();
    expect(await look()).toMatchObject({ status: 1 });
    await server[Symbol.asyncDispose]();
    expect(await tally("monitor", gone, "--once")).toMatchObject({ status: 5 });
    expect(await look("--interval", "0")).toMatchObject({ status: 2 });
    expect(await look("--witness", "example.org")).toMatchObject({ status: 2 });
    server = await serveFiles(files);
  });

  test("takes trouble with the network as no alarm, looks again, and ends cleanly", async () => {
    const args = ["monitor", server.url, "--interval", "1", "--vkey", vkey];
    const env = { PATH: process.env.PATH, HOME: place.path, TALLYSTICK_HOME: here("home") };
    const child: ChildProcess = spawn(process.execPath, [TALLY, ...args], { cwd: place.path, env, stdio: "pipe" });
    if (child.stdout === null || child.stderr === null) throw new Error("it has pipes");
    const [out, err] = [child.stdout, child.stderr].map((input) => createInterface({ input }));
    const ended = once(child, "exit");
    await once(out!, "line");
    files.delete("checkpoint");
    const [trouble] = await once(err!, "line");
    expect(trouble).toMatch(/^tally: .*looking again in 1 s$/);
    serve(numberedLog(301));
    for (let line = ""; !line.includes("301 entries"); ) [line] = await once(out!, "line");
    child.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
  });
});

describe("log export", () => {
  test("makes a folder that is checked offline by its key, and extends it", async () => {
    for (const size of [300, 700]) {
      serve(numberedLog(size));
      const ran = await tally("log", "export", server.url, "--out", "mirror", "--json");
      expect(ran).toMatchObject({ status: 0 });
      expect(JSON.parse(ran.stdout)).toMatchObject({ origin, size, folder: "mirror" });
      expect(Object.keys(JSON.parse(ran.stdout))).toEqual(await documentedFields("log export"));
    }
    expect(await readFile(here("mirror", "log.vkey"), "utf8")).toBe(`${vkey}\n`);
    await server[Symbol.asyncDispose]();
    const checked = await tally("log", "fsck", "mirror", "--json");
    expect(JSON.parse(checked.stdout)).toMatchObject({ origin, size: 700, findings: [], notes: [] });
    expect(Object.keys(JSON.parse(checked.stdout))).toEqual(await documentedFields("log fsck"));
    const audited = JSON.parse((await tally("audit", "mirror", "--json")).stdout);
    expect(audited).toMatchObject({ size: 700, entryCount: 700 });
    expect(audited.findings.filter(({ check }: { check: string }) => check !== "entry")).toEqual([]);
    server = await serveFiles(files);
  });

  test("refuses a fork, another log's copy and a folder of other things, and changes nothing there", async () => {
    await tally("log", "export", server.url, "--out", "mirror");
    await rm(here("home"), { recursive: true }); // Somebody who never saw the log: the copy itself remembers.
    serve(numberedLog(400, FORKED_AT));
    const forked = await tally("log", "export", server.url, "--out", "mirror");
    expect(forked).toMatchObject({ status: 3, stderr: expect.stringMatching(/do not trust .* The evidence is in /) });
    expect(await tally("log", "fsck", "mirror")).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("300 entries"),
    });
    const other = new LogInMemory("log.example/other");
    extendLog(other, 20);
    serve(other);
    const otherKey = encodeNoteKey(other.key);
    const into = (out: string) => runTally(["log", "export", server.url, "--out", out, "--vkey", otherKey], place.path);
    expect(await into("mirror")).toMatchObject({ status: 3 });
    expect(await readFile(here("mirror", "log.vkey"), "utf8")).toBe(`${vkey}\n`);
    await writeFile(here("file"), "x");
    expect(await into(".")).toMatchObject({ status: 2, stderr: expect.stringContaining("holds other files") });
  });
});

test("log fsck names the file, and ends with status 3", async () => {
  await tally("log", "export", server.url, "--out", "mirror");
  const path = tilePath({ level: "entries", index: 0, width: 256 });
  await writeFile(here("mirror", path), flip(30)(new Uint8Array(await readFile(here("mirror", path)))));
  await writeFile(here("mirror", "tile", "notes.txt"), "x");
  const { status, stdout } = await tally("log", "fsck", "mirror");
  expect(status).toBe(3);
  expect(stdout).toMatch(
    /\nfailed {6}2\n {2}FAILED {2}tile\/notes\.txt .*\n {2}FAILED {2}tile\/entries\/000 .*\(entry 3\)\n$/,
  );
});

describe("log prove", () => {
  test("prints a proof that leads to the newest checkpoint, or to one that is given", async () => {
    const log = numberedLog(300);
    const newest = await tally("log", "prove", "7", server.url);
    expect(newest).toMatchObject({ status: 0, stdout: log.prove(7, THEN_SECONDS) });
    expect(proves(parseLogProof(newest.stdout), log.entries[7] ?? utf8(""))).toBe(true);
    await writeFile(here("earlier"), log.checkpointFile(THEN_SECONDS, 123));
    const earlier = ["log", "prove", "7", server.url, "--checkpoint", "earlier"];
    expect(await tally(...earlier, "--size", "123")).toMatchObject({
      status: 0,
      stdout: log.prove(7, THEN_SECONDS, 123),
    });
    expect(await tally(...earlier, "--out", "proof")).toMatchObject({ status: 0, stdout: "" });
    expect(await readFile(here("proof"), "utf8")).toBe(log.prove(7, THEN_SECONDS, 123));
    const { stdout } = await tally(...earlier, "--json");
    expect(Object.keys(JSON.parse(stdout))).toEqual(await documentedFields("log prove"));
  });

  test("refuses what cannot be proved", async () => {
    await writeFile(here("fork"), numberedLog(200, FORKED_AT).checkpointFile(THEN_SECONDS));
    const cases: [number, string[], RegExp][] = [
      [2, ["300"], /no entry 300 among 300/],
      [2, ["-1x"], /Unknown option|whole number/],
      [2, ["7", "--size", "123"], /give the one of 123 with --checkpoint/],
      [2, ["7", "--size", "1", "--checkpoint", "fork"], /of 200 entries, not 1/],
      [2, ["7", "--checkpoint", "nothing"], /no checkpoint in nothing/],
      [3, ["7", "--checkpoint", "fork"], /another tree than the log serves/],
    ];
    for (const [status, [index = "", ...options], message] of cases) {
      const ran = await tally("log", "prove", index, server.url, ...options);
      expect(ran, String(message)).toMatchObject({ status, stdout: "", stderr: expect.stringMatching(message) });
    }
  });
});

/** Files of which the tiles of hashes are not there when they are asked for first. */
class LateFiles extends Map<string, Uint8Array> {
  readonly #asked = new Set<string>();

  override get(path: string): Uint8Array | undefined {
    const isLate = path.startsWith("tile/0/") && !this.#asked.has(path);
    this.#asked.add(path);
    return isLate ? undefined : super.get(path);
  }
}

test("a log that shows its tiles to nobody but the audit itself is held to what was kept of it as well", async () => {
  await tally("monitor", server.url, "--once");
  serve(numberedLog(400, FORKED_AT));
  await using late = await serveFiles(new LateFiles(files));
  const found = await tally("audit", late.url);
  expect(found).toMatchObject({
    status: 3,
    stdout: expect.stringContaining("FAILED  before: the entries do not begin with the 300 that the log had"),
    stderr: expect.stringMatching(/does not begin with the 300 that it had: do not trust .* The evidence is in /),
  });
  serve(numberedLog(400));
  expect((await tally("audit", server.url)).stdout).not.toContain("FAILED  before");
});

test("an audit holds a log to what was kept of it, whoever kept that", async () => {
  await tally("monitor", server.url, "--once");
  serve(numberedLog(400, FORKED_AT));
  const refused = await tally("audit", server.url);
  expect(refused).toMatchObject({
    status: 3,
    stdout: "",
    stderr: expect.stringMatching(/do not trust .* The evidence is in /),
  });
  serve(numberedLog(400));
  expect(await tally("audit", server.url)).toMatchObject({
    stderr: expect.stringMatching(/^tally: .* answers as no network.*\n$/),
  });
  serve(numberedLog(350));
  expect(await tally("audit", server.url)).toMatchObject({ stderr: expect.stringContaining("the log had 400") });
  serve(numberedLog(350, FORKED_AT));
  expect(await tally("monitor", server.url, "--once")).toMatchObject({ status: 6 });
});
