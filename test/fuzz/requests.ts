/** Requests that nobody should send, over every route that the server says it has: their bytes, as they go on the wire. */
import type { Signer } from "@tallystick/protocol";
import { signRequest } from "../../packages/server/src/platform/http-signature.ts";
import type { Route } from "../network.ts";
import type { Body, Token } from "./bodies.ts";
import { mutatedJson } from "./json.ts";
import type { Fuzzing } from "./random.ts";

export type FuzzTarget = {
  routes: readonly Route[];
  tokens: Record<Token, string>;
  /** Keys of a node and a verifier that are let in, and the ids of those to whom they sign. */
  signers: Record<"node" | "verifier", Signer>;
  ids: Record<"gateway" | "node", Uint8Array>;
  model: string;
  /** What may stand in a route's pattern. */
  parameters: Readonly<Record<string, readonly string[]>>;
  bodies: ReadonlyMap<string, Body>;
};

/** `answers` is how many there must be; undefined where the connection may as well be closed. */
export type FuzzRequest = { bytes: Buffer; answers: number | undefined; isHead: boolean };

const CRLF = "\r\n";
const METHODS = ["GET", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "PROPFIND"];
const ID = "ab".repeat(32);
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

export async function fuzzRequest(fuzzing: Fuzzing, target: FuzzTarget): Promise<FuzzRequest> {
  const kind = fuzzing.number(20);
  if (kind < 11) return bodyRequest(fuzzing, target);
  if (kind < 15) return pathRequest(fuzzing, target);
  if (kind < 18) return brokenRequest(fuzzing, target);
  return binaryRequest(fuzzing, target);
}

type Headers = [name: string, value: string | number][];

function request(method: string, path: string, headers: Headers, body: Uint8Array | string = ""): FuzzRequest {
  const bytes = Buffer.from(body);
  const framed: Headers = [["host", "127.0.0.1"], ...headers, ["content-length", bytes.length]];
  const head = `${method} ${path} HTTP/1.1${CRLF}${framed.map(([name, value]) => `${name}: ${value}${CRLF}`).join("")}${CRLF}`;
  return { bytes: Buffer.concat([Buffer.from(head, "latin1"), bytes]), answers: 1, isHead: method === "HEAD" };
}

/** What a route that takes a body is sent by whom it is for, with nothing wrong in it. */
export async function honestRequest(
  fuzzing: Fuzzing,
  target: FuzzTarget,
  route: string,
  spoil = (body: Body) => bytesOf(body),
) {
  const sent = target.bodies.get(route);
  if (sent === undefined) throw new Error(`test/fuzz/bodies.ts has nothing for POST ${route}`);
  const path = sent.at ?? patternFilled(fuzzing, target, route);
  const body = spoil(sent);
  const type = "json" in sent ? { "content-type": "application/json" } : {};
  const headers: Record<string, string> = {
    ...{ authorization: `Bearer ${target.tokens[sent.by]}`, ...type, ...sent.headers },
    ...(sent.signedBy === undefined ? {} : await signed(target, "POST", path, sent.signedBy, "gateway", body)),
  };
  return { method: "POST", path, headers, body };
}

const bytesOf = (body: Body): Uint8Array => ("json" in body ? Buffer.from(JSON.stringify(body.json)) : body.bytes);

async function signed(
  { signers, ids }: FuzzTarget,
  method: string,
  path: string,
  by: "node" | "verifier",
  to: "gateway" | "node",
  body: Uint8Array = new Uint8Array(0),
): Promise<Record<string, string>> {
  const [bare = ""] = path.split("?");
  const nowSeconds = Math.floor(Date.now() / 1000);
  return signRequest(signers[by], { method, path: bare, body, to: ids[to], nowSeconds });
}

async function bodyRequest(fuzzing: Fuzzing, target: FuzzTarget): Promise<FuzzRequest> {
  const route = fuzzing.one([...target.bodies.keys()]);
  const spoil = (body: Body) => {
    if (!("json" in body)) return spoiltBytes(fuzzing, body.bytes);
    const isStreamed = route.startsWith("/v1/c") && fuzzing.chance(0.3);
    const stream = isStreamed ? { stream: true, stream_options: { include_usage: true } } : {};
    return Buffer.from(mutatedJson(fuzzing, { ...body.json, ...stream }));
  };
  const { method, path, headers, body } = await honestRequest(fuzzing, target, route, spoil);
  if (fuzzing.chance(0.15)) headers.authorization = fuzzing.one(oddAuthorizations(fuzzing, target));
  if (fuzzing.chance(0.1)) headers["content-type"] = fuzzing.one(TYPES);
  return request(method, path, [...Object.entries(headers), ...oddHeaders(fuzzing)], body);
}

const TYPES = ["application/json", "text/plain", "application/cbor", "multipart/form-data", ""];

function spoiltBytes(fuzzing: Fuzzing, honest: Uint8Array): Uint8Array {
  const bytes = Buffer.from(honest);
  if (fuzzing.chance(0.1) || bytes.length === 0) return bytes;
  for (let i = 1 + fuzzing.number(6); i > 0; i--) bytes[fuzzing.number(bytes.length)] = fuzzing.number(256);
  const cut = fuzzing.chance(0.2) ? bytes.subarray(0, fuzzing.number(bytes.length)) : bytes;
  return fuzzing.chance(0.1) ? Buffer.concat([cut, bytes]) : cut;
}

function oddAuthorizations(fuzzing: Fuzzing, { tokens }: FuzzTarget): string[] {
  const { api } = tokens;
  const others = fuzzing.one(Object.values(tokens));
  return [
    "",
    "Bearer",
    "Bearer ",
    `bearer ${api}`,
    `Bearer ${api}x`,
    "Basic Og==",
    `Bearer ${"x".repeat(4_000)}`,
    `Bearer ${others}`,
  ];
}

const ODD_HEADERS: Headers = [
  ["x-tally-max-price", "-1"],
  ["x-tally-max-price", "99999999999999999999999"],
  ["x-tally-traffic", "none"],
  ["x-tally-traffic", "probe"],
  ["x-tally-decision", "xyz"],
  ["x-tally-decision", "0".repeat(32)],
  ["x-tally-app", "An App"],
  ["x-tally-app", "example/shop"],
  ["x-tally-open", "all"],
  ["x-tally-open", "none"],
  ["x-tally-policy", "{"],
  ["x-tally-policy", '{"tier":"proved","nodes":[]}'],
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
  ["tallystick-to", "ab".repeat(32)],
  ["tallystick-to", "x"],
  ["tallystick-key", "AAAA"],
  ["tallystick-check", "A".repeat(86)],
  ["signature", "tallystick=:AAAA:"],
  ["signature-input", 'tallystick=();created=1;keyid="ab";alg="x"'],
  ["content-digest", "sha-256=:AAAA:"],
  ["if-none-match", '"'],
  ["range", "bytes=9999999999-0"],
  ["expect", "100-continue"],
  ["content-encoding", "gzip"],
  ["cookie", "a=".repeat(500)],
];

function oddHeaders(fuzzing: Fuzzing): Headers {
  return Array.from({ length: fuzzing.chance(0.5) ? fuzzing.number(4) : 0 }, () => fuzzing.one(ODD_HEADERS));
}

/** A route's pattern with something in the place of each parameter, right or not. */
function patternFilled(fuzzing: Fuzzing, { parameters }: FuzzTarget, pattern: string): string {
  return pattern.replace(/:([a-zA-Z]+)(\{(?:[^{}]|\{[^{}]*\})*\})?|\*/g, (found, name: string | undefined) => {
    const known = parameters[name ?? found];
    if (known === undefined) throw new Error(`test/fuzz/network.ts knows nothing to put for ${found} of ${pattern}`);
    return fuzzing.one([...known, ...known, ID]);
  });
}

/** Requests that verifiers sign, and to whom. */
const SIGNED: Readonly<Record<string, "gateway" | "node">> = {
  "/v1/checks": "gateway",
  "/v1/receipts/:id/opening/lot": "node",
};

async function pathRequest(fuzzing: Fuzzing, target: FuzzTarget): Promise<FuzzRequest> {
  const route = fuzzing.one(target.routes);
  const method = fuzzing.chance(0.6) && route.method !== "ALL" ? route.method : fuzzing.one(METHODS);
  const path = spoiltPath(fuzzing, patternFilled(fuzzing, target, route.path));
  const by = fuzzing.chance(0.15)
    ? fuzzing.one(oddAuthorizations(fuzzing, target))
    : `Bearer ${fuzzing.one(Object.values(target.tokens))}`;
  const to = SIGNED[route.path];
  const signature = to === undefined || fuzzing.chance(0.2) ? {} : await signed(target, method, path, "verifier", to);
  const headers: Headers = [["authorization", by], ...Object.entries(signature), ...oddHeaders(fuzzing)];
  return request(method, path, headers, fuzzing.one(["", "", "{}", "x"]));
}

function spoiltPath(fuzzing: Fuzzing, path: string): string {
  const at = fuzzing.number(path.length) + 1;
  switch (fuzzing.number(9)) {
    case 0:
      return `${path}${fuzzing.one(SPOILT)}`;
    case 1:
      return `${path.slice(0, at)}${fuzzing.one(SPOILT)}${path.slice(at)}`;
    case 2:
      return `${path}/${"a".repeat(fuzzing.number(9_000))}`;
    case 3:
      return path.replaceAll("/", "%2F").replace("%2F", "/");
    case 4:
      return path.replace(
        /[0-9a-f]{4,}|\d+/,
        fuzzing.one(["-1", "1e9", "x", "0", "18446744073709551616", "ABCD".repeat(16)]),
      );
    default:
      return path;
  }
}

/** HTTP itself is broken: the server may answer, or close. */
function brokenRequest(fuzzing: Fuzzing, target: FuzzTarget): FuzzRequest {
  const path = patternFilled(fuzzing, target, fuzzing.one(target.routes).path);
  const head = (rest: string, method = "POST") =>
    `${method} ${path} HTTP/1.1${CRLF}host: a${CRLF}authorization: Bearer ${fuzzing.one(Object.values(target.tokens))}${CRLF}${rest}`;
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
    ["authorization", `Bearer ${target.tokens.api}`],
    ["inference-header-content-length", length],
    ...oddHeaders(fuzzing),
  ];
  return request("POST", `/v2/models/${target.model}/infer`, headers, Buffer.concat([Buffer.from(json), tensor]));
}
