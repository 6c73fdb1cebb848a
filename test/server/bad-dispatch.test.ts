import { createKey } from "@tallystick/client";
import { encodeDispatch, floatTensor, parseDispatch, type Tensor } from "@tallystick/protocol";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { creditInput, type TestNetwork, tensorOf } from "../network.ts";
import { expectUnharmed, invalid, PRICED, type Refusal, startRefusingNetwork } from "./refusals.ts";
import { openRequester, postDispatch, type Reply, type Requester, revisionOf } from "./requester.ts";

let network: TestNetwork;
let requester: Requester;
let yankedRevision: Uint8Array;
const credit: Tensor = tensorOf(creditInput());

beforeAll(async () => {
  ({ network, yankedRevision } = await startRefusingNetwork());
  requester = await openRequester(network, { inputs: [credit] });
});
afterAll(() => network[Symbol.asyncDispose]());
afterEach(() => expectUnharmed(network));

type Dispatching = { dispatch: () => Promise<Uint8Array>; refusal: Refusal };
const nowSeconds = () => Math.floor(Date.now() / 1000);
const tampered = async (from: Promise<Uint8Array>, change: (bytes: Uint8Array) => Uint8Array) => change(await from);
const flip = (bytes: Uint8Array, at: number) =>
  bytes.map((byte, i) => (i === (at + bytes.length) % bytes.length ? byte ^ 1 : byte));

const DISPATCHES: Record<string, Dispatching> = {
  "an empty body": { dispatch: async () => new Uint8Array(0), refusal: invalid(/the body /) },
  "CBOR that is cut short": {
    dispatch: () => tampered(requester.dispatch(), (bytes) => bytes.slice(0, -1)),
    refusal: invalid(/the body /),
  },
  "CBOR with a byte too many": {
    dispatch: () => tampered(requester.dispatch(), (bytes) => Uint8Array.of(...bytes, 0)),
    refusal: invalid(/the body /),
  },
  "CBOR of something else": { dispatch: async () => Uint8Array.of(0xa1, 0x01, 0x02), refusal: invalid(/the body /) },
  "an authorization that is no COSE_Sign1": {
    dispatch: () =>
      tampered(requester.dispatch(), (bytes) =>
        encodeDispatch({ ...parseDispatch(bytes), authorization: new Uint8Array(9) }),
      ),
    refusal: invalid(/the request has an item of major type/),
  },
  "a call that is no CBOR": {
    dispatch: () =>
      tampered(requester.dispatch(), (bytes) => encodeDispatch({ ...parseDispatch(bytes), call: new Uint8Array(9) })),
    refusal: invalid(/the request /),
  },
  "a call that is no CBOR, to a model that is not there": {
    dispatch: () =>
      tampered(requester.dispatch({ says: { revision: new Uint8Array(32) } }), (bytes) =>
        encodeDispatch({ ...parseDispatch(bytes), call: new Uint8Array(9) }),
      ),
    refusal: invalid(/the request /),
  },
  "a signature by another key": {
    dispatch: async () => requester.dispatch({ by: (await createKey()).signer }),
    refusal: { status: 403, code: "forbidden", says: /not signed by the key of its session/ },
  },
  "a signature that does not hold": {
    dispatch: () =>
      tampered(requester.dispatch(), (bytes) => {
        const dispatch = parseDispatch(bytes);
        return encodeDispatch({ ...dispatch, authorization: flip(dispatch.authorization, -1) });
      }),
    refusal: { status: 403, code: "forbidden", says: /not signed by the key of its session/ },
  },
  "a session that there is not": {
    dispatch: () => requester.dispatch({ says: { session: new Uint8Array(32) } }),
    refusal: { status: 403, code: "forbidden", says: /no session 0+: POST \/v1\/sessions grants one/ },
  },
  "the session of somebody else": {
    dispatch: async () => requester.dispatch({ says: { session: (await openRequester(network)).session } }),
    refusal: { status: 403, code: "forbidden", says: /not signed by the key of its session/ },
  },
  "an authorization that has expired": {
    dispatch: () => requester.dispatch({ says: { expiry: nowSeconds() - 2 } }),
    refusal: { status: 422, code: "expired", says: /expired: sign a new one/ },
  },
  "an authorization that outlives its session": {
    dispatch: () => requester.dispatch({ says: { expiry: nowSeconds() + 86_400 } }),
    refusal: invalid(/outlives its session/),
  },
  "a call that the authorization does not commit to": {
    dispatch: () =>
      tampered(requester.dispatch(), (bytes) => encodeDispatch({ ...parseDispatch(bytes), salt: new Uint8Array(32) })),
    refusal: invalid(/not the one that the authorization commits to/),
  },
  "a nonce past the window": {
    dispatch: () => requester.dispatch({ says: { nonce: 1_000_000 } }),
    refusal: { status: 409, code: "conflict", says: /outside the window of 1024/ },
  },
  "a revision that there is not": {
    dispatch: () => requester.dispatch({ says: { revision: new Uint8Array(32) } }),
    refusal: { status: 404, code: "not_found", says: /no model revision 0+: GET \/v1\/models lists/ },
  },
  "a revision that was yanked": {
    dispatch: () =>
      requester.dispatch({
        says: { revision: yankedRevision },
        inputs: [floatTensor("features", [1, 9], new Float32Array(9))],
      }),
    refusal: { status: 410, code: "model_yanked", says: /withdrawn by its publisher/ },
  },
  "a price over the maximum": {
    dispatch: async () =>
      requester.dispatch({
        says: { revision: await revisionOf(network, PRICED), maxPrice: 4n },
        inputs: [floatTensor("features", [1, 30], new Float32Array(30))],
      }),
    refusal: {
      status: 402,
      code: "price_over_maximum",
      says: /costs 5(?: at least)?, over the maximum of 4: authorise more/,
    },
  },
  "a tier that is not offered": {
    dispatch: () => requester.dispatch({ says: { tier: "proved" } }),
    refusal: invalid(/tier "proved" is not offered here: authorise "signed"/),
  },
  "an input of another shape": {
    dispatch: () => requester.dispatch({ inputs: [floatTensor("features", [1, 2], [1, 2])] }),
    refusal: invalid(/takes "features" of FP32 \[-1,52\], not FP32 \[1,2\]/),
  },
  "an output that there is not": {
    dispatch: () => requester.dispatch({ outputs: ["score"] }),
    refusal: invalid(/has no output "score"/),
  },
};

test.each(Object.entries(DISPATCHES))(
  "signed by its requester: %s is refused, leaves no receipt, and says why",
  async (_, { dispatch, refusal }) => {
    const { status, error, receiptId } = await postDispatch(network, await dispatch());
    expect({ status, code: error?.code, receiptId }).toEqual({
      status: refusal.status,
      code: refusal.code,
      receiptId: undefined,
    });
    expect(error?.message).toMatch(refusal.says);
  },
);

const statusOf = ({ status }: Reply) => status;

test("an authorization is served once, one after the other and after a restart", async () => {
  const own = await openRequester(network, { inputs: [credit] });
  const dispatch = await own.dispatch();
  expect(await postDispatch(network, dispatch)).toMatchObject({ status: 200 });
  const again = {
    status: 409,
    error: { code: "conflict", message: expect.stringMatching(/used already: sign a new/) },
  };
  expect(await postDispatch(network, dispatch)).toMatchObject(again);
  await network.idle();
  expect(await postDispatch(network, dispatch)).toMatchObject(again);
  await network.restart();
  expect(await postDispatch(network, dispatch)).toMatchObject(again);
  expect(await postDispatch(network, await own.dispatch())).toMatchObject({ status: 200 });
});

test("of an authorization sent 50 times at once exactly one is served", async () => {
  const own = await openRequester(network, { inputs: [credit] });
  const dispatch = await own.dispatch();
  const statuses = (await Promise.all(Array.from({ length: 50 }, () => postDispatch(network, dispatch)))).map(statusOf);
  expect(statuses.sort()).toEqual([200, ...Array(49).fill(409)]);
});

test("two authorizations of one nonce: one is served", async () => {
  const own = await openRequester(network, { inputs: [credit] });
  const two = [await own.dispatch({ says: { nonce: 5 } }), await own.dispatch({ says: { nonce: 5, maxPrice: 1n } })];
  const statuses = (await Promise.all(two.map((dispatch) => postDispatch(network, dispatch)))).map(statusOf);
  expect(statuses.sort()).toEqual([200, 409]);
});

test("nonces are taken in any order inside a window of 1,024, and no further", async () => {
  const own = await openRequester(network, { inputs: [credit] });
  const ask = async (nonce: number) => (await postDispatch(network, await own.dispatch({ says: { nonce } }))).status;
  expect(await ask(1_024)).toBe(409);
  expect(await ask(1_023)).toBe(200);
  expect(await ask(0)).toBe(200);
  expect(await ask(1_022)).toBe(200);
  expect(await ask(2_047)).toBe(200);
  expect(await ask(1_023)).toBe(409);
  expect(await ask(1_024)).toBe(200);
});

test("a refused call uses up no nonce, so that it may be put right and sent again", async () => {
  const own = await openRequester(network, { inputs: [credit] });
  expect((await postDispatch(network, await own.dispatch({ says: { nonce: 0, tier: "proved" } }))).status).toBe(400);
  expect((await postDispatch(network, await own.dispatch({ says: { nonce: 0 } }))).status).toBe(200);
});

test("who does not hold a session's key cannot move its window or hold up its nonces", async () => {
  const own = await openRequester(network, { inputs: [credit] });
  const { signer: stranger } = await createKey();
  for (let nonce = 1_000; nonce < 20_000; nonce += 1_000)
    expect((await postDispatch(network, await own.dispatch({ says: { nonce }, by: stranger }))).status).not.toBe(200);
  const forged = await Promise.all(
    Array.from({ length: 30 }, () => own.dispatch({ says: { nonce: 0 }, by: stranger })),
  );
  const genuine = await own.dispatch({ says: { nonce: 0 } });
  const replies = [...forged, genuine, ...forged].map((dispatch) => postDispatch(network, dispatch));
  expect((await Promise.all(replies)).map(statusOf).filter((status) => status !== 403)).toEqual([200]);
});
