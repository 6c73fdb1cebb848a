import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createKey, openKey } from "@tallystick/client";
import {
  type EntryKind,
  hex,
  keyId,
  parseEntry,
  parseHex,
  type Signer,
  signEntry,
  signedId,
} from "@tallystick/protocol";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createTestClock, creditInput, startNetwork, type TestNetwork, tensorOf } from "../network.ts";
import { enrolRelier, openRequester, postDispatch, relianceOn, submit } from "./requester.ts";

const CREDIT = "statlog/credit-default";
const clock = createTestClock();
let network: TestNetwork;
beforeAll(async () => {
  network = await startNetwork({ clock });
});
afterAll(() => network[Symbol.asyncDispose]());
afterEach(async () => {
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
  expect(network.reported).toEqual([]);
});

type Says<K extends EntryKind> = Parameters<typeof signEntry<K>>[2];

async function entryOf<K extends EntryKind>(signer: Signer, kind: K, says: Says<K>): Promise<Uint8Array> {
  return (await signEntry(signer, kind, says)).signed.bytes;
}

/** The network's own key for a role, as its operator has it on disk. */
async function operatorKey(role: string): Promise<Signer> {
  const pem = await readFile(join(network.data, "keys", `${role}.pem`), "utf8");
  return openKey(Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64"));
}

async function askOnce(parameters: object = {}): Promise<string> {
  const { status, receiptId } = await network.infer(CREDIT, [creditInput()], { parameters });
  expect(status).toBe(200);
  await network.idle();
  return receiptId ?? "";
}

async function decisionsReliedOn(): Promise<number> {
  const usage = (await (await network.fetch("/v1/usage")).json()) as { totals: { decisionsReliedOn: number } };
  return usage.totals.decisionsReliedOn;
}

async function sizeOfLog(): Promise<number> {
  await network.idle();
  return ((await (await network.fetch("/v1/usage")).json()) as { size: number }).size;
}

test("a relier enrols once, and its reliance raises decisions relied on by one", async () => {
  const { signer } = await createKey();
  const enrolment = await entryOf(signer, "key", {
    version: 1,
    action: "enrol",
    role: "relier",
    spki: signer.spki,
    name: "lender",
  });
  const first = await submit(network, enrolment);
  expect(first).toMatchObject({ status: 200, alreadyLogged: false });
  expect(await submit(network, enrolment)).toMatchObject({ status: 200, alreadyLogged: true, index: first.index });
  const before = await decisionsReliedOn();
  const reliance = await relianceOn(await askOnce(), signer);
  expect(await submit(network, reliance)).toMatchObject({ status: 200, alreadyLogged: false });
  expect(await decisionsReliedOn()).toBe(before + 1);
});

test("a decision is relied on once: again by the same relier, by another call behind it, and by another relier", async () => {
  const [relier, other] = [await enrolRelier(network), await enrolRelier(network)];
  const decision = "00112233445566778899aabbccddeeff";
  const receipts = [await askOnce({ decision }), await askOnce({ decision })] as const;
  const before = await decisionsReliedOn();
  const first = await submit(network, await relianceOn(receipts[0], relier));
  expect(first).toMatchObject({ status: 200, alreadyLogged: false });
  const size = await sizeOfLog();
  expect(await submit(network, await relianceOn(receipts[0], relier))).toMatchObject({
    status: 200,
    alreadyLogged: true,
    index: first.index,
  });
  expect(await submit(network, await relianceOn(receipts[1], relier))).toMatchObject({
    status: 200,
    alreadyLogged: true,
    index: first.index,
  });
  expect(await sizeOfLog(), "what is known already is not logged again").toBe(size);
  expect(await submit(network, await relianceOn(receipts[1], other))).toMatchObject({
    status: 200,
    alreadyLogged: false,
  });
  expect(await decisionsReliedOn()).toBe(before + 1);
});

test("the same reliance sent many times at once is logged once", async () => {
  const relier = await enrolRelier(network);
  const reliance = await relianceOn(await askOnce(), relier);
  const [size, before] = [await sizeOfLog(), await decisionsReliedOn()];
  const replies = await Promise.all(Array.from({ length: 20 }, () => submit(network, reliance)));
  expect(new Set(replies.map(({ status, index }) => `${status} ${index}`)).size).toBe(1);
  expect(replies.filter(({ alreadyLogged }) => alreadyLogged === false)).toHaveLength(1);
  expect(await sizeOfLog()).toBe(size + 1);
  expect(await decisionsReliedOn()).toBe(before + 1);
});

test.each(["node", "gateway", "publisher", "log"])(
  "the network's own %s key cannot rely: neither as it is nor by enrolling",
  async (role) => {
    const signer = await operatorKey(role);
    const receipt = await askOnce();
    const before = await decisionsReliedOn();
    expect(await submit(network, await relianceOn(receipt, signer))).toMatchObject({
      status: 403,
      error: { code: "forbidden" },
    });
    const enrolment = await entryOf(signer, "key", {
      version: 1,
      action: "enrol",
      role: "relier",
      spki: signer.spki,
      name: "lender",
    });
    const refused = {
      status: 403,
      error: { code: "forbidden", message: expect.stringMatching(/an operator cannot rely on what it sells/) },
    };
    expect(await submit(network, enrolment)).toMatchObject(refused);
    expect(await decisionsReliedOn()).toBe(before);
  },
);

test("a reliance by a key that never enrolled is refused, and says to enrol it", async () => {
  const { signer } = await createKey();
  const refused = { status: 403, error: { code: "forbidden", message: expect.stringMatching(/enrol it first/) } };
  expect(await submit(network, await relianceOn(await askOnce(), signer))).toMatchObject(refused);
});

test("a session key that enrols as a relier cannot rely on the answers it asked for", async () => {
  const requester = await openRequester(network, { inputs: [tensorOf(creditInput())], nowMs: clock.nowMs() });
  const { receiptId } = await postDispatch(network, await requester.dispatch());
  await network.idle();
  const { signer } = requester;
  const enrolment = { version: 1, action: "enrol", role: "relier", spki: signer.spki, name: "asker" } as const;
  expect(await submit(network, await entryOf(signer, "key", enrolment))).toMatchObject({ status: 200 });
  const refused = { status: 403, error: { code: "forbidden", message: expect.stringMatching(/cannot also rely/) } };
  expect(await submit(network, await relianceOn(receiptId ?? "", signer))).toMatchObject(refused);
});

test("a receipt that is unknown, not published yet, or no valid inference cannot be relied on or acknowledged", async () => {
  const relier = await enrolRelier(network);
  const unknown = { status: 404, error: { code: "not_found", message: expect.stringMatching(/wait a second/) } };
  expect(await submit(network, await relianceOn(new Uint8Array(32), relier))).toMatchObject(unknown);
  const invalid = {
    status: 409,
    error: { code: "conflict", message: expect.stringMatching(/not a valid inference \(test_traffic\)/) },
  };
  expect(await submit(network, await relianceOn(await askOnce({ traffic: "test" }), relier))).toMatchObject(invalid);
  const requester = await openRequester(network, { inputs: [tensorOf(creditInput())], nowMs: clock.nowMs() });
  const { receiptId = "" } = await postDispatch(network, await requester.dispatch({ says: { traffic: "probe" } }));
  await network.idle();
  const says = { version: 1, receipt: parseHex(receiptId) ?? new Uint8Array(0) } as const;
  const size = await sizeOfLog();
  expect(await submit(network, await entryOf(requester.signer, "acknowledgement", says))).toMatchObject({
    status: 409,
    error: { code: "conflict", message: expect.stringMatching(/not a valid inference \(probe_traffic\)/) },
  });
  expect(await sizeOfLog()).toBe(size);
});

test("a requester acknowledges an answer once, with its session key and no other", async () => {
  const requester = await openRequester(network, { inputs: [tensorOf(creditInput())], nowMs: clock.nowMs() });
  const { receiptId = "" } = await postDispatch(network, await requester.dispatch());
  await network.idle();
  const says = { version: 1, receipt: parseHex(receiptId) ?? new Uint8Array(0) } as const;
  const stranger = await entryOf((await createKey()).signer, "acknowledgement", says);
  expect(await submit(network, stranger)).toMatchObject({ status: 403, error: { code: "forbidden" } });
  const own = await entryOf(requester.signer, "acknowledgement", says);
  expect(await submit(network, own)).toMatchObject({ status: 200, alreadyLogged: false });
  expect(await submit(network, own)).toMatchObject({ status: 200, alreadyLogged: true });
  const usage = (await (await network.fetch("/v1/usage")).json()) as { totals: { acknowledged: number } };
  expect(usage.totals.acknowledged).toBe(1);
});

test("what only the network's own roles may say is refused from strangers, and from the very keys of those roles", async () => {
  const receiptId = await askOnce();
  const file = (await (await network.fetch(`/v1/receipts/${receiptId}`)).json()) as Record<string, { entry: string }>;
  for (const part of ["grant", "model", "node"]) {
    const bytes = new Uint8Array(Buffer.from(file[part]?.entry ?? "", "base64"));
    const size = await sizeOfLog();
    expect(await submit(network, bytes), `the ${part} entry again`).toMatchObject({
      status: 403,
      error: { code: "forbidden" },
    });
    expect(await sizeOfLog()).toBe(size);
  }
  const { signer: stranger } = await createKey();
  const checkpoint = new Uint8Array(await (await network.fetch("/checkpoint")).arrayBuffer());
  for (const signer of [stranger, await operatorKey("log")])
    expect(await submit(network, await entryOf(signer, "epoch", { version: 1, checkpoint }))).toMatchObject({
      status: 403,
    });
  const revision = new Uint8Array(32);
  for (const signer of [stranger, await operatorKey("publisher")])
    expect(
      await submit(network, await entryOf(signer, "model", { version: 1, action: "yank", revision })),
    ).toMatchObject({ status: 403 });
  for (const role of ["node", "gateway", "publisher", "log", "verifier", "referee"] as const) {
    const says = { version: 1, action: "enrol", role, spki: stranger.spki, name: "me" } as const;
    expect(await submit(network, await entryOf(stranger, "key", says))).toMatchObject({
      status: 403,
      error: { message: expect.stringMatching(/only reliers, disputers and auditors enrol their keys here/) },
    });
  }
  const retirement = { version: 1, action: "retire", role: "relier", spki: stranger.spki, name: "me" } as const;
  expect(await submit(network, await entryOf(stranger, "key", retirement))).toMatchObject({ status: 403 });
});

test("an entry whose signature does not hold, or is by another than it names, is refused", async () => {
  const relier = await enrolRelier(network);
  const receipt = await askOnce();
  const bytes = await relianceOn(receipt, relier);
  const forged = {
    status: 403,
    error: { code: "forbidden", message: expect.stringMatching(/not signed by the key it names/) },
  };
  for (const at of [1, 32, 64])
    expect(
      await submit(
        network,
        bytes.map((byte, i) => (i === bytes.length - at ? byte ^ 1 : byte)),
      ),
    ).toMatchObject(forged);
  const { signer } = await createKey();
  const borrowed: Signer = { spki: relier.spki, sign: signer.sign };
  expect(await submit(network, await relianceOn(receipt, borrowed))).toMatchObject(forged);
  const enrolment = { version: 1, action: "enrol", role: "relier", spki: relier.spki, name: "me" } as const;
  expect(await submit(network, await entryOf(signer, "key", enrolment))).toMatchObject(forged);
});

test("an entry that is malformed, of no kind or too large is refused, whichever byte of it is changed", async () => {
  const relier = await enrolRelier(network);
  const bytes = await relianceOn(await askOnce(), relier);
  const size = await sizeOfLog();
  for (const bad of [
    new Uint8Array(0),
    Uint8Array.of(0xd2),
    bytes.subarray(0, -1),
    Uint8Array.of(...bytes, 0),
    new Uint8Array(65_535),
  ])
    expect(await submit(network, bad)).toMatchObject({
      status: 400,
      error: { code: "invalid_request", message: expect.stringMatching(/^the entry /) },
    });
  expect(await submit(network, new Uint8Array(65_536))).toMatchObject({
    status: 413,
    error: { code: "limit_exceeded" },
  });
  for (let at = 0; at < bytes.length; at++) {
    const { status } = await submit(
      network,
      bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)),
    );
    expect([400, 403, 404], `byte ${at}`).toContain(status);
  }
  expect(await sizeOfLog()).toBe(size);
  const entry = parseEntry(bytes);
  expect(hex(entry.signed.keyId)).toBe(hex(keyId(relier.spki)));
  expect(signedId(entry.signed)).toHaveLength(32);
});

test("behind a proxy strangers are told apart by the address that it writes last, and told what is left to them", async () => {
  await using proxied = await startNetwork({ clock, behindTlsProxy: true });
  const enrol = async (from: string) => {
    const { signer } = await createKey();
    const says = { version: 1, action: "enrol", role: "relier", spki: signer.spki, name: "many" } as const;
    const body = new Uint8Array(await entryOf(signer, "key", says));
    return proxied.fetch("/v1/entries", { method: "POST", headers: { "x-forwarded-for": from }, body });
  };
  const statusOf = async (from: string) => (await enrol(from)).status;
  // What a sender writes there itself stands before what the proxy writes.
  const [first, ...rest] = await Promise.all(
    Array.from({ length: 61 }, (_, i) => enrol(`198.51.100.${i}, 2001:db8::${i}`)),
  );
  expect([first, ...rest].map((answer) => answer?.status).sort()).toEqual([...Array(60).fill(200), 429]);
  expect(await statusOf("2001:db8:0:1::7")).toBe(200);
  const answer = await enrol("192.0.2.1");
  expect(answer.headers.get("ratelimit")).toMatch(/^"enrolments";r=59;/);
  expect(answer.headers.get("ratelimit-policy")).toContain('"enrolments";q=60;w=60');
});

test("strangers' keys enrol 60 times a minute from one address, no more, and a clock that is set back does not lock them out", async () => {
  clock.advance(60_000);
  const enrol = async () => {
    const { signer } = await createKey();
    const says = { version: 1, action: "enrol", role: "relier", spki: signer.spki, name: "many" } as const;
    return submit(network, await entryOf(signer, "key", says));
  };
  const replies = await Promise.all(Array.from({ length: 64 }, enrol));
  expect(replies.filter(({ status }) => status === 200)).toHaveLength(60);
  const limited = {
    status: 429,
    error: { code: "rate_limited", message: expect.stringMatching(/try again in \d+ seconds/) },
  };
  expect(replies.find(({ status }) => status !== 200)).toMatchObject(limited);
  clock.advance(2_000);
  expect(await enrol()).toMatchObject({ status: 200 });
  expect(await enrol()).toMatchObject({ status: 200 });
  expect(await enrol()).toMatchObject(limited);
  clock.advance(-3_600_000);
  expect(await enrol()).toMatchObject(limited);
  clock.advance(60_000);
  expect(await enrol()).toMatchObject({ status: 200 });
});
