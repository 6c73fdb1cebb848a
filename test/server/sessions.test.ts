import { createKey } from "@tallystick/client";
import { type Figures, parseEntry, type Signer } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { createTestClock, creditInput, startNetwork, tensorOf } from "../network.ts";
import { entriesAt } from "./entries.ts";
import { openRequester, possessionOf, postDispatch, type Reached, requestSession } from "./requester.ts";

const CREDIT = "statlog/credit-default";
const HOUR_MS = 3_600_000;

test("a session ends when its grant says, and an authorization when it says itself", async () => {
  const clock = createTestClock();
  await using network = await startNetwork({ clock });
  const requester = await openRequester(network, {
    inputs: [tensorOf(creditInput())],
    seconds: 600,
    nowMs: clock.nowMs(),
  });
  const early = await requester.dispatch();
  const end = Math.floor(clock.nowMs() / 1000) + 600;
  const late = await requester.dispatch({ says: { expiry: end } });
  const later = await requester.dispatch({ says: { expiry: end, maxPrice: 1n } });
  const expired = {
    status: 422,
    error: { code: "expired", message: expect.stringMatching(/sign a new one, in a new session/) },
  };
  clock.advance(300_000);
  expect((await postDispatch(network, await requester.dispatch({ says: { expiry: end } }))).status).toBe(200);
  clock.advance(1_000);
  expect(await postDispatch(network, early)).toMatchObject(expired);
  clock.advance(299_000);
  expect((await postDispatch(network, late)).status).toBe(200);
  clock.advance(1_000);
  expect(await postDispatch(network, later)).toMatchObject(expired);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

test("an API key goes on for days: the gateway grants itself a new session before the last one ends", async () => {
  const clock = createTestClock();
  await using network = await startNetwork({ clock });
  for (let hour = 0; hour < 72; hour += 6) {
    expect((await network.infer(CREDIT, [creditInput(hour)])).status).toBe(200);
    await network.closeEpoch();
    clock.advance(6 * HOUR_MS);
  }
  const { totals } = (await (await network.fetch("/v1/usage")).json()) as Figures;
  expect(totals).toMatchObject({ valid: 12, requesters: 1 }); // One payer, whatever the session.
  const grants = (await entriesAt(network.url)).map(parseEntry).filter(({ kind }) => kind === "grant");
  expect(grants.length).toBeGreaterThan(2);
  for (const { says } of grants) expect(says).toMatchObject({ custody: "gateway" });
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

test("first calls that come at once share one session", async () => {
  await using network = await startNetwork();
  const size = async () => ((await (await network.fetch("/v1/usage")).json()) as { size: number }).size;
  const before = await size();
  const replies = await Promise.all(Array.from({ length: 40 }, (_, i) => network.infer(CREDIT, [creditInput(i)])));
  expect(replies.every(({ status }) => status === 200)).toBe(true);
  expect(new Set(replies.map(({ receiptId }) => receiptId)).size).toBe(40);
  await network.idle();
  expect(await size()).toBe(before + 1 + 40);
});

/** Asks for a session with what a key signed. */
async function askFor(network: Reached, sessionKey: Uint8Array, possession: Uint8Array, seconds = 3_600) {
  const expiry = Math.floor(Date.now() / 1000) + seconds;
  const answer = await requestSession(network, { sessionKey, possession, expiry });
  const { error } = (await answer.json()) as { error?: { code: string; message: string } };
  return error === undefined ? { status: answer.status } : { status: answer.status, ...error };
}

const askAs = async (network: Reached, { spki, sign }: Signer, seconds?: number) =>
  askFor(network, spki, await sign(await possessionOf(network, spki)), seconds);

test("who copies key and possession out of the log is granted no session with them, now or after a restart, and their owner still is", async () => {
  await using network = await startNetwork();
  const { signer } = await createKey();
  expect((await askAs(network, signer)).status).toBe(201);
  expect((await network.infer(CREDIT, [creditInput()])).status).toBe(200); // In a session whose key the gateway holds.
  await network.idle();
  const added = await network.operate("POST", "/v1/accounts", { name: "rival" });
  const rival = { fetch: network.fetch, origin: network.origin, ...((await added.json()) as { apiKey: string }) };
  const refused = { status: 409, code: "conflict", message: expect.stringMatching(/make a new session key/) };
  const replayAll = async () => {
    const grants = (await entriesAt(network.url)).map(parseEntry).filter(({ kind }) => kind === "grant");
    expect(grants.map(({ says }) => "custody" in says && says.custody)).toEqual(["account", "gateway"]);
    for (const { says } of grants)
      if ("possession" in says) expect(await askFor(rival, says.sessionKey, says.possession)).toMatchObject(refused);
  };
  await replayAll();
  await network.restart();
  rival.fetch = network.fetch;
  await replayAll();
  expect((await askAs(network, signer, 7_200)).status).toBe(201);
  expect((await askAs(rival, (await createKey()).signer)).status).toBe(201);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

test("of two accounts that ask with one new key at once, one is granted a session; one account may ask twice", async () => {
  await using network = await startNetwork();
  const { apiKey } = (await (await network.operate("POST", "/v1/accounts", { name: "other" })).json()) as Reached;
  const other = { fetch: network.fetch, origin: network.origin, apiKey };
  const { signer } = await createKey();
  const [one, two] = await Promise.all([askAs(network, signer), askAs(other, signer)]);
  expect([one.status, two.status].sort()).toEqual([201, 409]);
  const { signer: own } = await createKey();
  const both = await Promise.all([askAs(network, own), askAs(network, own, 7_200)]);
  expect(both.map(({ status }) => status)).toEqual([201, 201]);
});
