import { expect, test } from "vitest";
import { verifyEs256 } from "#platform";
import { fixedSigner } from "../../../../test/fixed-keys.ts";
import { UsageLog } from "../../../../test/usage-log.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { parseBase64, utf8 } from "../bytes.ts";
import { type Entry, parseEntry } from "../entry/entry.ts";
import { applyEntry } from "./fold.ts";
import { signaturesOf } from "./signatures.ts";
import { createFold } from "./state.ts";

/** What an audit finds: for each entry, how many signatures hold, or why nobody can have signed it. */
async function audit(entries: readonly Entry[]): Promise<(number | string)[]> {
  const fold = createFold();
  const found: (number | string)[] = [];
  for (const entry of entries) {
    const signatures = signaturesOf(fold, entry);
    if (!signatures.ok) found.push(signatures.detail);
    else {
      const hold = await Promise.all(
        signatures.jobs.map(({ spki, message, signature }) => verifyEs256(spki, message, signature)),
      );
      found.push(hold.every(Boolean) ? hold.length : `${entry.kind} is forged`);
    }
    applyEntry(fold, entry);
  }
  return found;
}

/** A log of one entry of each kind, and how many signatures each of them has. */
async function openSigned(): Promise<UsageLog> {
  const log = await UsageLog.open(fixedSigner);
  const id = await log.call();
  await log.acknowledge(id);
  await log.rely(id);
  return log;
}

test("an entry has one signature; a grant has its session key's beside it, and a receipt its requester's", async () => {
  const log = await openSigned();
  await log.epoch(0);
  await log.enrol("node", "node", "retire");
  const kinds = log.entries.map(({ kind }) => kind);
  const found = await audit(log.entries);
  expect(kinds.map((kind, i) => `${kind} ${found[i]}`).slice(4)).toEqual([
    "key 1",
    "model 1",
    "grant 2",
    "receipt 2",
    "acknowledgement 1",
    "reliance 1",
    "epoch 1",
    "key 1",
  ]);
});

test("any one signature that is changed is found at its entry", async () => {
  const { entries } = await openSigned();
  for (const [index, entry] of entries.entries()) {
    const { bytes } = entry.signed;
    const forged = parseEntry(bytes.with(bytes.length - 1, (bytes.at(-1) ?? 0) ^ 1));
    const found = await audit(entries.with(index, forged));
    expect(found[index]).toBe(`${entry.kind} is forged`);
  }
});

test("a requester's half that is forged inside a receipt well signed is found", async () => {
  const log = await UsageLog.open(fixedSigner);
  await log.call({ asker: "stranger" });
  expect((await audit(log.entries)).at(-1)).toBe("its authorization is not by the key of a session granted before it");
  const forger = { ...fixedSigner("session"), sign: fixedSigner("stranger").sign };
  const forging = await UsageLog.open((label) => (label === "forger" ? forger : fixedSigner(label)));
  await forging.call({ asker: "forger" });
  expect((await audit(forging.entries)).at(-1)).toBe("receipt is forged");
});

test("a session key that did not take its grant is found", async () => {
  const forger = { ...fixedSigner("session"), sign: fixedSigner("stranger").sign };
  const log = await UsageLog.open((label) => (label === "session" ? forger : fixedSigner(label)));
  expect((await audit(log.entries)).at(-1)).toBe("grant is forged");
});

test("nobody can have signed what no key enrolled before it may sign", async () => {
  const log = await UsageLog.open(fixedSigner);
  const id = await log.call();
  const before = log.entries.length;
  await log.rely(id, "node");
  await log.rely(id, "stranger");
  await log.call({ node: "relier" });
  await log.call({ receipt: { authorization: utf8("junk") } });
  await log.acknowledge(new Uint8Array(32));
  await log.acknowledge(id, "stranger");
  await log.enrol("node", "node", "retire");
  await log.call();
  expect((await audit(log.entries)).slice(before)).toEqual([
    "no key before it may sign this reliance entry",
    "no key before it may sign this reliance entry",
    "no key before it may sign this receipt entry",
    expect.stringContaining("its authorization"),
    "no key before it may sign this acknowledgement entry",
    "no key before it may sign this acknowledgement entry",
    1,
    "no key before it may sign this receipt entry",
  ]);
});

test("every signature in the logs of our vectors holds, but for those that a fault is about", async () => {
  const vectors = readVectors<Vector & { entries: string[] }>("usage/logs.json");
  const faults = await Promise.all(
    vectors.map(async ({ entries }) => {
      const found = await audit(entries.map((entry) => parseEntry(parseBase64(entry) ?? new Uint8Array(0))));
      return found.filter((outcome) => typeof outcome === "string").sort();
    }),
  );
  expect(faults).toEqual([
    [],
    ["no key before it may sign this reliance entry"],
    [
      "its authorization is not by the key of a session granted before it",
      "its authorization is not by the key of a session granted before it",
      "no key before it may sign this receipt entry",
    ],
    [],
    [],
    [],
    [],
    [],
    [],
    [],
  ]);
});
