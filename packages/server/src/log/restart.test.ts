import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  cosignatureMessage,
  createNoteKey,
  encodeCosignature,
  encodeNote,
  encodeNoteKey,
  parseCheckpoint,
  parsePolicy,
  utf8,
} from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createMemoryStore } from "../../../../test/simulation/witness.ts";
import { type Disk, systemDisk } from "../platform/disk.ts";
import { openNoteSigner } from "../platform/keys.ts";
import { createWitness } from "../witness/service.ts";
import { Log, type LogOptions } from "./service.ts";
import { createWitnessing, NO_WITNESSES, type WitnessLink } from "./witnesses.ts";

let root: string;
let options: LogOptions;
let nowMs = 1_790_000_000_000;
const clock = { nowMs: () => nowMs };
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "restart-"));
  const signer = await openNoteSigner(join(root, "checkpoint.pem"), () => "log.example");
  options = {
    folder: "",
    signer,
    clock,
    disk: systemDisk,
    formerKeys: [],
    witnessing: NO_WITNESSES,
    restored: false,
    integrateIntervalMs: 1,
    publishIntervalMs: 1,
    queueLength: 100,
    report: () => {},
  };
});
afterAll(() => rm(root, { recursive: true }));

/** A log whose one witness answers while `isReached` says so. */
async function newWitnessedLog(name: string, isReached: () => boolean): Promise<() => LogOptions> {
  const signer = await openNoteSigner(join(root, `${name}.pem`), () => "witness.example");
  const key = createNoteKey(signer.key.name, "cosignature", signer.key.publicKey);
  const cosign = (text: string, timeSeconds: number) => {
    const signature = encodeCosignature(timeSeconds, signer.sign(cosignatureMessage(timeSeconds, text)));
    return { name: key.name, id: key.id, signature };
  };
  const witness = createWitness({ store: createMemoryStore(), cosigner: { key, cosign }, clock, report: () => {} });
  witness.setLog("log.example", [options.signer.key]);
  const reach = () => {
    if (!isReached()) throw new Error("not reached");
  };
  const link: WitnessLink = {
    key,
    async addCheckpoint(body) {
      reach();
      const answer = await witness.addCheckpoint(body);
      return { status: answer.status, body: utf8(answer.body) };
    },
    async latest(origin) {
      reach();
      const note = witness.latest(origin);
      return note && parseCheckpoint(utf8(encodeNote(note)));
    },
  };
  const policy = parsePolicy(
    utf8(`log ${encodeNoteKey(options.signer.key)}\nwitness w ${encodeNoteKey(key)}\nquorum w\n`),
  );
  const parts = { policy, links: [link], clock, timeoutMs: 1_000, report: () => {} };
  const own = () => ({ ...options, folder: join(root, name), witnessing: createWitnessing(parts) });
  await Log.create(own());
  return own;
}

test("however often a log starts with nothing new, its checkpoint has one line of each key, and the newest time", async () => {
  const own = await newWitnessedLog("often", () => true);
  for (let i = 0; i < 40; i++) {
    const log = await Log.open(own());
    expect(log.published.note.signatures.map(({ name }) => name)).toEqual([
      "log.example",
      "log.example",
      "witness.example",
    ]);
    expect(log.witnessed, `start ${i}`).toBe(log.published);
    await log.close();
    nowMs += 1_000;
  }
});

test("a log that started without its witnesses has its checkpoint cosigned when they are back, with nothing appended", async () => {
  let isReached = false;
  const own = await newWitnessedLog("back", () => isReached);
  const log = await Log.open(own());
  expect(log.witnessed).toBe(undefined);
  isReached = true;
  nowMs += 60_000; // It is not asked again at once.
  await new Promise<void>((resolve) => log.followPublications(() => log.witnessed !== undefined && resolve()));
  expect(log.published.note.signatures).toHaveLength(3);
  await log.close();
});

test("a start that writes no checkpoint removes nothing: the one that it found may not be on the disk to stay", async () => {
  const removed: string[] = [];
  // Ended before it removes, as by a kill: the checkpoint covers segments that are still there.
  const remove: Disk["remove"] = async (path) => void removed.push(path);
  const own = { ...options, folder: join(root, "removes"), disk: { ...systemDisk, remove } };
  await Log.create(own);
  const append = async (text: string) => {
    const log = await Log.open(own);
    await log.append(utf8(text));
    await log.close();
  };
  await append("a");
  await append("b");
  removed.length = 0;
  await (await Log.open(own)).close();
  expect(removed).toEqual([]);
  await append("c");
  expect(removed).toEqual([join(own.folder, "wal", "0".repeat(16)), join(own.folder, "wal", `${"0".repeat(15)}1`)]);
});
