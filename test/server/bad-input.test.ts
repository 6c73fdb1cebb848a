import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKey } from "@tallystick/client";
import { encodeDispatch, floatTensor, parseDispatch, type Tensor } from "@tallystick/protocol";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { copyModels, creditInput, startNetwork, type TestNetwork, tensorOf } from "../network.ts";
import {
  openRequester,
  possessionOf,
  postDispatch,
  type Reply,
  type Requester,
  requestSession,
  revisionOf,
} from "./requester.ts";

const CREDIT = "statlog/credit-default";
const PRICED = "wisconsin/breast-cancer";
const YANKED = "noaa/seattle-temperature";

let folder: string;
let network: TestNetwork;
let requester: Requester;
let yankedRevision: Uint8Array;
const credit: Tensor = tensorOf(creditInput());

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bad-input-"));
  const models = await copyModels(["credit-default", "breast-cancer", "seattle-temperature"], folder);
  await change(join(models, "breast-cancer", "model.json"), { price: "5" });
  network = await startNetwork({ models, deadlineMs: 10_000 });
  yankedRevision = await revisionOf(network, YANKED);
  await network.restart(() => change(join(models, "seattle-temperature", "model.json"), { yanked: true }));
  requester = await openRequester(network, { inputs: [credit] });
});
afterAll(async () => {
  await network[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** Whatever was refused: the log holds together, and the next call is served. */
afterEach(async () => {
  expect((await network.infer(CREDIT, [creditInput()])).status).toBe(200);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
  expect(network.reported.splice(0)).toEqual([]);
});

async function change(path: string, changes: object): Promise<void> {
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...changes }));
}

type Refusal = { status: number; code: string; says: RegExp };

async function expectRefusal(answer: Response, { status, code, says }: Refusal): Promise<void> {
  const body = (await answer.json()) as { error: { code: string; message: string } };
  expect({ status: answer.status, code: body.error.code }).toEqual({ status, code });
  expect(body.error.message).toMatch(says);
}

function post(path: string, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> {
  const authorization = `Bearer ${network.apiKey}`;
  return network.fetch(path, { method: "POST", headers: { authorization, ...headers }, body });
}

const input = creditInput();
const changed = (changes: object) => JSON.stringify({ inputs: [{ ...input, ...changes }] });
const withParameters = (parameters: object) => JSON.stringify({ inputs: [input], parameters });
const invalid = (says: RegExp): Refusal => ({ status: 400, code: "invalid_request", says });

const BODIES: Record<string, { body: BodyInit; refusal: Refusal }> = {
  "an empty body": { body: "", refusal: invalid(/the body is not JSON/) },
  "truncated JSON": { body: changed({}).slice(0, -3), refusal: invalid(/the body is not JSON/) },
  "text that is no JSON": { body: "features=1", refusal: invalid(/the body is not JSON/) },
  "bytes that are not UTF-8": {
    body: Buffer.from(changed({ name: "é" }), "latin1"),
    refusal: invalid(/the body is not UTF-8/),
  },
  "JSON nested deeper than it can be read": { body: "[".repeat(200_000), refusal: invalid(/the body is not JSON/) },
  "a body that is no object": { body: "[]", refusal: invalid(/the body: .*object/) },
  null: { body: "null", refusal: invalid(/the body: .*object/) },
  "a body without inputs": { body: "{}", refusal: invalid(/inputs/) },
  "inputs that are no list": { body: '{"inputs":{}}', refusal: invalid(/inputs: .*array/) },
  "no input at all": {
    body: '{"inputs":[]}',
    refusal: invalid(/takes "features" of FP32 \[-1,52\]; the call has no inputs/),
  },
  "an unknown member": {
    body: JSON.stringify({ inputs: [input], model: "x" }),
    refusal: invalid(/model cannot be honoured here: leave it out/),
  },
  "an unknown member of a tensor": {
    body: changed({ dtype: "FP32" }),
    refusal: invalid(/dtype in inputs\.0 cannot be honoured/),
  },
  "an unknown parameter": {
    body: withParameters({ temperature: 1 }),
    refusal: invalid(/temperature in parameters cannot be honoured/),
  },
  "an unknown parameter of a tensor": {
    body: changed({ parameters: { binary_data_size: 8 } }),
    refusal: invalid(/binary_data_size/),
  },
  "an input of another name": {
    body: changed({ name: "feature" }),
    refusal: invalid(/takes "features" of FP32 .*; the call has "feature"/),
  },
  "an input without a name": { body: changed({ name: undefined }), refusal: invalid(/inputs\.0\.name/) },
  "an input named twice": { body: JSON.stringify({ inputs: [input, input] }), refusal: invalid(/named twice/) },
  "an input too many": {
    body: JSON.stringify({ inputs: [input, { ...input, name: "more" }] }),
    refusal: invalid(/takes "features".*; the call has "features", "more"/),
  },
  "a datatype that there is not": {
    body: changed({ datatype: "FLOAT" }),
    refusal: invalid(/inputs\.0\.datatype: .*"FP32"/),
  },
  "a datatype of another kind": { body: changed({ datatype: "FP64" }), refusal: invalid(/takes .*FP32.*, not FP64/) },
  "a shape of too few columns": {
    body: changed({ shape: [1, 51], data: input.data.slice(1) }),
    refusal: invalid(/takes "features" of FP32 \[-1,52\], not FP32 \[1,51\]/),
  },
  "a shape of another rank": { body: changed({ shape: [52] }), refusal: invalid(/not FP32 \[52\]/) },
  "a shape without rows": { body: changed({ shape: [0, 52], data: [] }), refusal: invalid(/not FP32 \[0,52\]/) },
  "a shape with a negative size": { body: changed({ shape: [-1, 52] }), refusal: invalid(/inputs\.0\.shape/) },
  "a shape with a fraction": { body: changed({ shape: [1.5, 52] }), refusal: invalid(/inputs\.0\.shape/) },
  "a shape of more elements than there are": {
    body: changed({ shape: [2 ** 50, 52] }),
    refusal: invalid(/holds \d+ elements, with 52 in its data/),
  },
  "a shape of many dimensions": { body: changed({ shape: Array(9).fill(1) }), refusal: invalid(/inputs\.0\.shape/) },
  "too little data": { body: changed({ data: [1] }), refusal: invalid(/holds 52 elements, with 1 in its data/) },
  "data that is no list": { body: changed({ data: "1,2" }), refusal: invalid(/inputs\.0\.data/) },
  "a text among numbers": {
    body: changed({ data: ["1", ...input.data.slice(1)] }),
    refusal: invalid(/element 0 that is not of FP32: "1"/),
  },
  "null among numbers": {
    body: changed({ data: [null, ...input.data.slice(1)] }),
    refusal: invalid(/element 0 that is not of FP32: null/),
  },
  "a number past FP32": {
    body: changed({ data: [1e300, ...input.data.slice(1)] }),
    refusal: invalid(/element 0 that is not of FP32: 1e\+300/),
  },
  "data nested deeper than tensors are": {
    body: changed({ data: JSON.parse(`${"[".repeat(20)}1${"]".repeat(20)}`) }),
    refusal: invalid(/with 1 in its data/),
  },
  "more inputs than a call has": {
    body: JSON.stringify({ inputs: Array.from({ length: 65 }, (_, i) => ({ ...input, name: `n${i}` })) }),
    refusal: invalid(/inputs: /),
  },
  "an output that there is not": {
    body: JSON.stringify({ inputs: [input], outputs: [{ name: "score" }] }),
    refusal: invalid(/has no output "score".*"default_probability"/),
  },
  "an output named twice": {
    body: JSON.stringify({
      inputs: [input],
      outputs: [{ name: "default_probability" }, { name: "default_probability" }],
    }),
    refusal: invalid(/output is named twice/),
  },
  "a negative maximum price": { body: withParameters({ max_price: -1 }), refusal: invalid(/max_price/) },
  "a maximum price past 64 bits": {
    body: withParameters({ max_price: "99999999999999999999" }),
    refusal: invalid(/amount|max_price/),
  },
  "a decision that is no hex": {
    body: withParameters({ decision: "loan 17" }),
    refusal: invalid(/decision: must be 32 digits of lower-case hex/),
  },
  "a traffic class that there is not": {
    body: withParameters({ traffic: "free" }),
    refusal: invalid(/traffic: .*"production"/),
  },
  "a long id": { body: JSON.stringify({ inputs: [input], id: "x".repeat(200) }), refusal: invalid(/id: /) },
};

test.each(Object.entries(BODIES))("%s is refused, and says what is wrong", async (_, { body, refusal }) => {
  await expectRefusal(await post(`/v2/models/${CREDIT}/infer`, body), refusal);
});

type Asked = { path: string; init?: RequestInit; refusal: Refusal; headers?: Record<string, string> };
const REQUESTS: Record<string, Asked> = {
  "a call without a key": {
    path: `/v2/models/${CREDIT}/infer`,
    init: { method: "POST", body: changed({}) },
    refusal: { status: 401, code: "unauthenticated", says: /no API key: send it as "authorization: Bearer KEY"/ },
  },
  "a call with an unknown key": {
    path: `/v2/models/${CREDIT}/infer`,
    init: { method: "POST", body: changed({}), headers: { authorization: "Bearer tally-nobody" } },
    refusal: { status: 401, code: "unauthenticated", says: /an unknown API key: send it as/ },
  },
  "a call with another scheme": {
    path: `/v2/models/${CREDIT}/infer`,
    init: { method: "POST", body: changed({}), headers: { authorization: "Basic dGFsbHk6" } },
    refusal: { status: 401, code: "unauthenticated", says: /send it as/ },
  },
  "a model that there is not": {
    path: "/v2/models/statlog/credit/infer",
    init: { method: "POST", body: changed({}) },
    refusal: { status: 404, code: "not_found", says: /no model "statlog\/credit": GET \/v1\/models lists/ },
  },
  "a version that there is not": {
    path: `/v2/models/${CREDIT}/versions/9/infer`,
    init: { method: "POST", body: changed({}) },
    refusal: { status: 404, code: "not_found", says: /version "9": GET \/v1\/models lists/ },
  },
  "the metadata of a model that there is not": {
    path: "/v2/models/nobody/nothing",
    refusal: { status: 404, code: "not_found", says: /GET \/v1\/models lists/ },
  },
  "a model that was yanked": {
    path: `/v2/models/${YANKED}/infer`,
    init: { method: "POST", body: changed({}) },
    refusal: { status: 410, code: "model_yanked", says: /withdrawn by its publisher: GET \/v1\/models lists/ },
  },
  "a receipt id that is none": {
    path: "/v1/receipts/latest",
    refusal: invalid(/64 digits of lower-case hex/),
  },
  "a receipt that there is not": {
    path: `/v1/receipts/${"0".repeat(64)}`,
    refusal: { status: 404, code: "not_found", says: /no receipt 0+/ },
  },
  "an opening without a key": {
    path: `/v1/receipts/${"0".repeat(64)}/opening`,
    refusal: { status: 401, code: "unauthenticated", says: /send it as/ },
  },
  "an artifact of a name that is no digest": { path: "/v1/artifacts/model.onnx", refusal: invalid(/its SHA-256/) },
  "an artifact that there is not": {
    path: `/v1/artifacts/${"0".repeat(64)}`,
    refusal: { status: 404, code: "not_found", says: /no artifact/ },
  },
  "a tile past the end of the log": {
    path: "/tile/0/x999/999",
    refusal: { status: 404, code: "not_found", says: /no tile tile\/0\/x999\/999 in a log of \d+ entries/ },
  },
  "a tile of another spelling": {
    path: "/tile/0/0",
    refusal: { status: 404, code: "not_found", says: /no tile/ },
  },
  "a path that climbs out": {
    path: "/tile/..%2f..%2fkeys%2fnode.pem",
    refusal: { status: 404, code: "not_found", says: /no tile|nothing at/ },
  },
  "a path that there is not": { path: "/v3", refusal: { status: 404, code: "not_found", says: /nothing at GET \/v3/ } },
  "an account that somebody else makes": {
    path: "/v1/accounts",
    init: { method: "POST", body: '{"name":"me"}' },
    refusal: { status: 403, code: "forbidden", says: /send the token in keys\/admin-token/ },
  },
  "a call of the SDK that is not CBOR": {
    path: "/v1/infer",
    init: { method: "POST", body: changed({}), headers: { "content-type": "application/json" } },
    refusal: { status: 415, code: "unsupported_media_type", says: /with plain JSON use POST \/v2\/models/ },
  },
};

test.each(Object.entries(REQUESTS))("%s is refused, and says what to do", async (_, { path, init, refusal }) => {
  await expectRefusal(await network.fetch(path, init), refusal);
});

const METHODS: [string, string, string][] = [
  ["GET", `/v2/models/${CREDIT}/infer`, "POST"],
  ["PUT", `/v2/models/${CREDIT}`, "GET"],
  ["DELETE", "/v1/infer", "POST"],
  ["GET", "/v1/sessions", "POST"],
  ["POST", "/v1/usage", "GET"],
  ["PUT", `/v1/receipts/${"0".repeat(64)}/opening`, "GET, DELETE"],
  ["POST", "/checkpoint", "GET"],
  ["GET", "/v1/entries", "POST"],
  ["POST", "/", "GET"],
];
test.each(METHODS)("%s %s is refused, and says that it takes %s", async (method, path, allow) => {
  const answer = await network.fetch(path, { method });
  expect(answer.headers.get("allow")).toBe(allow);
  await expectRefusal(answer, {
    status: 405,
    code: "method_not_allowed",
    says: new RegExp(`takes ${allow}, not ${method}`),
  });
});

test("HEAD is answered as GET without a body", async () => {
  for (const path of ["/", "/v1/usage", "/checkpoint", `/v2/models/${CREDIT}`, "/v2/health/live"]) {
    const answer = await network.fetch(path, { method: "HEAD" });
    expect({ status: answer.status, body: await answer.text() }, path).toEqual({ status: 200, body: "" });
  }
});

test("a call of a priced model needs a maximum price at or over it, and then costs it", async () => {
  const body = (parameters: object) =>
    JSON.stringify({ inputs: [{ ...input, shape: [1, 30], data: input.data.slice(0, 30) }], parameters });
  const ask = (parameters: object) => post(`/v2/models/${PRICED}/infer`, body(parameters));
  const tooDear: Refusal = {
    status: 402,
    code: "price_over_maximum",
    says: /costs 5, over the maximum of \d: set parameters.max_price/,
  };
  await expectRefusal(await ask({}), tooDear);
  await expectRefusal(await ask({ max_price: "4" }), tooDear);
  expect((await ask({ max_price: "5" })).status).toBe(200);
  expect((await ask({ max_price: 2 ** 53 - 1 })).status).toBe(200);
});

const LIMIT_BYTES = 32 * 1024 * 1024;
const OVERSIZE = ["/v2/models/statlog/credit-default/infer", "/v1/infer", "/v1/entries", "/v1/sessions"];

test.each(OVERSIZE)("a body that says it is over the limit is refused at %s before it is sent", async (path) => {
  const { hostname, port } = new URL(network.url);
  const headers = {
    "content-length": 2 * LIMIT_BYTES,
    "content-type": "application/cbor",
    authorization: `Bearer ${network.apiKey}`,
  };
  const sent = request({ hostname, port, path, method: "POST", headers });
  sent.write("{");
  const status = await new Promise((resolve, reject) => {
    sent.on("response", ({ statusCode }) => resolve(statusCode));
    sent.on("error", reject);
  });
  sent.destroy();
  expect(status).toBe(413);
});

test.each(OVERSIZE)(
  "a body that does not say how long it is, and is over the limit, is refused at %s",
  async (path) => {
    const chunk = new Uint8Array(1024 * 1024).fill(32);
    let left = 34;
    const body = new ReadableStream({
      pull: (controller) => (left-- > 0 ? controller.enqueue(chunk) : controller.close()),
    });
    const headers = { authorization: `Bearer ${network.apiKey}`, "content-type": "application/cbor" };
    const init = { method: "POST", headers, body, duplex: "half" };
    await expectRefusal(await network.fetch(path, init), {
      status: 413,
      code: "limit_exceeded",
      says: /larger than the \d+ bytes allowed/,
    });
  },
);

test("a caller that goes away while it sends costs nothing, and is no fault of ours", async () => {
  const { hostname, port } = new URL(network.url);
  for (const [path, length] of OVERSIZE.flatMap((each) => [
    [each, { "content-length": 1000 }] as const,
    [each, {}] as const,
  ])) {
    const headers = { ...length, "content-type": "application/cbor", authorization: `Bearer ${network.apiKey}` };
    const sent = request({ hostname, port, path, method: "POST", headers });
    sent.on("error", () => {});
    await new Promise<void>((resolve) => sent.write('{"inputs":', () => resolve()));
    await network.fetch("/v2/health/live");
    sent.destroy();
    await network.fetch("/v2/health/live");
  }
});

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
    refusal: { status: 402, code: "price_over_maximum", says: /costs 5, over the maximum of 4: authorise more/ },
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
    refusal: { status: 403, code: "forbidden", says: /the session key did not sign for this log and gateway/ },
  },
  "whose key is no key": {
    ask: () => askSession({ sessionKey: new Uint8Array(91) }),
    refusal: { status: 403, code: "forbidden", says: /did not sign/ },
  },
  "whose key is too short": {
    ask: () => askSession({ sessionKey: new Uint8Array(90), possession: new Uint8Array(64) }),
    refusal: invalid(/base64 SPKI of P-256/),
  },
  // OpenSSL takes the hybrid form of a point (X9.62 §4.3.6), which has the size of the uncompressed one; an entry does not.
  "whose key is spelled in the hybrid form": {
    ask: () => askSession({ spell: (spki) => spki.map((byte, i) => (i === 26 ? 6 + ((spki[90] ?? 0) & 1) : byte)) }),
    refusal: invalid(/key that is not of P-256/),
  },
  "without an API key": {
    ask: () => network.fetch("/v1/sessions", { method: "POST", body: "{}" }),
    refusal: { status: 401, code: "unauthenticated", says: /send it as/ },
  },
  "of another form": {
    ask: () => post("/v1/sessions", '{"key":"x"}'),
    refusal: invalid(/a session takes \{sessionKey, possession, expiry\}/),
  },
  "in truncated JSON": { ask: () => post("/v1/sessions", '{"sessionKey":'), refusal: invalid(/not JSON/) },
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
