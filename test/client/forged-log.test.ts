import { type Audit, auditLog, type Finding } from "@tallystick/client";
import {
  checkpointText,
  encodeCosignature,
  encodeNote,
  type LogTrust,
  type Signer,
  sha256,
  signEntry,
  signedId,
  trustInLog,
  utf8,
} from "@tallystick/protocol";
import { beforeEach, describe, expect, test } from "vitest";
import { fixedNoteSigner, fixedSigner } from "../fixed-keys.ts";
import { LogInMemory } from "../log-in-memory.ts";
import { issueReceipt, NOON_SECONDS, type OneReceipt } from "../one-receipt.ts";
import { filesOf, flip, type LogFiles, sourceOf, tampered } from "./log-files.ts";

/** A log of seven entries, all in order: the log's own key, then one receipt and what it rests on. */
let log: LogInMemory;
let one: OneReceipt;

beforeEach(async () => {
  log = new LogInMemory();
  await enrol("log", "log");
  // Free: of a session without credits, an answer with a price is not valid.
  one = await issueReceipt({ says: { receipt: (says) => ({ ...says, price: 0n }) } }, log);
});

async function enrol(label: string, role: "log" | "relier" | "node"): Promise<void> {
  const { spki } = fixedSigner(label);
  log.append(
    (await signEntry(fixedSigner(label), "key", { version: 1, action: "enrol", role, spki, name: "x" })).signed.bytes,
  );
}

async function rely(signer: Signer, receipt = signedId(one.authorization.signed)): Promise<void> {
  log.append((await signEntry(signer, "reliance", { version: 1, receipt })).signed.bytes);
}

async function epoch(checkpoint: string | Uint8Array): Promise<void> {
  const bytes = typeof checkpoint === "string" ? utf8(checkpoint) : checkpoint;
  log.append((await signEntry(fixedSigner("log"), "epoch", { version: 1, checkpoint: bytes })).signed.bytes);
}

const audit = (files: LogFiles = filesOf(log, NOON_SECONDS), trust: LogTrust = log.trust): Promise<Audit> =>
  auditLog(sourceOf(files), { trust });
const findings = async (): Promise<Finding[]> => (await audit()).findings;

test("a log of one receipt, relied on and dated, holds", async () => {
  await enrol("me", "relier");
  await rely(fixedSigner("me"));
  await epoch(log.checkpointFile(NOON_SECONDS));
  const result = await audit();
  expect(result).toMatchObject({ size: 10, entryCount: 10, findings: [] });
  expect(result.figures).toMatchObject({ today: "2026-11-22", totals: { gross: 1, valid: 1, decisionsReliedOn: 1 } });
});

describe("what the log's operator logs without the right to is found, though every hash and checkpoint is its own", () => {
  test("an entry by a key that was never enrolled", async () => {
    await rely(fixedSigner("nobody"));
    expect(await findings()).toEqual([
      { check: "signer", index: 7, detail: "no key before it may sign this reliance entry" },
    ]);
  });

  test("an entry by a key that is enrolled only afterwards", async () => {
    await rely(fixedSigner("late"));
    await enrol("late", "relier");
    expect(await findings()).toMatchObject([{ check: "signer", index: 7 }]);
  });

  test("a reliance by the key of an operator", async () => {
    await rely(fixedSigner("node"));
    expect(await findings()).toMatchObject([{ check: "signer", index: 7 }]);
  });

  test("an enrolment that the key did not sign", async () => {
    const { spki } = fixedSigner("victim");
    const says = { version: 1, action: "enrol", role: "relier", spki, name: "x" } as const;
    const { signed } = await signEntry({ spki, sign: fixedSigner("thief").sign }, "key", says);
    log.append(signed.bytes);
    expect(await findings()).toEqual([
      { check: "signature", index: 7, detail: "a signature of this entry does not hold" },
    ]);
  });

  test("a receipt whose requester did not sign", async () => {
    const forged = new LogInMemory();
    const { spki } = fixedSigner("session");
    await issueReceipt({ signers: { authorization: { spki, sign: fixedSigner("thief").sign } } }, forged);
    log = forged;
    expect(await findings()).toMatchObject([{ check: "signature", index: 5 }]);
  });

  test("a receipt by the key of another session", async () => {
    log = new LogInMemory();
    await issueReceipt({ signers: { authorization: fixedSigner("thief") } }, log);
    expect(await findings()).toMatchObject([{ check: "signer", index: 5, detail: expect.stringContaining("session") }]);
  });

  test("a grant that its session key did not take", async () => {
    log = new LogInMemory();
    await issueReceipt({ signers: { possession: fixedSigner("thief") } }, log);
    expect(await findings()).toMatchObject([{ check: "signature", index: 4 }]);
  });

  test("bytes that are no entry", async () => {
    log.append(utf8("not an entry"));
    log.append(new Uint8Array(0));
    expect(await findings()).toMatchObject([
      { check: "entry", index: 7 },
      { check: "entry", index: 8 },
    ]);
  });
});

describe("an epoch that is not the log's clock is found at its index", () => {
  const cases: [string, () => string | Uint8Array, RegExp][] = [
    ["of another root", () => checkpointOf(log.signer, 3, sha256(utf8("another tree"))), /is of another tree/],
    [
      "of a tree that is yet to come",
      () => checkpointOf(log.signer, 9, log.root()),
      /9 entries, more than are before it/,
    ],
    [
      "of the tree that it is itself in",
      () => checkpointOf(log.signer, 8, log.root()),
      /8 entries, more than are before/,
    ],
    ["of another log", () => new LogInMemory("another.example").checkpointFile(NOON_SECONDS, 0), /wrong_origin/],
    [
      "signed by somebody else under its name",
      () => checkpointOf(fixedNoteSigner(log.key.name, "thief"), 7, log.root()),
      /unsigned/,
    ],
    ["without a time", () => unsignedTime([]), /not_cosigned/],
    [
      "with a time by a key that is not known",
      () => unsignedTime([log.signer.cosign, strangerCosign]),
      /no key of the log signed/,
    ],
    ["that is no checkpoint", () => utf8("hello"), /its checkpoint is a note/],
  ];
  test.each(cases)("%s", async (_, checkpoint, detail) => {
    await epoch(checkpoint());
    expect(await findings()).toEqual([{ check: "epoch", index: 7, detail: expect.stringMatching(detail) }]);
  });

  function checkpointOf({ sign, cosign, key }: LogInMemory["signer"], size: number, root: Uint8Array): string {
    const text = checkpointText({ origin: key.name, size, root });
    return encodeNote({ text, signatures: [sign(text), cosign(text, NOON_SECONDS)] });
  }

  function unsignedTime(cosigners: LogInMemory["signer"]["cosign"][]): string {
    const text = checkpointText({ origin: log.key.name, size: 7, root: log.root() });
    const times = cosigners.map((cosign, i) => cosign(text, NOON_SECONDS - i * 86_400));
    return encodeNote({ text, signatures: [log.signer.sign(text), ...times] });
  }

  /** A line under the log's name, of the form of a cosignature, that nobody signed. */
  const strangerCosign: LogInMemory["signer"]["cosign"] = (_, timeSeconds) => ({
    name: log.key.name,
    id: Uint8Array.of(1, 2, 3, 4),
    signature: encodeCosignature(timeSeconds, new Uint8Array(64)),
  });
});

describe("a checkpoint", () => {
  test("of which any byte is changed is found", async () => {
    const files = filesOf(log, NOON_SECONDS);
    const { length } = files.get("checkpoint") ?? new Uint8Array(0);
    expect(length).toBeGreaterThan(250);
    for (let at = 0; at < length; at++) {
      const result = await audit(tampered(files, "checkpoint", flip(at)));
      expect(result.findings, `byte ${at}`).toContainEqual(expect.objectContaining({ check: "checkpoint" }));
    }
  });

  test.each([
    ["by another key under the same name", () => trustInLog(fixedNoteSigner(log.key.name, "thief").key)],
    ["of another log", () => trustInLog(fixedNoteSigner("another.example").key)],
  ])("is not taken where the trusted key is one %s", async (_, trust) => {
    const result = await audit(filesOf(log, NOON_SECONDS), trust());
    expect(result.findings).toEqual([
      { check: "checkpoint", detail: expect.stringMatching(/^it is not one that .* signed: (unsigned|wrong_origin)$/) },
    ]);
  });

  test.each([
    ["that is not there", undefined],
    ["that is cut short", (bytes: Uint8Array) => bytes.subarray(0, 60)],
    ["with a line too much", (bytes: Uint8Array) => utf8(`${new TextDecoder().decode(bytes)}\n`)],
  ])("%s is found", async (_, change) => {
    const { findings } = await audit(tampered(filesOf(log, NOON_SECONDS), "checkpoint", change));
    expect(findings).toContainEqual(expect.objectContaining({ check: "checkpoint" }));
  });

  test("of a longer tree than the tiles are of is found, and so is one of another tree", async () => {
    const files = filesOf(log, NOON_SECONDS);
    await enrol("me", "relier");
    const longer = utf8(log.checkpointFile(NOON_SECONDS));
    expect((await audit(tampered(files, "checkpoint", () => longer))).findings).toMatchObject([
      { check: "bundle", index: 0 },
    ]);
    const other = new LogInMemory();
    await issueReceipt({}, other);
    const another = utf8(other.checkpointFile(NOON_SECONDS));
    expect((await audit(tampered(files, "checkpoint", () => another))).findings.length).toBeGreaterThan(0);
  });
});

test("an empty log holds, and has no figures", async () => {
  log = new LogInMemory();
  const result = await audit(new Map([["checkpoint", utf8(log.checkpointFile(NOON_SECONDS))]]));
  expect(result).toMatchObject({ size: 0, findings: [], figures: { totals: { gross: 0 } } });
});
