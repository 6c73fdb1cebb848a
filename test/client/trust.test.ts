/** What a network's figures rest on, as `tally` computes it, and what a revocation does to them. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openKey } from "@tallystick/client";
import {
  createNoteKey,
  type EntryKind,
  encodeNoteKey,
  hex,
  keyId,
  parseHex,
  ROOTS,
  type Signer,
  signEntry,
} from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Ran, runTally } from "../e2e/processes.ts";
import { documentedFields } from "../e2e/reference.ts";
import { temporaryFolder } from "../folder.ts";
import { createTestClock, creditInput, startNetwork, type TestNetwork } from "../network.ts";
import { submit } from "../server/requester.ts";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 }); // Each command is a process, on a machine that may be busy.

const CREDIT = "statlog/credit-default";
const DAY_MS = 86_400_000;
const THREE_DAYS_LATER = "2026-11-25";
const digest = (byte: number) => new Uint8Array(32).fill(byte);
const [VENDOR, CEREMONY, JUDGE, RELEASE] = [digest(0xa1), digest(0xa2), digest(0xa3), digest(0xa4)];

const clock = createTestClock(Date.parse("2026-11-22T12:00:00Z"));
let place: Awaited<ReturnType<typeof temporaryFolder>>;
let network: TestNetwork;

/** Four receipts: two ran again or proved, two that hardware alone vouches for, the last of them three days later. */
beforeAll(async () => {
  place = await temporaryFolder();
  network = await startNetwork({ clock, verifying: { cpuShare: 1 } });
  const appraised = Math.floor(clock.nowMs() / 1_000);
  await say("appraisal", {
    ...{ version: 1, key: keyId((await keyOf("node")).spki), technology: "nitro", outcome: "passed" },
    ...{ evidence: digest(1), measurement: RELEASE, root: VENDOR, appraised, expiry: appraised + 30 * 86_400 },
  });
  const reference = { action: "approve", technology: "nitro", measurement: hex(RELEASE), release: "v1" };
  expect((await network.operate("POST", "/v1/references", reference)).status).toBe(201);
  const [first, second] = [await ask(1), await ask(2)];
  await ask(3);
  const profile = { runtime: "onnxruntime", binary: JUDGE, exactness: "exact" } as const;
  const outcome = { version: 1, outcome: "passed", evidence: digest(2), cost: 1 } as const;
  await say("verification", { ...outcome, receipt: first, method: "reexecution", profile });
  await say("verification", { ...outcome, receipt: second, method: "proof", ceremony: CEREMONY });
  await network.closeEpoch();
  clock.advance(3 * DAY_MS);
  await ask(4);
  await network.closeEpoch(); // And the day of the first three is closed.
});
afterAll(async () => {
  await network[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

const keyFile = (role: string) => join(network.data, "keys", `${role}.pem`);

async function keyOf(role: string): Promise<Signer> {
  const pem = await readFile(keyFile(role), "utf8");
  return openKey(Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64"));
}

async function say<K extends EntryKind>(kind: K, says: Parameters<typeof signEntry<K>>[2]): Promise<void> {
  const { signed } = await signEntry(await keyOf("verifier"), kind, says);
  expect(await submit(network, signed.bytes)).toMatchObject({ status: 200 });
}

async function ask(amount: number): Promise<Uint8Array> {
  const answer = await network.infer(CREDIT, [creditInput(amount)], { parameters: { open: "none" } });
  expect(answer.status).toBe(200);
  await network.idle();
  return parseHex(answer.receiptId ?? "") ?? digest(0);
}

const tally = (...args: string[]): Promise<Ran> =>
  runTally([...args, "--network", network.url, "--vkey", network.logVkey], place.path);

async function json(...args: string[]) {
  const ran = await tally(...args, "--json");
  expect(ran).toMatchObject({ status: 0, stderr: "" });
  return JSON.parse(ran.stdout);
}

type Root = { kind: string; root: string; name: string; receipts: number; revokedSince: number | null };
const signed = (role: string) => ["--sign", keyFile(role), "--keys", join(network.data, "keys")];
const revoke = (kind: string, root: string, ...more: string[]) =>
  ["trust", "revoke", kind, root, "--reason", "broken", ...more] as const;

async function figures() {
  await network.idle();
  const { totals, closedDays, size } = (await (await network.fetch("/v1/usage")).json()) as {
    totals: { verification: { tiers: Record<string, number> } };
    closedDays: unknown[];
    size: number;
  };
  return { tiers: totals.verification.tiers, closedDays, size };
}

test("the register has every kind of root, and a dry run on each says what it would take and logs nothing", async () => {
  const register = await json("trust");
  expect(Object.keys(register)).toEqual(await documentedFields("trust"));
  expect(register).toMatchObject({ findings: [], differences: [], validReceipts: 4 });
  const roots: Root[] = register.roots;
  expect(new Set(roots.map(({ kind }) => kind))).toEqual(new Set(Object.keys(ROOTS)));
  expect(roots.find(({ root }) => root === hex(VENDOR))).toMatchObject({
    kind: "vendor",
    receipts: 4,
    share: "1.000000",
  });
  const { size } = await figures();
  const radii = new Map<string, number>();
  const verifier = hex(keyId((await keyOf("verifier")).spki));
  for (const { kind, root } of roots.filter((row) => row.kind !== "key" || row.root === verifier)) {
    const radius = await json(...revoke(kind, root));
    expect(Object.keys(radius)).toEqual(await documentedFields("trust revoke"));
    expect(radius).toMatchObject({ kind, root, since: null, index: null });
    radii.set(kind, radius.receipts);
  }
  expect(Object.fromEntries(radii)).toEqual({ key: 4, vendor: 2, release: 2, judge: 1, ceremony: 1 });
  expect((await figures()).size).toBe(size);
});

test("a revocation carried out restates the figures as the dry run said, and closed days stay", async () => {
  const before = await figures();
  expect(before.tiers).toMatchObject({ attested: 2, reexecuted: 1, proved: 1 });
  expect(before.closedDays).toHaveLength(1);
  const ran = await tally(...revoke("judge", hex(JUDGE), ...signed("log")));
  expect(ran).toMatchObject({ status: 0, stdout: expect.stringMatching(/^1 valid receipts would/m) });
  expect(ran.stdout).toMatch(/^revoked, as entry [0-9]+ of the log$/m);
  const late = await json(...revoke("vendor", hex(VENDOR), "--since", THREE_DAYS_LATER, ...signed("log")));
  expect(late).toMatchObject({ receipts: 1, since: Date.parse(THREE_DAYS_LATER) / 1_000, index: expect.any(Number) });
  expect(late.models).toMatchObject([{ name: CREDIT, from: "attested", to: "signed", receipts: 1 }]);
  const after = await figures();
  expect(after.tiers).toMatchObject({ signed: 1, attested: 2, reexecuted: 0, proved: 1 });
  expect(after.closedDays).toEqual(before.closedDays);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
  const { stdout } = await tally("trust");
  expect(stdout).toMatch(new RegExp(`^judge +${hex(JUDGE)} .* from the beginning$`, "m"));
  expect(stdout).toMatch(new RegExp(`^vendor +${hex(VENDOR)} .* from 2026-11-25T00:00:00Z$`, "m"));
});

test("what is no revocation of the log's is refused: another's key, one that is there, a stolen key, the log's own", async () => {
  const ceremony = revoke("ceremony", hex(CEREMONY), ...signed("verifier"));
  expect(await tally(...ceremony)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("may sign a revocation"),
  });
  const again = revoke("judge", hex(JUDGE), ...signed("log"));
  expect(await tally(...again)).toMatchObject({ status: 1, stderr: expect.stringContaining("is revoked already") });
  const says = { version: 1, kind: "ceremony", root: CEREMONY, reason: "broken" } as const;
  const { bytes } = (await signEntry(await keyOf("log"), "revocation", says)).signed;
  expect(await submit(network, bytes)).toMatchObject({
    status: 403,
    error: { message: expect.stringContaining("the operator's token") },
  });
  const post = { method: "POST", body: bytes as BodyInit, headers: { authorization: "Bearer none" } };
  expect((await network.fetch("/v1/revocations", post)).status).toBe(403);
  const own = revoke("key", hex(keyId((await keyOf("log")).spki)), ...signed("log"));
  expect(await tally(...own)).toMatchObject({ status: 1, stderr: expect.stringContaining("by a handover") });
});

test("nothing is signed by a log that does not hold: here, to somebody whose witness has not cosigned it", async () => {
  const stranger = encodeNoteKey(createNoteKey("witness.example/none", "cosignature", digest(7)));
  await writeFile(join(place.path, "policy"), `log ${network.logVkey}\nwitness w ${stranger}\nquorum w\n`);
  const { size } = await figures();
  const ran = await tally(...revoke("ceremony", hex(CEREMONY), ...signed("log")), "--policy", "policy");
  expect(ran).toMatchObject({ status: 3, stdout: expect.stringContaining("nothing was signed") });
  expect(ran.stderr).toContain("do not hold");
  expect((await figures()).size).toBe(size);
});

test.each([
  ["a kind that there is not", ["revoke", "disk", "00".repeat(32), "--reason", "broken"]],
  ["no root", ["revoke", "judge", "--reason", "broken"]],
  ["a root that is not one", ["revoke", "judge", "00", "--reason", "broken"]],
  ["no reason", ["revoke", "judge", "00".repeat(32)]],
  ["a time that is none", ["revoke", "judge", "00".repeat(32), "--reason", "broken", "--since", "2026-13-40"]],
  ["a key that is not there", ["revoke", "judge", "00".repeat(32), "--reason", "broken", "--sign", "none.pem"]],
])("%s is wrong usage", async (_, args) => {
  expect(await tally("trust", ...args)).toMatchObject({ status: 2, stdout: "" });
});
