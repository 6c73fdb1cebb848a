import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { creditInput, type TestNetwork, tensorOf } from "../network.ts";
import { CREDIT, expectRefusal, expectUnharmed, invalid, type Refusal, startRefusingNetwork } from "./refusals.ts";

let network: TestNetwork;
beforeAll(async () => {
  ({ network } = await startRefusingNetwork());
});
afterAll(() => network[Symbol.asyncDispose]());
afterEach(() => expectUnharmed(network));

const { data, ...spec } = tensorOf(creditInput());

type Sent = {
  /** Replaces members of the one input. */
  input?: object;
  request?: object;
  binary?: Uint8Array;
  headers?: Record<string, string>;
  /** Where it says that the JSON ends; undefined leaves the header out. */
  says?: (jsonSizeBytes: number) => string | undefined;
};

function send({ input, request, binary = data, headers, says = String }: Sent): Promise<Response> {
  const inputs = [{ ...spec, parameters: { binary_data_size: data.length }, ...input }];
  const json = Buffer.from(JSON.stringify({ inputs, ...request }));
  const length = says(json.length);
  return network.fetch(`/v2/models/${CREDIT}/infer`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${network.apiKey}`,
      ...(length === undefined ? {} : { "Inference-Header-Content-Length": length }),
      ...headers,
    },
    body: new Uint8Array(Buffer.concat([json, binary])),
  });
}

test("the call that the others are changes of is served", async () => {
  const answer = await send({});
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("application/json");
});

const tooLarge: Refusal = { status: 413, code: "limit_exceeded", says: /larger than the \d+ bytes allowed here/ };
const REFUSED: Record<string, Sent & { refusal: Refusal }> = {
  "a body without the header": { says: () => undefined, refusal: invalid(/the body is not (JSON|UTF-8)/) },
  "JSON that speaks of binary data, without the header and without data": {
    says: () => undefined,
    binary: new Uint8Array(),
    refusal: invalid(/"features" with binary_data_size, and no header Inference-Header-Content-Length/),
  },
  "a header that is no number": { says: () => "many", refusal: invalid(/is a number of bytes, not "many"/) },
  "a negative header": { says: () => "-1", refusal: invalid(/is a number of bytes, not "-1"/) },
  "a header of hex": { says: (size) => `0x${size.toString(16)}`, refusal: invalid(/is a number of bytes/) },
  "a header of no JSON": { says: () => "0", refusal: invalid(/the body is not JSON/) },
  "a header that cuts the JSON short": { says: (size) => String(size - 1), refusal: invalid(/the body is not JSON/) },
  "a header that goes into the data": {
    says: (size) => String(size + 4),
    refusal: invalid(/the body is not (JSON|UTF-8)/),
  },
  "a header past the body": {
    says: () => "5000",
    refusal: invalid(/the body has \d+ bytes, fewer than the 5000 that Inference-Header-Content-Length says/),
  },
  "a header past what JSON may have": { says: () => String(8 * 1024 * 1024 + 1), refusal: tooLarge },
  "a header past all numbers": { says: () => "9".repeat(30), refusal: invalid(/is a number of bytes/) },
  "binary data over the limit": { binary: new Uint8Array(32 * 1024 * 1024 + 1), refusal: tooLarge },
  "a byte too many": {
    binary: Buffer.concat([data, Buffer.alloc(1)]),
    refusal: invalid(/has 209 bytes behind its JSON, and inputs whose binary_data_size adds up to 208/),
  },
  "a byte too few": {
    binary: data.subarray(1),
    refusal: invalid(/has 207 bytes behind its JSON, and inputs whose binary_data_size adds up to 208/),
  },
  "binary data that nobody asked for": {
    input: { parameters: {}, data: creditInput().data },
    refusal: invalid(/has 208 bytes behind its JSON, and inputs whose binary_data_size adds up to 0/),
  },
  "a size that is not the shape's": {
    input: { shape: [2, 52] },
    refusal: invalid(/"features" of FP32 with shape \[2,52\] takes 416 bytes, not 208/),
  },
  "a shape of more bytes than can be counted": {
    input: { shape: [2 ** 50, 52] },
    refusal: invalid(/more elements than can be counted|takes \d+ bytes, not 208/),
  },
  "a size with a fraction": { input: { parameters: { binary_data_size: 1.5 } }, refusal: invalid(/binary_data_size/) },
  "a negative size": { input: { parameters: { binary_data_size: -208 } }, refusal: invalid(/binary_data_size/) },
  "a size past the limit": {
    input: { parameters: { binary_data_size: 2 ** 40 } },
    refusal: invalid(/binary_data_size/),
  },
  "data twice": {
    input: { data: creditInput().data },
    refusal: invalid(/"features" in binary and in JSON: with binary_data_size leave out data/),
  },
  "data nowhere": {
    input: { parameters: {} },
    binary: new Uint8Array(),
    refusal: invalid(/"features" without data: give data, or binary_data_size and bytes/),
  },
  "binary data in base64": {
    input: { parameters: { binary_data_size: data.length, content_type: "base64" } },
    refusal: invalid(/leave out data and content_type/),
  },
  "data in shared memory": {
    input: { parameters: { shared_memory_region: "a", shared_memory_byte_size: 208 } },
    refusal: invalid(/shared_memory_region, shared_memory_byte_size in inputs.0.parameters cannot be honoured/),
  },
  "outputs as classes": {
    request: { outputs: [{ name: "default_probability", parameters: { classification: 2 } }] },
    refusal: invalid(/classification in outputs.0.parameters cannot be honoured/),
  },
  "a form of the outputs that is no form": {
    request: { parameters: { binary_data_output: "yes" } },
    refusal: invalid(/binary_data_output/),
  },
  "a body that is compressed": {
    headers: { "content-encoding": "gzip" },
    refusal: { status: 415, code: "unsupported_media_type", says: /without a content-encoding/ },
  },
};

test.each(Object.entries(REFUSED))("%s is refused, and says what is wrong", async (_, { refusal, ...sent }) => {
  await expectRefusal(await send(sent), refusal);
});

test("the slash in a model's name may be encoded", async () => {
  for (const path of [CREDIT, encodeURIComponent(CREDIT)])
    for (const rest of ["", "/ready", "/versions/1.1.0", "/versions/1.1.0/ready"]) {
      const answer = await network.fetch(`/v2/models/${path}${rest}`);
      expect({ path: `${path}${rest}`, status: answer.status, body: await answer.json() }).toMatchObject({
        status: 200,
        body: { name: CREDIT },
      });
    }
});

test("the index of the repository tells what was withdrawn, and leaves it out where only what is ready is asked for", async () => {
  const index = async (body?: string) =>
    (await network.fetch("/v2/repository/index", { method: "POST", ...(body === undefined ? {} : { body }) })).json();
  const ready = (name: string, version: string) => ({ name, version, state: "READY", reason: "" });
  const offered = (await index('{"ready":true}')) as { name: string; version: string }[];
  expect(offered).toEqual(offered.map(({ name, version }) => ready(name, version)));
  expect(new Set(offered.map(({ name }) => name))).toEqual(new Set([CREDIT, "wisconsin/breast-cancer"]));
  const withdrawn = { name: "noaa/seattle-temperature", state: "UNAVAILABLE", reason: "withdrawn by its publisher" };
  for (const body of [undefined, "", "{}", '{"ready":false}'])
    expect(await index(body)).toEqual(expect.arrayContaining([...offered, expect.objectContaining(withdrawn)]));
});

const UNSERVED: [method: string, path: string, body: string | undefined, refusal: Refusal][] = [
  ["POST", "/v2/repository/index", '{"ready":1}', invalid(/ready/)],
  ["POST", "/v2/repository/index", '{"all":true}', invalid(/all cannot be honoured/)],
  ["POST", `/v2/repository/models/${CREDIT}/load`, "{}", invalid(/load is not taken here: a model is offered by/)],
  ["POST", `/v2/repository/models/${CREDIT}/unload`, "{}", invalid(/unload is not taken here/)],
  ["POST", `/v2/repository/models/${CREDIT}`, "{}", { status: 404, code: "not_found", says: /nothing at POST/ }],
  ["GET", `/v2/models/${CREDIT}/config`, undefined, { status: 404, code: "not_found", says: /no config of Triton's/ }],
  ["GET", `/v2/models/${CREDIT}/stats`, undefined, { status: 404, code: "not_found", says: /no stats of Triton's/ }],
  ["GET", "/v2/systemsharedmemory/status", undefined, { status: 404, code: "not_found", says: /nothing at GET/ }],
  ["GET", "/v2/repository/index", undefined, { status: 405, code: "method_not_allowed", says: /takes POST, not GET/ }],
];
test.each(UNSERVED)("%s %s is refused, in the shape of this protocol", async (method, path, body, refusal) => {
  const init = { method, ...(body === undefined ? {} : { body }) };
  await expectRefusal(await network.fetch(path, init), refusal);
});
