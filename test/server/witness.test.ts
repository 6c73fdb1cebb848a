/** `tallyd witness` as an operator runs it: a process of its own, asked over HTTP by a log that it does not live with. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { encodeAddCheckpoint, encodeNoteKey, parseNote, parseNoteKey, utf8, verifyNote } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LogInMemory } from "../log-in-memory.ts";
import { type Ended, expectOneSentence } from "./daemon.ts";

const TALLYD = join(import.meta.dirname, "..", "..", "packages", "server", "bin", "tallyd.js");

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "tallyd-witness-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const log = new LogInMemory();
for (let i = 0; i < 12; i++) log.append(utf8(`entry ${i}`));

type Ready = { url: string; name: string; vkey: string; policyLine: string };

/** Starts a witness of `log` on any port. */
function startWitness(data: string, ...args: string[]) {
  const line = [TALLYD, "witness", "--data", data, "--log", encodeNoteKey(log.key), "--port", "0", "--json", ...args];
  const child = spawn(process.execPath, line, { stdio: ["ignore", "pipe", "pipe"] });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, stderr }) as Ended);
  const ready = Promise.race([
    once(createInterface({ input: child.stdout }), "line").then(([text]) => JSON.parse(String(text)) as Ready),
    ended.then(({ stderr: said }) => Promise.reject(new Error(`tallyd witness ended: ${said}`))),
  ]);
  ready.catch(() => {}); // Some tests only want to see it end.
  const stop = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  return {
    ready,
    ended,
    stop,
    async [Symbol.asyncDispose]() {
      await stop("SIGKILL");
    },
  };
}

async function add({ url }: Ready, oldSize: number, size: number) {
  const body = encodeAddCheckpoint(log.witnessRequest(oldSize, size)) as Uint8Array<ArrayBuffer>;
  const answer = await fetch(`${url}/add-checkpoint`, { method: "POST", body });
  return { status: answer.status, text: await answer.text() };
}

const latestPath = `${createHash("sha256").update(log.key.name).digest("hex")}/checkpoint`;

test("killed, it knows at its next start what it cosigned; the policy line that it prints verifies its cosignatures", async () => {
  const data = join(root, "killed");
  await using first = startWitness(data);
  const ready = await first.ready;
  expect(await add(ready, 0, 5)).toMatchObject({ status: 200 });
  expect(await add(ready, 5, 9)).toMatchObject({ status: 200 });
  const latest = await (await fetch(`${ready.url}/${latestPath}`)).text();
  await using second = startWitness(data);
  expectOneSentence(await second.ended, /another tallyd is running on this data folder/);
  expect(await first.stop("SIGKILL")).toMatchObject({ signal: "SIGKILL" });

  await using again = startWitness(data);
  const readyAgain = await again.ready;
  expect(readyAgain).toMatchObject({ name: ready.name, vkey: ready.vkey });
  expect(await (await fetch(`${readyAgain.url}/${latestPath}`)).text()).toBe(latest);
  expect(await add(readyAgain, 5, 12)).toEqual({ status: 409, text: "9\n" });
  expect(await add(readyAgain, 9, 12)).toMatchObject({ status: 200 });

  const [word, name, vkey = "", url] = readyAgain.policyLine.split(" ");
  expect([word, name, url]).toEqual(["witness", readyAgain.name, readyAgain.url]);
  const verified = await verifyNote(parseNote(utf8(latest)), [log.key, parseNoteKey(vkey)]);
  expect(verified?.map(({ key }) => key.type)).toEqual(["ed25519", "cosignature"]);
  expect(await again.stop("SIGTERM")).toEqual({ code: 0, signal: null, stderr: "" });
});

test("what it is not to answer is refused in JSON, as everywhere", async () => {
  await using witness = startWitness(join(root, "refusals"));
  const { url } = await witness.ready;
  for (const [path, method, status] of [
    ["", "GET", 404],
    ["add-checkpoint", "GET", 404],
    [latestPath, "GET", 404],
    [`${latestPath}/`, "GET", 404],
  ] as const) {
    const answer = await fetch(`${url}/${path}`, { method });
    expect([answer.status, await answer.json()], path).toMatchObject([status, { error: { code: "not_found" } }]);
  }
});

test("what keeps it from starting is one sentence", async () => {
  const used = join(root, "used");
  await using once = startWitness(used);
  await once.ready;
  await once.stop("SIGTERM");
  const keyPath = join(used, "keys", "witness.pem");

  await using forgetful = startWitness(join(root, "forgetful"), "--key", keyPath);
  expectOneSentence(await forgetful.ended, /could cosign a fork of what it cosigned before: restore the store/);
  await using named = startWitness(used, "--name", "a name with spaces");
  expectOneSentence(await named.ended, /the witness's name is a key name with a space or a plus/);
  await writeFile(join(root, "file"), "");
  await using file = startWitness(join(root, "file"));
  expectOneSentence(await file.ended, /is a file: give a folder with --data/);
  await using known = startWitness(used, "--log", "log.example");
  expectOneSentence(await known.ended, /--log "log.example" is not a vkey/);
});

test("tallyd witness --help says what it takes", async () => {
  await using witness = startWitness(join(root, "help"), "--help");
  expect(await witness.ended).toEqual({ code: 0, signal: null, stderr: "" });
});
