import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  encodeAddCheckpoint,
  encodeNote,
  type Note,
  parseCosignatures,
  parseCosignedSize,
  utf8,
  verifyNote,
} from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fixedNoteSigner } from "../../../../test/fixed-keys.ts";
import { LogInMemory, ORIGIN_IN_MEMORY } from "../../../../test/log-in-memory.ts";
import { closeDatabase, openDatabase } from "../platform/database.ts";
import { errorResponse } from "../platform/http.ts";
import { openNoteSigner } from "../platform/keys.ts";
import { type OpenWitnessOptions, openWitness } from "./open.ts";
import { witnessRoutes } from "./routes.ts";
import { createWitness, type Witness, type WitnessAnswer } from "./service.ts";
import { createStore } from "./store.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "witness-"));
});
afterAll(() => rm(root, { recursive: true }));

const log = new LogInMemory();
const fork = new LogInMemory();
for (let i = 0; i < 20; i++) {
  log.append(utf8(`entry ${i}`));
  fork.append(utf8(i === 7 ? "another" : `entry ${i}`));
}
const NOON = Date.UTC(2026, 10, 22, 12) / 1000;

const body = (oldSize: number, size: number, from = log) => encodeAddCheckpoint(from.witnessRequest(oldSize, size));

let folders = 0;
/** A witness in a folder of its own, of `log`, whose clock stands still until `at` moves it. */
async function open(changes: Partial<OpenWitnessOptions> = {}) {
  const folder = changes.folder ?? join(root, `data-${folders++}`);
  const time = { at: NOON };
  const reported: { event: string; detail: Record<string, unknown> }[] = [];
  const witness = await openWitness({
    folder,
    keyPath: join(folder, "keys", "witness.pem"),
    name: undefined,
    logs: [{ origin: ORIGIN_IN_MEMORY, keys: [log.key] }],
    clock: { nowMs: () => time.at * 1000 + 999 },
    report: (event, detail) => void reported.push({ event, detail }),
    ...changes,
  });
  return { ...witness, folder, time, reported, [Symbol.asyncDispose]: witness.close };
}

/** The time of the cosignature in `answer`, which the witness's key made of that note. */
async function timeOf(witness: Pick<Witness, "key">, { status, body: text }: WitnessAnswer, note: Note) {
  expect({ status, text }).toMatchObject({ status: 200 });
  const cosignatures = parseCosignatures(utf8(text));
  const verified = await verifyNote({ text: note.text, signatures: cosignatures }, [witness.key]);
  expect(verified).toHaveLength(1);
  return verified?.[0]?.timeSeconds;
}

test("a cosignature is by the witness's key, over the checkpoint and the time", async () => {
  await using witness = await open();
  const { note } = log.witnessRequest(0, 5);
  expect(await timeOf(witness, await witness.addCheckpoint(body(0, 5)), note)).toBe(NOON);
  const hash = createHash("sha256").update(witness.key.publicKey).digest("hex");
  expect(witness.key).toMatchObject({ name: `tallystick.local/witness-${hash.slice(0, 16)}`, type: "cosignature" });
});

test("the time of a log's cosignatures never goes back, though the clock does, and the witness is started again", async () => {
  const first = await open();
  const times: unknown[] = [];
  for (const [size, at] of [5, 6, 7].map((size, i) => [size, [NOON, NOON - 3600, NOON + 5][i] ?? 0] as const)) {
    first.time.at = at;
    times.push(
      await timeOf(first, await first.addCheckpoint(body(size === 5 ? 0 : size - 1, size)), log.checkpoint(0, size)),
    );
  }
  await first.close();
  await using again = await open({ folder: first.folder });
  again.time.at = NOON - 7200;
  times.push(await timeOf(again, await again.addCheckpoint(body(7, 8)), log.checkpoint(0, 8)));
  expect(times).toEqual([NOON, NOON, NOON + 5, NOON + 5]);
  expect(again.key).toEqual(first.key);
});

test("a clock that says 1970, or a time past the last, cosigns nothing", async () => {
  await using witness = await open();
  for (const at of [0, 2 ** 32]) {
    witness.time.at = at;
    expect(await witness.addCheckpoint(body(0, 5))).toMatchObject({ status: 503, body: /clock .* is not set/ });
    expect(witness.latest(ORIGIN_IN_MEMORY)).toBeUndefined();
  }
});

test("extension lines are cosigned whole, and another checkpoint of the same tree is another text", async () => {
  await using witness = await open();
  const { text } = log.checkpoint(0, 5);
  const extended = `${text}an extension\nof two lines\n`;
  const request = (oldSize: number, signed: string) =>
    encodeAddCheckpoint({ oldSize, proof: [], note: { text: signed, signatures: [log.signer.sign(signed)] } });
  const answer = await witness.addCheckpoint(request(0, extended));
  expect(await timeOf(witness, answer, { text: extended, signatures: [] })).toBe(NOON);
  expect(witness.latest(ORIGIN_IN_MEMORY)?.text).toBe(extended);
  const bare = await witness.addCheckpoint(request(5, text));
  expect(await timeOf(witness, bare, { text, signatures: [] })).toBe(NOON);
  expect(bare.body).not.toBe(answer.body);
});

test("asked again, it cosigns the same tree with the new time, and within the second says what it said", async () => {
  await using witness = await open();
  const first = await witness.addCheckpoint(body(0, 5));
  expect(await witness.addCheckpoint(body(5, 5))).toEqual(first);
  witness.time.at = NOON + 1;
  const later = await witness.addCheckpoint(body(5, 5));
  expect(await timeOf(witness, later, log.checkpoint(0, 5))).toBe(NOON + 1);
});

test("two requests at once from one size: one is cosigned, the other is told the size that won", async () => {
  await using witness = await open();
  await witness.addCheckpoint(body(0, 5));
  const [longer, shorter] = await Promise.all([witness.addCheckpoint(body(5, 12)), witness.addCheckpoint(body(5, 8))]);
  expect(await timeOf(witness, longer, log.checkpoint(0, 12))).toBe(NOON);
  expect(shorter).toEqual({ status: 409, contentType: "text/x.tlog.size", body: "12\n" });
  expect(witness.latest(ORIGIN_IN_MEMORY)?.text).toBe(log.checkpoint(0, 12).text);
});

test("requests of one log are answered in the order in which they came", async () => {
  await using witness = await open();
  const sizes = [0, 5, 6, 12, 20];
  const answers = await Promise.all(sizes.slice(1).map((size, i) => witness.addCheckpoint(body(sizes[i] ?? 0, size))));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
});

test("closing answers what was asked before, and refuses what is asked after", async () => {
  const witness = await open();
  const asked = witness.addCheckpoint(body(0, 5));
  const closed = witness.close();
  expect(await witness.addCheckpoint(body(5, 6))).toMatchObject({ status: 503, body: "the witness is closing\n" });
  expect((await asked).status).toBe(200);
  await closed;
});

test("more requests for one log than may wait are refused, those of another log are not", async () => {
  const other = new LogInMemory("log.example/other");
  await using witness = await open();
  witness.setLog(other.key.name, [other.key]);
  const asked = Array.from({ length: 100 }, () => witness.addCheckpoint(body(0, 5)));
  const beside = witness.addCheckpoint(body(0, 0, other));
  const statuses = (await Promise.all(asked)).map(({ status }) => status);
  expect((await beside).status).toBe(200);
  expect(statuses).toEqual([200, ...Array(63).fill(409), ...Array(36).fill(503)]);
  expect(await witness.addCheckpoint(body(5, 6))).toMatchObject({ status: 200 });
});

test("a split view: the second of two forks is refused, nothing of it is stored, and the operator has the proof, once", async () => {
  await using witness = await open();
  await witness.addCheckpoint(body(0, 9));
  const before = witness.latest(ORIGIN_IN_MEMORY);
  const forked = [body(9, 9, fork), body(9, 20, fork), body(0, 20, fork), body(9, 9, fork)];
  const statuses = [];
  for (const request of forked) statuses.push((await witness.addCheckpoint(request)).status);
  expect(statuses).toEqual([422, 422, 409, 422]);
  expect(witness.latest(ORIGIN_IN_MEMORY)).toEqual(before);
  const submitted = encodeNote(fork.witnessRequest(9, 9).note);
  expect(witness.reported).toEqual([
    {
      event: "a log has signed two trees of one size",
      detail: { origin: ORIGIN_IN_MEMORY, cosigned: before && encodeNote(before), submitted },
    },
  ]);
  expect(await witness.addCheckpoint(body(9, 20))).toMatchObject({ status: 200 });
});

test("started again on its folder it knows what it cosigned, and no second one can be started beside it", async () => {
  const first = await open();
  await first.addCheckpoint(body(0, 9));
  const latest = first.latest(ORIGIN_IN_MEMORY);
  await expect(open({ folder: first.folder })).rejects.toThrow(/another tallyd is running on this data folder/);
  await first.close();
  await using again = await open({ folder: first.folder });
  expect(again.latest(ORIGIN_IN_MEMORY)).toEqual(latest);
  expect(await again.addCheckpoint(body(0, 20, fork))).toMatchObject({ status: 409, body: "9\n" });
  expect(await again.addCheckpoint(body(9, 20, fork))).toMatchObject({ status: 422 });
  expect(await again.addCheckpoint(body(9, 20))).toMatchObject({ status: 200 });
});

test("a key without its store is refused: who forgot what it cosigned could cosign a fork", async () => {
  const first = await open();
  await first.addCheckpoint(body(0, 9));
  await first.close();
  const keyPath = join(first.folder, "keys", "witness.pem");
  const elsewhere = join(root, "elsewhere");
  await expect(open({ folder: elsewhere, keyPath })).rejects.toThrow(/could cosign a fork of what it cosigned/);
  await expect(open({ folder: elsewhere, keyPath })).rejects.toThrow(/restore the store, or remove the key/);
  await mkdir(join(root, "moved"));
  await copyFile(join(first.folder, "witness.sqlite"), join(root, "moved", "witness.sqlite"));
  await using moved = await open({ folder: join(root, "moved"), keyPath });
  expect(moved.key).toEqual(first.key);
  expect(await moved.addCheckpoint(body(0, 9))).toMatchObject({ status: 409, body: "9\n" });
});

test("a key that was made before the store, and cosigned nothing, is taken once and on its operator's word", async () => {
  const [folder, keyPath] = [join(root, "prepared"), join(root, "prepared.pem")];
  const { key } = await openNoteSigner(keyPath, () => "witness.example/prepared");
  await expect(open({ folder, keyPath })).rejects.toThrow(/taken with --unused-key/);
  const first = await open({ folder, keyPath, isKeyUnused: true });
  expect(first.key.publicKey).toEqual(key.publicKey);
  await first.close();
  await expect(open({ folder, keyPath, isKeyUnused: true })).rejects.toThrow(/leave --unused-key out/);
  await (await open({ folder, keyPath })).close();
});

test("another key on the same store remembers the trees, and serves no cosignature that is not its own", async () => {
  const first = await open();
  await first.addCheckpoint(body(0, 9));
  await first.close();
  await using next = await open({
    folder: first.folder,
    keyPath: join(root, "next.pem"),
    name: "witness.example/next",
  });
  expect(next.key.name).toBe("witness.example/next");
  expect(next.latest(ORIGIN_IN_MEMORY)).toBeUndefined();
  expect(await next.addCheckpoint(body(0, 9))).toMatchObject({ status: 409, body: "9\n" });
  const renewed = await next.addCheckpoint(body(9, 9));
  expect(await timeOf(next, renewed, log.checkpoint(0, 9))).toBe(NOON);
  expect(next.latest(ORIGIN_IN_MEMORY)?.signatures.map(({ name }) => name)).toEqual([log.key.name, next.key.name]);
});

test("a log's key rotates while the witness runs, and what it knows of the log stays", async () => {
  const successor = fixedNoteSigner(ORIGIN_IN_MEMORY, "the log's next key");
  const signedNext = (oldSize: number, size: number) => {
    const { text } = log.checkpoint(0, size);
    return encodeAddCheckpoint({
      oldSize,
      proof: log.consistencyHashes(oldSize, size),
      note: { text, signatures: [successor.sign(text)] },
    });
  };
  await using witness = await open();
  const statusOf = async (request: Uint8Array) => (await witness.addCheckpoint(request)).status;
  expect([await statusOf(body(0, 5)), await statusOf(signedNext(5, 6))]).toEqual([200, 403]);
  witness.setLog(ORIGIN_IN_MEMORY, [log.key, successor.key]);
  expect([await statusOf(signedNext(5, 6)), await statusOf(body(6, 7))]).toEqual([200, 200]);
  witness.setLog(ORIGIN_IN_MEMORY, [successor.key]);
  expect([await statusOf(body(7, 8)), await statusOf(signedNext(7, 8))]).toEqual([403, 200]);
  witness.setLog(ORIGIN_IN_MEMORY, []);
  expect(await statusOf(signedNext(8, 9))).toBe(404);
  expect(witness.latest(ORIGIN_IN_MEMORY)?.text).toBe(log.checkpoint(0, 8).text);
});

test("a log's own key is no witness's key", async () => {
  await using witness = await open();
  const keys = [{ ...log.key, publicKey: witness.key.publicKey }];
  expect(() => witness.setLog("log.example/another", keys)).toThrow(/give the witness one of its own/);
  expect(await readdir(join(witness.folder, "keys"))).toEqual(["witness.pem"]);
});

test("a store that cannot write answers no cosignature, and none after that until a start has read it back", async () => {
  const path = join(root, "full.sqlite");
  const database = openDatabase(path, "FULL");
  const reported: string[] = [];
  const signer = fixedNoteSigner("witness.example");
  const options = {
    store: createStore(database),
    cosigner: { key: signer.key, cosign: signer.cosign },
    clock: { nowMs: () => NOON * 1000 },
    report: (event: string) => void reported.push(event),
  };
  const witness = createWitness(options);
  witness.setLog(ORIGIN_IN_MEMORY, [log.key]);
  const pages = (database.pragma("page_count") as { page_count: number }[])[0]?.page_count ?? 0;
  database.pragma(`max_page_count = ${pages}`);
  const filler = new LogInMemory(`log.example/${"x".repeat(4_000)}`);
  witness.setLog(filler.key.name, [filler.key]);
  const unwritable = { status: 503, body: /cannot write: its operator must look at the disk/ };
  expect(await witness.addCheckpoint(body(0, 0, filler))).toMatchObject(unwritable);
  database.pragma("max_page_count = 100000");
  expect(await witness.addCheckpoint(body(0, 5))).toMatchObject(unwritable);
  expect(witness.latest(filler.key.name)).toBeUndefined();
  expect(reported).toEqual(["the witness cannot write"]);
  closeDatabase(database);

  const again = openDatabase(path, "FULL");
  const restarted = createWitness({ ...options, store: createStore(again) });
  restarted.setLog(ORIGIN_IN_MEMORY, [log.key]);
  expect((await restarted.addCheckpoint(body(0, 5))).status).toBe(200);
  closeDatabase(again);
});

test("over HTTP: each answer with its status and type, and the latest checkpoint under its origin's hash", async () => {
  await using witness = await open();
  const app = witnessRoutes(witness);
  app.onError((error, c) => errorResponse(c, error, () => {}));
  const post = async (request: Uint8Array) => {
    const answer = await app.request("/add-checkpoint", { method: "POST", body: request as Uint8Array<ArrayBuffer> });
    return { status: answer.status, type: answer.headers.get("content-type"), text: await answer.text() };
  };
  const path = `/${createHash("sha256").update(ORIGIN_IN_MEMORY).digest("hex")}/checkpoint`;
  expect((await app.request(path)).status).toBe(404);

  const text = "text/plain; charset=utf-8";
  const consent = await post(body(0, 5));
  expect(consent).toMatchObject({ status: 200, type: text, text: /^— tallystick.local\/witness-[0-9a-f]{16} \S+\n$/ });
  expect(await post(body(0, 6))).toEqual({ status: 409, type: "text/x.tlog.size", text: "5\n" });
  expect(parseCosignedSize(utf8((await post(body(0, 6))).text))).toBe(5);
  expect(await post(utf8("old 5"))).toMatchObject({ status: 400, type: text });
  expect(await post(body(5, 9, new LogInMemory("log.example/unknown")))).toMatchObject({ status: 404, type: text });
  const unproved = encodeAddCheckpoint({ ...log.witnessRequest(5, 9), proof: [] });
  expect(await post(unproved)).toMatchObject({ status: 422, type: text });
  const { text: signedText } = log.checkpoint(0, 9);
  const unsigned = { text: signedText, signatures: [fixedNoteSigner("stranger.example").sign(signedText)] };
  const stranger = encodeAddCheckpoint({ ...log.witnessRequest(5, 9), note: unsigned });
  expect(await post(stranger)).toMatchObject({ status: 403, type: text });
  expect((await post(new Uint8Array(1_000_000))).status).toBe(413);

  const latest = await app.request(path);
  expect([latest.status, latest.headers.get("content-type")]).toEqual([200, text]);
  expect(await latest.text()).toBe(encodeNote(log.witnessRequest(0, 5).note) + consent.text);
  for (const other of [path.toUpperCase(), `${path}/`, `/${"0".repeat(64)}/checkpoint`, path.slice(0, -1)])
    expect((await app.request(other)).status, other).toBe(404);
});
