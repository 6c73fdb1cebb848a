import { type Figures, parseEntry } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { createTestClock, creditInput, startNetwork, tensorOf } from "../network.ts";
import { entriesAt } from "./entries.ts";
import { openRequester, postDispatch } from "./requester.ts";

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
