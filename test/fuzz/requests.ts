/** Requests that nobody should send, over every route: their bytes, as they go on the wire. */
import { creditInput } from "../network.ts";
import { mutatedJson } from "./json.ts";
import type { Fuzzing } from "./random.ts";

export type FuzzTarget = { apiKey: string; model: string; chatModel: string; dispatch: Uint8Array };

/** `answers` is how many there must be; undefined where the connection may as well be closed. */
export type FuzzRequest = { bytes: Buffer; answers: number | undefined; isHead: boolean };

const CRLF = "\r\n";
const METHODS = ["GET", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "PROPFIND"];
const ID = "ab".repeat(32);
const PATHS = [
  ...["/", "/assets/page.js", "/healthz", "/readyz", "/metrics", "/checkpoint", "/tile/0/000", "/tile/entries/000.p/3"],
  ...["/v2", "/v2/health/ready", "/v2/models/statlog/credit-default", "/v2/models/statlog/credit-default/infer"],
  ...["/v2/repository/index", "/v2/repository/models/a/load", "/v1/models", "/v1/models/statlog/credit-default"],
  ...["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/infer", "/v1/sessions"],
  ...[`/v1/chat/completions/chatcmpl-${ID}`, `/v1/responses/resp_${ID}`, "/v1/keys", `/v1/keys/${ID}`, "/v1/apps"],
  ...["/v1/receipts", `/v1/receipts/${ID}`, `/v1/receipts/${ID}/opening`, "/v1/accounts", "/v1/usage", "/v1/network"],
  ...["/v1/log", "/v1/log/proofs/3", "/v1/log/checkpoints/3", "/v1/log/cose-receipts/3", "/v1/entries", "/v1/backup"],
  ...[`/v1/artifacts/sha256:${ID}`, "/v1/nodes", "/v1/nodes/register", "/v1/nodes/heartbeat", `/v1/nodes/${ID}/drain`],
  ...[
    "/checkpoints/checkpoint",
    `/witnesses/1/${ID}/checkpoint`,
    "/witnesses/1/add-checkpoint",
    "/v1/quote",
    "/v1/balance",
  ],
];
const SPOILT = [
  "/..",
  "/%2e%2e/%2e%2e/etc/passwd",
  "%2f",
  "%",
  "%zz",
  "%00",
  "//",
  "/./",
  "?a=%ff",
  "?size=-1",
  "\\",
  ";",
  "%c0%af",
];

export function fuzzRequest(fuzzing: Fuzzing, target: FuzzTarget): FuzzRequest {
  const kind = fuzzing.number(20);
  if (kind < 9) return jsonRequest(fuzzing, target);
  if (kind < 12) return pathRequest(fuzzing, target);
  if (kind < 15) return brokenRequest(fuzzing, target);
  if (kind < 17) return binaryRequest(fuzzing, target);
  return dispatchRequest(fuzzing, target);
}

type Headers = [name: string, value: string | number][];

function request(method: string, path: string, headers: Headers, body: Buffer | string = ""): FuzzRequest {
  const bytes = Buffer.from(body);
  const framed: Headers = [["host", "127.0.0.1"], ...headers, ["content-length", bytes.length]];
  const head = `${method} ${path} HTTP/1.1${CRLF}${framed.map(([name, value]) => `${name}: ${value}${CRLF}`).join("")}${CRLF}`;
  return { bytes: Buffer.concat([Buffer.from(head, "latin1"), bytes]), answers: 1, isHead: method === "HEAD" };
}

function jsonRequest(fuzzing: Fuzzing, target: FuzzTarget): FuzzRequest {
  const { model, chatModel } = target;
  const messages = [
    { role: "system", content: "Be short." },
    { role: "user", content: [{ type: "text", text: "Hello" }] },
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }],
    },
    { role: "tool", tool_call_id: "1", content: "3" },
  ];
  const tools = [{ type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } }];
  const sampling = { model: chatModel, temperature: 0.5, n: 1, stop: ["x"], seed: 3 };
  const stream = fuzzing.chance(0.3) ? { stream: true, stream_options: { include_usage: true } } : {};
  const bodies: Record<string, unknown> = {
    "/v1/chat/completions": {
      ...sampling,
      ...stream,
      messages,
      tools,
      max_tokens: 5,
      response_format: { type: "json_object" },
    },
    "/v1/completions": { ...sampling, ...stream, prompt: "Once", max_tokens: 5 },
    "/v1/embeddings": { model: chatModel, input: ["a", "b"], encoding_format: "base64" },
    "/v1/responses": { model: chatModel, input: [{ role: "user", content: "Hi" }], max_output_tokens: 5, store: true },
    [`/v2/models/${model}/infer`]: {
      inputs: [creditInput()],
      outputs: [{ name: "default_probability" }],
      parameters: { max_price: 1 },
    },
    "/v2/repository/index": { ready: true },
    "/v1/sessions": { sessionKey: "AAAA", possession: "AAAA", expiry: 2_000_000_000 },
    "/v1/accounts": { name: "a" },
    "/v1/keys": { name: "a", scopes: ["infer"], limits: { requestsPerMinute: 3 } },
    "/v1/nodes/register": { url: "http://127.0.0.1:1", models: [] },
    "/v1/nodes/heartbeat": { load: 1 },
  };
  const [path, body] = fuzzing.one(Object.entries(bodies));
  const headers: Headers = [
    ...authorization(fuzzing, target),
    ["content-type", fuzzing.one(TYPES)],
    ...oddHeaders(fuzzing),
  ];
  return request("POST", path, headers, mutatedJson(fuzzing, body));
}

const TYPES = ["application/json", "text/plain", "application/cbor", "multipart/form-data", ""];

function authorization(fuzzing: Fuzzing, { apiKey }: FuzzTarget): Headers {
  if (fuzzing.chance(0.85)) return [["authorization", `Bearer ${apiKey}`]];
  const odd = [
    "Bearer",
    "Bearer ",
    `bearer ${apiKey}`,
    `Bearer ${apiKey}x`,
    "Basic Og==",
    `Bearer ${"x".repeat(4_000)}`,
  ];
  return fuzzing.chance(0.3) ? [] : [["authorization", fuzzing.one(odd)]];
}

const ODD_HEADERS: Headers = [
  ["x-tally-max-price", "-1"],
  ["x-tally-max-price", "99999999999999999999999"],
  ["x-tally-traffic", "none"],
  ["x-tally-traffic", "probe"],
  ["x-tally-decision", "xyz"],
  ["x-tally-decision", "0".repeat(32)],
  ["x-tally-seal", "0"],
  ["x-tally-seal", "100"],
  ["x-tally-seal", "1e9"],
  ["x-tally-authorization", "AAAA"],
  ["x-tally-authorization", "%%%"],
  ["x-tally-authorization", "hEOhASag".repeat(60)],
  ["x-tally-salt", "A".repeat(43)],
  ["x-tally-salt", "A"],
  ["idempotency-key", "k"],
  ["idempotency-key", "x".repeat(3_000)],
  ["http-referer", "javascript:alert(1)"],
  ["referer", "http://%"],
  ["x-title", "\u00ff".repeat(200)],
  ["traceparent", "00-x-y-z"],
  ["accept-encoding", "gzip;q=nan"],
  ["if-none-match", '"'],
  ["range", "bytes=9999999999-0"],
  ["expect", "100-continue"],
  ["content-encoding", "gzip"],
  ["cookie", "a=".repeat(500)],
];

function oddHeaders(fuzzing: Fuzzing): Headers {
  return Array.from({ length: fuzzing.chance(0.5) ? fuzzing.number(4) : 0 }, () => fuzzing.one(ODD_HEADERS));
}

function pathRequest(fuzzing: Fuzzing, target: FuzzTarget): FuzzRequest {
  let path = fuzzing.one(PATHS);
  const at = fuzzing.number(path.length) + 1;
  switch (fuzzing.number(6)) {
    case 0:
      path = `${path}${fuzzing.one(SPOILT)}`;
      break;
    case 1:
      path = `${path.slice(0, at)}${fuzzing.one(SPOILT)}${path.slice(at)}`;
      break;
    case 2:
      path = `${path}/${"a".repeat(fuzzing.number(9_000))}`;
      break;
    case 3:
      path = path.replaceAll("/", "%2F").replace("%2F", "/");
      break;
    case 4:
      path = path.replace(
        /[0-9a-f]{4,}|\d+/,
        fuzzing.one(["-1", "1e9", "x", "0", "18446744073709551616", "ABCD".repeat(16)]),
      );
      break;
  }
  const method = fuzzing.one(METHODS);
  return request(
    method,
    path,
    [...authorization(fuzzing, target), ...oddHeaders(fuzzing)],
    fuzzing.one(["", "{}", "x"]),
  );
}

/** HTTP itself is broken: the server may answer, or close. */
function brokenRequest(fuzzing: Fuzzing, { apiKey }: FuzzTarget): FuzzRequest {
  const path = fuzzing.one(PATHS);
  const head = (rest: string, method = "POST") =>
    `${method} ${path} HTTP/1.1${CRLF}host: a${CRLF}authorization: Bearer ${apiKey}${CRLF}${rest}`;
  const chunked = `transfer-encoding: chunked${CRLF}${CRLF}`;
  const texts = [
    head(`content-length: -1${CRLF}${CRLF}{}`),
    head(`content-length: 1e3${CRLF}${CRLF}{}`),
    head(`content-length: 99999999999999999999${CRLF}${CRLF}{}`),
    head(`content-length: 5${CRLF}content-length: 6${CRLF}${CRLF}{}`),
    head(`content-length: 5${CRLF}${chunked}0${CRLF}${CRLF}`),
    head(`content-length: 500${CRLF}${CRLF}{"half":`),
    head(`${chunked}zz${CRLF}{}${CRLF}0${CRLF}${CRLF}`),
    head(`${chunked}5${CRLF}{}${CRLF}0${CRLF}${CRLF}`),
    head(`${chunked}fffffffffffffffff${CRLF}{}`),
    head(`${chunked}2${CRLF}{}${CRLF}`),
    head(`transfer-encoding: gzip, chunked${CRLF}${CRLF}0${CRLF}${CRLF}`),
    head(`${"x-a: b\r\n".repeat(fuzzing.number(1_500))}${CRLF}`, "GET"),
    head(`x-long: ${"a".repeat(fuzzing.number(40_000))}${CRLF}${CRLF}`, "GET"),
    head(`bad header${CRLF}${CRLF}`, "GET"),
    head(`x\u0000y: 1${CRLF}${CRLF}`, "GET"),
    head(` folded: 1${CRLF}${CRLF}`, "GET"),
    head("", fuzzing.one(["GET", "POST", "get", "G\u0000T", "M-SEARCH", "CONNECT"])),
    head(`upgrade: websocket${CRLF}connection: upgrade${CRLF}${CRLF}`, "GET"),
    head(`host: b${CRLF}${CRLF}`, "GET"),
    `GET ${path} HTTP/1.1${CRLF}${CRLF}`,
    `GET ${path} HTTP/1.0${CRLF}${CRLF}`,
    `GET ${path} HTTP/9.9${CRLF}host: a${CRLF}${CRLF}`,
    `GET http://elsewhere.example${path} HTTP/1.1${CRLF}host: a${CRLF}${CRLF}`,
    `GET ${path} HTTP/1.1${CRLF}host: a/b@c${CRLF}${CRLF}`,
    `GET \u0080${path} HTTP/1.1${CRLF}host: a${CRLF}${CRLF}`,
    "\u0016\u0003\u0001\u0000\u0001",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\n".repeat(fuzzing.number(3_000)),
    `GET ${path} HTTP/1.1${CRLF}host: a${CRLF}${CRLF}`.repeat(1 + fuzzing.number(20)),
    `${head(`content-length: 2${CRLF}${CRLF}{}`)}GET ${path} HTTP/1.1${CRLF}host: a${CRLF}${CRLF}garbage`,
  ];
  return { bytes: Buffer.from(fuzzing.one(texts), "latin1"), answers: undefined, isHead: false };
}

function binaryRequest(fuzzing: Fuzzing, target: FuzzTarget): FuzzRequest {
  const input = { name: "features", datatype: "FP32", shape: [1, 52], parameters: { binary_data_size: 208 } };
  const json = mutatedJson(fuzzing, { inputs: [input], parameters: { binary_data_output: true } });
  const tensor = Buffer.alloc(fuzzing.one([208, 208, 208, 0, 207, 209, 4_096]), fuzzing.number(256));
  const length = fuzzing.one([
    Buffer.byteLength(json),
    Buffer.byteLength(json),
    0,
    -1,
    1e12,
    "x",
    Buffer.byteLength(json) + 1,
    "",
  ]);
  const headers: Headers = [
    ...authorization(fuzzing, target),
    ["inference-header-content-length", length],
    ...oddHeaders(fuzzing),
  ];
  return request("POST", `/v2/models/${target.model}/infer`, headers, Buffer.concat([Buffer.from(json), tensor]));
}

function dispatchRequest(fuzzing: Fuzzing, { dispatch, apiKey }: FuzzTarget): FuzzRequest {
  const bytes = Buffer.from(dispatch);
  for (let i = 1 + fuzzing.number(6); i > 0; i--) bytes[fuzzing.number(bytes.length)] = fuzzing.number(256);
  const cut = fuzzing.chance(0.2) ? bytes.subarray(0, fuzzing.number(bytes.length)) : bytes;
  const body = fuzzing.chance(0.1) ? Buffer.concat([cut, bytes]) : cut;
  const path = fuzzing.one([
    "/v1/infer",
    "/v1/infer",
    "/v1/infer",
    "/v1/entries",
    "/v1/nodes/register",
    "/v1/nodes/heartbeat",
  ]);
  const headers: Headers = [
    ["content-type", "application/cbor"],
    ["authorization", `Bearer ${apiKey}`],
  ];
  return request("POST", path, headers, body);
}
