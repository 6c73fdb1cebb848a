import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../test/folder.ts";
import { OPENING_KEPT_SECONDS } from "./gateway/openings.ts";
import { closeDatabase, openDatabase } from "./platform/database.ts";
import { createSystemRandom } from "./platform/random.ts";
import { createProofStore, type ProofJob } from "./proof-store.ts";

const random = createSystemRandom();
const sealingKey = random(32);
const NOW_SECONDS = 1_800_000_000;
const idOf = (n: number) => new Uint8Array(32).fill(n);
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text));
const JOB: ProofJob = {
  call: bytesOf("what was asked"),
  salt: random(32),
  answer: { bytes: bytesOf("what was answered"), salt: random(32) },
};
const MADE = { state: "made", evidence: bytesOf("the proof of it"), answer: JOB.answer } as const;

test("a call waits until something has come of it, and that waits until it is checked: the oldest first, on the disk", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "proofs.sqlite");
  {
    const database = openDatabase(path);
    const store = createProofStore({ database, sealingKey, random });
    for (const n of [3, 1, 2]) store.keep(idOf(n), JOB);
    store.noteAttempt(idOf(3), 1);
    store.conclude(idOf(1), MADE, NOW_SECONDS);
    closeDatabase(database);
  }
  const database = openDatabase(path);
  const store = createProofStore({ database, sealingKey, random });
  expect([store.waitingCount, store.listWaiting()]).toEqual([2, [idOf(3), idOf(2)]]);
  expect(store.find(idOf(3))).toEqual({ state: "waiting", job: JOB, attempts: 1 });
  expect(store.find(idOf(1))).toEqual(MADE);
  store.conclude(idOf(2), { state: "failed", reason: "it took too long" }, NOW_SECONDS);
  expect(store.find(idOf(2))).toEqual({ state: "failed", reason: "it took too long" });
  expect(store.listUnchecked()).toEqual([idOf(1), idOf(2)]);
  store.noteChecked(idOf(1));
  expect(store.listUnchecked()).toEqual([idOf(2)]);
  expect(() => store.keep(idOf(1), JOB)).toThrow();
  closeDatabase(database);
});

test("the disk has no word of a call or a proof, and of what is destroyed or outdated not even what was sealed", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "proofs.sqlite");
  const database = openDatabase(path);
  const store = createProofStore({ database, sealingKey, random });
  const onDisk = async () => Buffer.concat([await readFile(path), await readFile(`${path}-wal`)]);
  const sealed = () => {
    const rows = database.prepare("SELECT sealed FROM proofs").all([]);
    return (rows as { sealed: ArrayBuffer }[]).map((row) => Buffer.from(row.sealed));
  };
  for (const n of [1, 2]) store.keep(idOf(n), JOB);
  const calls = sealed();
  for (const n of [1, 2]) store.conclude(idOf(n), MADE, NOW_SECONDS);
  const proofs = sealed();
  const before = await onDisk();
  for (const plain of [JOB.call, JOB.answer.bytes, MADE.evidence])
    expect(before.includes(Buffer.from(plain))).toBe(false);
  for (const call of calls) expect(before.includes(call.subarray(12, 44))).toBe(false);
  for (const proof of proofs) expect(before.includes(proof)).toBe(true);

  expect([store.destroy(idOf(1)), store.destroy(idOf(1))]).toEqual([true, false]);
  store.sweep(NOW_SECONDS + OPENING_KEPT_SECONDS);
  expect(store.find(idOf(2))).toEqual(MADE);
  store.keep(idOf(3), JOB);
  store.sweep(NOW_SECONDS + OPENING_KEPT_SECONDS + 1);
  expect(store.find(idOf(2))).toBeUndefined();
  expect(store.listWaiting()).toEqual([idOf(3)]);
  const after = await onDisk();
  for (const proof of proofs) expect(after.includes(proof.subarray(12, 44))).toBe(false);
  closeDatabase(database);
});

test("another sealing key, or another receipt's row, opens nothing", async () => {
  await using folder = await temporaryFolder();
  const database = openDatabase(join(folder.path, "proofs.sqlite"));
  const store = createProofStore({ database, sealingKey, random });
  store.keep(idOf(1), JOB);
  const closed = { state: "failed", reason: "what was kept of it does not unseal" };
  expect(createProofStore({ database, sealingKey: random(32), random }).find(idOf(1))).toEqual(closed);
  database.prepare("UPDATE proofs SET receipt = ?").run([Buffer.from(idOf(2))]);
  expect(store.find(idOf(2))).toEqual(closed);
  closeDatabase(database);
});
