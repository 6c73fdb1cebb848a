import { createKey } from "@tallystick/client";
import { afterAll, afterEach, beforeAll, test } from "vitest";
import type { TestNetwork } from "../network.ts";
import { expectRefusal, expectUnharmed, invalid, post, type Refusal, startRefusingNetwork } from "./refusals.ts";
import { possessionOf, requestSession } from "./requester.ts";

let network: TestNetwork;
beforeAll(async () => {
  ({ network } = await startRefusingNetwork());
});
afterAll(() => network[Symbol.asyncDispose]());
afterEach(() => expectUnharmed(network));

const nowSeconds = () => Math.floor(Date.now() / 1000);

const SESSIONS: Record<string, { ask: () => Promise<Response>; refusal: Refusal }> = {
  "that ends before now": {
    ask: () => askSession({ expiry: nowSeconds() - 1 }),
    refusal: invalid(/a session ends within \d+ seconds of now/),
  },
  "that ends years from now": {
    ask: () => askSession({ expiry: nowSeconds() + 10 * 365 * 86_400 }),
    refusal: invalid(/a session ends within \d+ seconds of now/),
  },
  "whose key did not sign": {
    ask: () => askSession({ possession: new Uint8Array(64) }),
    refusal: { status: 403, code: "forbidden", says: /the session key did not sign for this log, gateway and app/ },
  },
  "whose key is no key": {
    ask: () => askSession({ sessionKey: new Uint8Array(91), possession: new Uint8Array(64) }),
    refusal: invalid(/key that is not of P-256/),
  },
  "whose key is too short": {
    ask: () => askSession({ sessionKey: new Uint8Array(90), possession: new Uint8Array(64) }),
    refusal: invalid(/base64 SPKI of P-256/),
  },
  // OpenSSL takes the hybrid form of a point (X9.62 §4.3.6), which has the size of the uncompressed one; an entry does not.
  "whose key is spelled in the hybrid form": {
    ask: () =>
      askSession({
        spell: (spki) => spki.map((byte, i) => (i === 26 ? 6 + ((spki[90] ?? 0) & 1) : byte)),
        possession: new Uint8Array(64),
      }),
    refusal: invalid(/key that is not of P-256/),
  },
  "without an API key": {
    ask: () => network.fetch("/v1/sessions", { method: "POST", body: "{}" }),
    refusal: { status: 401, code: "unauthenticated", says: /send it as/ },
  },
  "of another form": {
    ask: () => post(network, "/v1/sessions", '{"key":"x"}'),
    refusal: invalid(/a session takes \{sessionKey, possession, expiry, budget\?, app\?\}/),
  },
  "in truncated JSON": { ask: () => post(network, "/v1/sessions", '{"sessionKey":'), refusal: invalid(/not JSON/) },
};

type SessionChanges = {
  expiry?: number;
  possession?: Uint8Array;
  sessionKey?: Uint8Array;
  spell?: (spki: Uint8Array) => Uint8Array;
};

async function askSession({
  expiry = nowSeconds() + 60,
  possession,
  sessionKey,
  spell = (spki) => spki,
}: SessionChanges): Promise<Response> {
  const { signer } = await createKey();
  const spki = spell(sessionKey ?? signer.spki);
  return requestSession(network, {
    sessionKey: spki,
    possession: possession ?? (await signer.sign(await possessionOf(network, spki))),
    expiry,
  });
}

test.each(Object.entries(SESSIONS))("a session %s is refused, and says why", async (_, { ask, refusal }) => {
  await expectRefusal(await ask(), refusal);
});
