/** A log's key gives way to the next: what was signed by either still holds, for whoever trusts either. */

import { createPrivateKey, sign } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { auditLog, fetchSource, systemEdges } from "@tallystick/client";
import {
  encodeAddCheckpoint,
  encodeNote,
  encodeNoteKey,
  followHandovers,
  type Handover,
  parseCheckpoint,
  parseHandover,
  parseLogProof,
  parseNoteKey,
  proves,
  signatureLine,
  trustInLog,
  utf8,
  verifyCheckpoint,
  verifyHandover,
  verifyReceiptFile,
} from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createTestClock, creditInput, startNetwork, type TestNetwork } from "../network.ts";
import { interruptions } from "./interrupted.ts";

vi.mock("node:fs/promises", async (importOriginal) =>
  (await import("./interrupted.ts")).watched(await importOriginal()),
);
vi.mock("node:fs", async (importOriginal) =>
  (await import("./interrupted.ts")).watchedDirectly(await importOriginal()),
);

const MODEL = "statlog/credit-default";
const models = ["credit-default"];
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "rotation-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

type LogInfo = { vkey: string; handovers: string[]; policy: string };
const logOf = async (network: TestNetwork) => (await (await network.fetch("/v1/log")).json()) as LogInfo;
const handoversOf = async (network: TestNetwork): Promise<Handover[]> =>
  (await logOf(network)).handovers.map((text) => parseHandover(utf8(text)));
const checkpointOf = async (network: TestNetwork) =>
  parseCheckpoint(utf8(await (await network.fetch("/checkpoint")).text()));
const fileOf = async (network: TestNetwork, id: string) =>
  utf8(await (await network.fetch(`/v1/receipts/${id}`)).text());
const trustIn = (vkey: string) => trustInLog(parseNoteKey(vkey));
const auditBy = (network: TestNetwork, vkey: string) =>
  auditLog(fetchSource(network.url, systemEdges), { trust: trustIn(vkey) });

async function call(network: TestNetwork): Promise<string> {
  const { receiptId = "" } = await network.infer(MODEL, [creditInput()]);
  await network.closeEpoch();
  return receiptId;
}

/** A network that was called once and then stopped. */
async function usedNetwork(data: string): Promise<{ vkey: string; id: string; file: Uint8Array; proof: string }> {
  await using network = await startNetwork({ data, models });
  const id = await call(network);
  const { index } = (await (await network.fetch("/v1/receipts")).json()).receipts[0];
  const proof = await (await network.fetch(`/v1/log/proofs/${index}`)).text();
  return { vkey: network.logVkey, id, file: await fileOf(network, id), proof };
}

test("a log whose key changed is one log: what either key signed holds for whoever trusts either, years later too", async () => {
  const data = join(root, "once");
  const before = await usedNetwork(data);
  const clock = createTestClock(Date.UTC(2036, 0, 1));
  await using network = await startNetwork({ data, models, rotateLogKey: true, clock });
  const { vkey, handovers, policy } = await logOf(network);
  expect(vkey).toBe(network.logVkey);
  expect(vkey).not.toBe(before.vkey);
  expect(parseNoteKey(vkey).name).toBe(parseNoteKey(before.vkey).name);
  expect(handovers).toHaveLength(1);
  expect(policy).toContain(`log ${vkey}\n`);

  const [handover] = await handoversOf(network);
  if (handover === undefined) throw new Error("there is one");
  expect(await verifyHandover(handover)).toBe(true);
  expect([handover.from, handover.to].map(encodeNoteKey)).toEqual([before.vkey, vkey]);
  expect(await verifyCheckpoint(await checkpointOf(network), trustIn(vkey))).toMatchObject({ ok: true });
  expect(await verifyCheckpoint(await checkpointOf(network), trustIn(before.vkey))).toMatchObject({ ok: false });

  const carried = await followHandovers(trustIn(vkey), [handover]);
  const proof = parseLogProof(before.proof);
  for (const trust of [trustIn(before.vkey), carried]) {
    expect(await verifyReceiptFile(before.file, trust)).toMatchObject({ outcome: "verified" });
    expect(await verifyCheckpoint(proof.checkpoint, trust)).toMatchObject({ ok: true });
  }
  expect(proves(proof, await entryOf(before.file))).toBe(true);

  clock.advance(20 * 365 * 86_400_000);
  const after = await fileOf(network, await call(network));
  for (const file of [after, await fileOf(network, before.id)])
    for (const key of [before.vkey, vkey])
      expect(await verifyReceiptFile(file, trustIn(key))).toMatchObject({ outcome: "verified" });
  for (const key of [before.vkey, vkey]) expect((await auditBy(network, key)).findings).toEqual([]);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

async function entryOf(file: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(Buffer.from(JSON.parse(new TextDecoder().decode(file)).receipt.entry, "base64"));
}

test("a receipt whose handover is forged does not hold by the key that it would be handed over from", async () => {
  const data = join(root, "forged");
  const { vkey } = await usedNetwork(data);
  await using network = await startNetwork({ data, models, rotateLogKey: true });
  const file = JSON.parse(new TextDecoder().decode(await fileOf(network, await call(network))));
  const [handover] = await handoversOf(network);
  if (handover === undefined) throw new Error("there is one");
  const { text, signatures } = handover.note;
  const size = `\n${handover.size}\n`;
  const origin = handover.from.name;
  const forgeries = {
    "signed by the new key alone": encodeNote({ text, signatures: signatures.slice(1) }),
    "signed by the old key alone": encodeNote({ text, signatures: signatures.slice(0, 1) }),
    "at another size": encodeNote({ text: text.replace(size, `\n${handover.size - 1}\n`), signatures }),
    "signed by the new key under the old one's name": encodeNote({
      text,
      signatures: signatures.map((line, i) => ({
        ...line,
        signature: signatures[1]!.signature,
        id: signatures[i]!.id,
      })),
    }),
  };
  const outcomeOf = async (handovers: string[] | undefined) => {
    const changed = utf8(JSON.stringify({ ...file, handovers }));
    const verdict = await verifyReceiptFile(changed, trustIn(vkey));
    return verdict.outcome === "failed" ? verdict.failure : verdict.outcome;
  };
  expect(await outcomeOf(file.handovers)).toBe("verified");
  expect(await outcomeOf(undefined)).toBe("bad_checkpoint");
  for (const [what, forged] of Object.entries(forgeries))
    expect(await outcomeOf([forged]), what).toBe("bad_checkpoint");
  const elsewhere = encodeNote(handover.note).replaceAll(origin, "another.example");
  expect(await outcomeOf([elsewhere])).toMatch(/malformed|bad_checkpoint/);
});

test("a key that changed twice leads from the first to the last, and each of the three audits the log clean", async () => {
  const data = join(root, "twice");
  const first = await usedNetwork(data);
  const vkeys = [first.vkey];
  for (const _ of [1, 2]) {
    await using network = await startNetwork({ data, models, rotateLogKey: true });
    vkeys.push(network.logVkey);
    await call(network);
  }
  expect(new Set(vkeys).size).toBe(3);
  await using network = await startNetwork({ data, models });
  expect(network.logVkey).toBe(vkeys[2]);
  expect((await handoversOf(network)).map(({ from, to }) => [from, to].map(encodeNoteKey))).toEqual([
    [vkeys[0], vkeys[1]],
    [vkeys[1], vkeys[2]],
  ]);
  const file = await fileOf(network, first.id);
  for (const vkey of vkeys) {
    expect((await auditBy(network, vkey)).findings).toEqual([]);
    expect(await verifyReceiptFile(file, trustIn(vkey))).toMatchObject({ outcome: "verified" });
  }
});

test("its own witnesses cosign nothing by a key that the log has handed over", async () => {
  const data = join(root, "witness");
  const first = await usedNetwork(data);
  const retired = createPrivateKey(await readFile(join(data, "keys", "checkpoint.pem"), "utf8"));
  await using network = await startNetwork({ data, models, rotateLogKey: true });
  const { note, size } = await checkpointOf(network);
  const { name, id } = parseNoteKey(first.vkey);
  const signature = new Uint8Array(sign(null, utf8(note.text), retired));
  const ask = (signatures: (typeof note)["signatures"]) =>
    network.fetch("/witnesses/witness-1/add-checkpoint", {
      method: "POST",
      body: new TextDecoder().decode(encodeAddCheckpoint({ oldSize: size, proof: [], note: { ...note, signatures } })),
    });
  expect((await ask(note.signatures.slice(0, 1))).status).toBe(200);
  expect((await ask([{ name, id, signature }])).status).toBe(403);
  expect(signatureLine({ name, id, signature })).toContain(name);
});

test("a change of key that is killed after any of its steps is ended by a later start, and the old key signs no larger tree", async () => {
  const data = join(root, "killed");
  const before = await usedNetwork(data);
  const moments = await interruptions(
    data,
    () => undefined,
    async () => {
      await using network = await startNetwork({ data, models, rotateLogKey: true });
      await network.idle();
    },
  );
  const keys = await Promise.all(moments.map(({ path }) => readFile(join(path, "keys", "checkpoint.pem"), "utf8")));
  const changed = keys.findIndex((key) => key !== keys[0]);
  expect(changed).toBeGreaterThan(10);
  // Each step that touches a key or the mark. Of appending to a log, which has a test of its own, and of what follows once
  // the new key is in its place, a few.
  const isOfTheChange = ({ step }: { step: string }, i: number) => i <= changed && /keys|tallystick\.json/.test(step);
  for (const { path, step } of moments.filter((moment, i) => isOfTheChange(moment, i) || i % 4 === 0)) {
    await using network = await startNetwork({ data: path, models }).catch((cause: unknown) => {
      throw new Error(`killed after ${step}`, { cause });
    });
    await call(network);
    const [handover, ...more] = await handoversOf(network);
    expect(more, step).toEqual([]);
    const published = await checkpointOf(network);
    const isHandedOver = handover !== undefined;
    expect(network.logVkey === before.vkey, step).toBe(!isHandedOver);
    if (isHandedOver) {
      expect(published.size, step).toBeGreaterThan(handover.size);
      expect(await verifyCheckpoint(published, trustIn(encodeNoteKey(handover.to))), step).toMatchObject({ ok: true });
      for (const vkey of [before.vkey, network.logVkey])
        expect((await auditBy(network, vkey)).findings, step).toEqual([]);
    }
    expect(await network.audit(), step).toMatchObject({ findings: [], differences: [] });
  }
}, 400_000);
