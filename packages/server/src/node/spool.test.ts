import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hex, signedId } from "@tallystick/protocol";
import { afterEach, expect, test } from "vitest";
import { issueReceipt } from "../../../../test/one-receipt.ts";
import { openSpool, type Posted, type SpoolLimits } from "./spool.ts";

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

const LIMITS: SpoolLimits = { receipts: 2, tries: 2, pauseMs: 1, roundMs: 1 };

/** A spool in a folder, whose log answers as the test says. */
async function open(post: (entry: Uint8Array) => Promise<Posted>, folder?: string, limits: Partial<SpoolLimits> = {}) {
  const place = folder ?? (await mkdtemp(join(tmpdir(), "spool-")));
  if (folder === undefined) folders.push(place);
  const reported: string[] = [];
  const spool = await openSpool({
    ...{ folder: place, post, limits: { ...LIMITS, ...limits } },
    report: (event) => void reported.push(event),
  });
  return { spool, folder: place, reported };
}

const filesIn = async (folder: string) => (await readdir(folder)).filter((name) => name !== "refused");

async function receipt(): Promise<{ bytes: Uint8Array; id: Uint8Array }> {
  const { entries, authorization } = await issueReceipt();
  return { bytes: entries.receipt.signed.bytes, id: signedId(authorization.signed) };
}

test("a receipt lies on the disk when it is sent, and no longer once the log has it", async () => {
  const { bytes, id } = await receipt();
  let during: string[] = [];
  const { spool, folder } = await open(async () => {
    during = await filesIn(folder);
    return { ok: true, index: 7 };
  });
  expect(await spool.append(bytes)).toBe(7);
  expect(during).toHaveLength(1);
  expect(await filesIn(folder)).toEqual([]);
  expect(spool.isUnsettled(id)).toBe(false);
  expect(spool.settledSize).toBe(8);
  await spool.close();
});

test("after a lost answer the very same bytes are sent again", async () => {
  const { bytes } = await receipt();
  const sent: string[] = [];
  const { spool } = await open(async (entry) => {
    sent.push(hex(entry));
    if (sent.length === 1) throw new Error("the connection ended");
    return { ok: true, index: 3 };
  });
  expect(await spool.append(bytes)).toBe(3);
  expect(sent).toEqual([hex(bytes), hex(bytes)]);
  await spool.close();
});

test("where the log stays silent the call is told so, and what was signed is sent at the next start", async () => {
  const { bytes, id } = await receipt();
  const silent = await open(
    async () => {
      throw new Error("nobody there");
    },
    undefined,
    { roundMs: 60_000 },
  );
  await expect(silent.spool.append(bytes)).rejects.toMatchObject({ code: "unavailable" });
  expect(silent.spool.isUnsettled(id)).toBe(true);
  await silent.spool.close();
  const sent: string[] = [];
  const again = await open(async (entry) => {
    sent.push(hex(entry));
    return { ok: true, index: 0 };
  }, silent.folder);
  expect(await again.spool.resend()).toBe(0);
  expect(sent).toEqual([hex(bytes)]);
  expect(await filesIn(silent.folder)).toEqual([]);
  await again.spool.close();
});

test("without another start it is sent again in rounds", async () => {
  const { bytes, id } = await receipt();
  let isThere = false;
  let told = () => {};
  const logged = new Promise<void>((resolve) => {
    told = resolve;
  });
  const { spool } = await open(async () => {
    if (!isThere) throw new Error("nobody there");
    told();
    return { ok: true, index: 0 };
  });
  await expect(spool.append(bytes)).rejects.toMatchObject({ code: "unavailable" });
  isThere = true;
  await logged;
  await spool.resend(); // The round that is under way ends with it.
  expect(spool.isUnsettled(id)).toBe(false);
  await spool.close();
});

test("what the log refuses is kept apart for the operator, and is not sent again", async () => {
  const { bytes, id } = await receipt();
  const { spool, folder, reported } = await open(async () => ({ ok: false, why: "no session" }));
  await expect(spool.append(bytes)).rejects.toThrow(/no session/);
  expect(await filesIn(folder)).toEqual([]);
  expect(await readdir(join(folder, "refused"))).toHaveLength(1);
  expect(reported).toEqual(["the log refuses a receipt of this node"]);
  expect(spool.isUnsettled(id)).toBe(true); // It was signed: no other node may answer in its place.
  await spool.close();
});

test("no more calls are taken than receipts may wait", async () => {
  const { bytes } = await receipt();
  const { spool } = await open(
    async () => {
      throw new Error("nobody there");
    },
    undefined,
    { receipts: 1, roundMs: 60_000 },
  );
  spool.checkRoom();
  await spool.append(bytes).catch(() => {});
  expect(() => spool.checkRoom()).toThrow(/wait for the log/);
  await spool.close();
});
