/** What an audit makes of a log whose key changes, rightly and otherwise. Each log is whole in its hashes. */
import { type Audit, auditLog } from "@tallystick/client";
import {
  encodeHandover,
  encodeNote,
  encodeNoteKey,
  type Handover,
  type LogTrust,
  signEntry,
  trustInLog,
  utf8,
} from "@tallystick/protocol";
import { beforeEach, describe, expect, test } from "vitest";
import { fixedNoteSigner, fixedSigner, type NoteSigner } from "../fixed-keys.ts";
import { handOver } from "../handovers.ts";
import { LogInMemory, ORIGIN_IN_MEMORY } from "../log-in-memory.ts";
import { issueReceipt, NOON_SECONDS } from "../one-receipt.ts";
import { filesOf, sourceOf } from "./log-files.ts";

const role = fixedSigner("log");
const next = fixedNoteSigner(ORIGIN_IN_MEMORY, "next");
const thief = fixedNoteSigner(ORIGIN_IN_MEMORY, "thief");
let log: LogInMemory;
let first: NoteSigner;

/** Seven entries, an epoch over them, and the policy that names the first key. */
beforeEach(async () => {
  log = new LogInMemory();
  first = log.signer;
  const enrol = { version: 1, action: "enrol", role: "log", spki: role.spki, name: "x" } as const;
  log.append((await signEntry(role, "key", enrol)).signed.bytes);
  await issueReceipt({}, log);
  await epoch();
  await policy(first);
});

async function epoch(checkpoint: string = log.checkpointFile(NOON_SECONDS)): Promise<void> {
  log.append((await signEntry(role, "epoch", { version: 1, checkpoint: utf8(checkpoint) })).signed.bytes);
}

/** Logs a policy that names the key, and the handover to it. */
async function policy({ key }: NoteSigner, handover?: Handover): Promise<void> {
  const says = { version: 1, policy: utf8(`log ${encodeNoteKey(key)}\nquorum none\n`) } as const;
  const withHandover = handover === undefined ? says : { ...says, handover: encodeHandover(handover) };
  log.append((await signEntry(role, "policy", withHandover)).signed.bytes);
}

/** The log has another key from here on, handed over in its next entry. */
async function rotate(to: NoteSigner): Promise<void> {
  await policy(to, handOver(log.signer, to, log.entries.length + 1));
  log.signer = to;
}

const audit = (trust: LogTrust = trustInLog(first.key)): Promise<Audit> =>
  auditLog(sourceOf(filesOf(log, NOON_SECONDS)), { trust });
const findings = async (trust?: LogTrust) => (await audit(trust)).findings;

test("a log whose key changed twice is clean by each of its three keys", async () => {
  const last = fixedNoteSigner(ORIGIN_IN_MEMORY, "last");
  await rotate(next);
  await epoch();
  await rotate(last);
  await epoch();
  for (const { key } of [first, next, last])
    expect(await audit(trustInLog(key))).toMatchObject({ findings: [], size: 13, entryCount: 13 });
});

test("a larger tree that a retired key signed is found, by whichever key the auditor trusts", async () => {
  await rotate(next);
  await epoch();
  log.signer = first;
  await epoch(); // Over eleven entries, of which the first key may sign ten.
  const found = [
    { check: "checkpoint", detail: expect.stringMatching(/signed: unsigned$/) },
    { check: "epoch", index: 11, detail: expect.stringMatching(/signed: unsigned$/) },
  ];
  for (const { key } of [first, next]) expect(await findings(trustInLog(key))).toEqual(found);
});

test("a checkpoint that a retired key signed over the entries that were its own holds", async () => {
  const size = log.entries.length + 1;
  await rotate(next);
  const text = log.checkpoint(0, size).text;
  await epoch(encodeNote({ text, signatures: [first.sign(text), first.cosign(text, NOON_SECONDS)] }));
  for (const { key } of [first, next]) expect(await findings(trustInLog(key))).toEqual([]);
});

describe("a handover that is not one is found at its index, and gives nobody the log", () => {
  const size = () => log.entries.length + 1;
  test.each<[string, () => Handover, RegExp]>([
    ["signed by the new key alone", () => handOver(first, thief, size(), [thief]), /not signed by both keys/],
    ["signed by the old key alone", () => handOver(first, thief, size(), [first]), /not signed by both keys/],
    ["at another size", () => handOver(first, thief, size() + 1), /is not to .* at 10 entries/],
    ["to another key than its policy names", () => handOver(first, next, size()), /is not to .*/],
    ["from a key that the log never had", () => handOver(next, thief, size()), /from a key that the log did not have/],
    [
      "of a log elsewhere",
      () => handOver(fixedNoteSigner("another.example", "a"), fixedNoteSigner("another.example", "b"), size()),
      /is not to .*/,
    ],
  ])("%s", async (what, handover, detail) => {
    await policy(thief, handover());
    expect(await findings()).toContainEqual({ check: "policy", index: 9, detail: expect.stringMatching(detail) });
    log.signer = thief;
    if (!what.includes("another"))
      expect(await findings()).toContainEqual(expect.objectContaining({ check: "checkpoint" }));
  });

  test("none at all", async () => {
    await policy(thief);
    expect(await findings()).toEqual([
      { check: "policy", index: 9, detail: "it names another key of the log, and no handover to it" },
    ]);
  });
});
