import { request } from "node:http";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { creditInput, type TestNetwork } from "../network.ts";
import {
  CREDIT,
  expectRefusal,
  expectUnharmed,
  invalid,
  type Refusal,
  startRefusingNetwork,
  YANKED,
} from "./refusals.ts";

let network: TestNetwork;
beforeAll(async () => {
  ({ network } = await startRefusingNetwork());
});
afterAll(() => network[Symbol.asyncDispose]());
afterEach(() => expectUnharmed(network));

const changed = (changes: object) => JSON.stringify({ inputs: [{ ...creditInput(), ...changes }] });

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
    refusal: {
      status: 401,
      code: "unauthenticated",
      says: /an API key that is unknown, revoked or expired: send it as/,
    },
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
  ["GET", "/v1/chat/completions", "POST"],
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
