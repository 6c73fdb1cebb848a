import { once } from "node:events";
import type { Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { createAdaptorServer } from "@hono/node-server";
import { type Tile, tilePath } from "@tallystick/protocol";
import fc from "fast-check";
import { Hono } from "hono";
import { afterEach, expect, test } from "vitest";
import { ServiceError } from "../platform/errors.ts";
import { errorResponse } from "../platform/http.ts";
import { type Front, startFront } from "./front.ts";
import { createReads } from "./reads.ts";
import { logRoutes } from "./routes.ts";

const BUNDLE = Buffer.from(Array.from({ length: 150_000 }, (_, i) => i % 251));
const TILES: Record<string, Buffer> = {
  "tile/0/000": Buffer.alloc(8192, 1),
  "tile/0/001.p/3": Buffer.alloc(96, 2),
  "tile/entries/000": BUNDLE,
};
/** Long enough that no test meets it by chance. */
const LONG_MS = 600_000;

type Running = {
  server: Server;
  port: number;
  front: Front | undefined;
  /** What reached the server itself, in order. */
  served: string[];
  /** Its ends of connections. */
  sockets: Socket[];
};

const running: Server[] = [];
afterEach(() => {
  for (const server of running.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

type Setup = {
  hasFront?: boolean;
  idleMs?: number;
  findTile?(tile: Tile): Promise<Uint8Array | undefined>;
  tls?: Record<string, unknown>;
};

/** A log of few files, and beside it an API that says what it was sent. */
async function start({ hasFront = true, idleMs = LONG_MS, findTile, tls }: Setup = {}): Promise<Running> {
  const published = () => ({ size: 259, note: NOTE });
  const reads = createReads({ published, findTile: findTile ?? (async (tile) => TILES[tilePath(tile)]) });
  const admission = {
    submit: () => Promise.reject(new ServiceError("unavailable", "not here")),
    submitOpened: () => Promise.reject(new Error("not asked")),
    submitOperated: () => Promise.reject(new Error("not asked")),
    findReceipt: () => undefined,
  };
  const app = new Hono();
  app.route("/", logRoutes({ admission, isAdmin: () => false, isBehindProxy: false, published, reads }));
  app.all("/echo", async (c) => c.text(`${c.req.method} ${await c.req.text()}`));
  app.onError((error, c) => errorResponse(c, error, () => {}));
  const options = tls === undefined ? {} : { createServer: createTlsServer, serverOptions: tls };
  // The adaptor's type has HTTP/2 in it, which is not asked for here.
  const server = createAdaptorServer({ fetch: app.fetch, ...options }) as Server;
  running.push(server);
  const served: string[] = [];
  const sockets: Socket[] = [];
  server.on("request", ({ method, url }) => served.push(`${method} ${url}`));
  const front = hasFront ? startFront(server, { reads, clock: { nowMs: () => 1_790_000_000_000 }, idleMs }) : undefined;
  server.on("connection", (socket: Socket) => sockets.push(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port, front, served, sockets };
}
const NOTE = { text: "log.example\n259\nroot\n", signatures: [] };

async function open({ port, sockets }: Running): Promise<{ client: Socket; received(): Buffer; serverEnd: Socket }> {
  const client = connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true });
  const chunks: Buffer[] = [];
  client.on("data", (chunk) => chunks.push(chunk));
  client.on("error", () => {});
  const before = sockets.length;
  await until(() => sockets.length > before);
  return { client, received: () => Buffer.concat(chunks), serverEnd: sockets[before]! };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((turn) => setImmediate(turn));
}

/** Sends each part once the server has taken the one before, and gives all that came back. */
async function talk(running: Running, parts: readonly (string | Buffer)[]): Promise<Buffer> {
  const { client, received, serverEnd } = await open(running);
  const closed = once(client, "end");
  let sentBytes = 0;
  for (const part of parts) {
    client.write(part, "latin1");
    sentBytes += part.length;
    await until(() => serverEnd.bytesRead >= sentBytes || serverEnd.destroyed || client.readableEnded);
  }
  await closed;
  client.destroy();
  return received();
}

type Response = { status: number; headers: Record<string, string>; body: Buffer };

/** Responses in a stream; `heads` says which have no body. */
function parseResponses(bytes: Buffer, methods: readonly string[] = []): Response[] {
  const responses: Response[] = [];
  for (let at = 0; at < bytes.length; ) {
    const headEnd = bytes.indexOf("\r\n\r\n", at);
    if (headEnd < 0) throw new Error(`no head at ${at}: ${bytes.toString("latin1", at, at + 100)}`);
    const [line = "", ...lines] = bytes.toString("latin1", at, headEnd).split("\r\n");
    const status = Number(/^HTTP\/1\.1 ([0-9]{3}) /.exec(line)?.[1]);
    if (Number.isNaN(status)) throw new Error(`no status line at ${at}: ${line}`);
    const fields = lines.map((text) => /^([^:]+): (.*)$/.exec(text)?.slice(1) ?? [text]);
    const headers = Object.fromEntries(fields.map(([name = "", value = ""]) => [name.toLowerCase(), value]));
    at = headEnd + 4;
    const isInterim = status < 200;
    const method = methods[responses.filter((response) => response.status >= 200).length];
    const sizeBytes = isInterim || method === "HEAD" ? 0 : Number(headers["content-length"] ?? bytes.length - at);
    responses.push({ status, headers, body: bytes.subarray(at, at + sizeBytes) });
    if (bytes.length < at + sizeBytes) throw new Error("the last body is cut off");
    at += sizeBytes;
  }
  return responses;
}

type Essence = { status: number; headers: Record<string, string>; body: string };

/** What is the same on both roads: all but when, and what is said of the connection. */
function essence(bytes: Buffer, methods: readonly string[]): Essence[] {
  return parseResponses(bytes, methods).map(({ status, headers, body }) => {
    const { date: _, connection: __, "keep-alive": ___, ...rest } = headers;
    return { status, headers: rest, body: body.toString("latin1") };
  });
}

const get = (path: string, ...fields: string[]) =>
  `${[`GET ${path} HTTP/1.1`, "Host: log.example", ...fields].join("\r\n")}\r\n\r\n`;
const LAST = get("/checkpoint", "Connection: close");
const TILE = get("/tile/0/000");
const PARTIAL = get("/tile/0/001.p/3", "User-Agent: monitor/1", "Accept: */*", "Connection: Keep-Alive");
const POST = "POST /echo HTTP/1.1\r\nHost: log.example\r\nContent-Length: 9\r\n\r\nGET / HTT";

test("plain reads of the log never reach the server, and all else does", async () => {
  const network = await start();
  const plain = [
    TILE,
    PARTIAL,
    get("/checkpoint"),
    get("/tile/entries/000"),
    get("/tile/entries/000", "accept-encoding: gzip"),
  ];
  const bytes = await talk(network, [...plain, TILE + TILE, POST, TILE + LAST]);
  expect(parseResponses(bytes).map(({ status, body }) => [status, body.length])).toEqual([
    [200, 8192],
    [200, 96],
    [200, 22],
    [200, 150_000],
    [200, expect.any(Number)],
    [200, 8192],
    [200, 8192],
    [200, 14],
    [200, 8192],
    [200, 22],
  ]);
  expect(network.served).toEqual(["POST /echo", "GET /tile/0/000", "GET /checkpoint"]);
});

test("the headers are those of C2SP tlog-tiles, and let any page read", async () => {
  const bytes = await talk(await start(), [
    TILE,
    get("/checkpoint"),
    get("/tile/entries/000"),
    get("/tile/0/002"),
    LAST,
  ]);
  const [tile, checkpoint, bundle, missing] = parseResponses(bytes);
  const forAll = { "access-control-allow-origin": "*" };
  const date = "Mon, 21 Sep 2026 14:13:20 GMT";
  const immutable = {
    "content-type": "application/octet-stream",
    "cache-control": "public, max-age=31536000, immutable",
  };
  expect(tile?.headers).toEqual({ ...forAll, ...immutable, date, "content-length": "8192" });
  expect(checkpoint?.headers).toMatchObject({
    ...forAll,
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-cache",
  });
  expect(bundle?.headers).toMatchObject({ ...forAll, ...immutable, vary: "accept-encoding" });
  expect(missing).toMatchObject({ status: 404, headers: { ...forAll, "content-type": "application/problem+json" } });
  expect(JSON.parse(String(missing?.body))).toMatchObject({
    error: { code: "not_found", message: "no tile tile/0/002 in a log of 259 entries" },
  });
});

/** Requests of every manner, and the statuses that answer them. The connection ends with a last request, or before. */
const REQUESTS: [desc: string, request: string, statuses: number[]][] = [
  ["a tile", TILE, [200, 200]],
  ["a tile for a named client", PARTIAL, [200, 200]],
  ["one byte more in the path", get("/tile/0/0000"), [404, 200]],
  ["a partial tile that is not there", get("/tile/0/001.p/4"), [404, 200]],
  ["a query", get("/tile/0/000?x=1"), [200, 200]],
  ["an encoded path", get("/tile/0/00%30"), [200, 200]],
  ["a path upwards", get("/tile/../checkpoint"), [200, 200]],
  ["an absolute target", get("http://log.example/tile/0/000"), [200, 200]],
  ["a space in the path", get("/tile/0/000 x"), [400]],
  ["another page", get("/"), [404, 200]],
  ["HEAD", TILE.replace("GET", "HEAD"), [200, 200]],
  ["HEAD of nothing", get("/tile/0/002").replace("GET", "HEAD"), [404, 200]],
  ["OPTIONS", TILE.replace("GET", "OPTIONS"), [404, 200]],
  ["a method in lower case", TILE.replace("GET", "get"), [400]],
  ["HTTP/1.0", "GET /tile/0/000 HTTP/1.0\r\nHost: a\r\n\r\n", [200]],
  ["HTTP/1.0 without a Host", "GET /tile/0/000 HTTP/1.0\r\n\r\n", [400]],
  ["HTTP/1.0 kept alive", "GET /tile/0/000 HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", [200, 200]],
  ["HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]],
  ["Connection: close", get("/tile/0/000", "Connection: close"), [200]],
  ["Connection: close among others", get("/tile/0/000", "Connection: foo, close"), [200]],
  ["two Connection headers", get("/tile/0/000", "Connection: keep-alive", "Connection: close"), [200]],
  [
    "two Connection headers, the last of which is plain",
    get("/tile/0/000", "Connection: close", "Connection: keep-alive"),
    [200],
  ],
  ["no Host", "GET /tile/0/000 HTTP/1.1\r\n\r\n", [400]],
  ["no Host but a header", "GET /tile/0/000 HTTP/1.1\r\nAccept: */*\r\n\r\n", [400]],
  ["two Hosts", get("/tile/0/000", "Host: other"), [200, 200]],
  ["a Host that is none", "GET /tile/0/000 HTTP/1.1\r\nHost: a/b\r\n\r\n", [400]],
  ["If-None-Match", get("/tile/0/000", 'If-None-Match: "x"'), [200, 200]],
  ["If-Modified-Since", get("/tile/0/000", "If-Modified-Since: Mon, 21 Sep 2026 14:13:20 GMT"), [200, 200]],
  ["a range", get("/tile/0/000", "Range: bytes=0-9"), [200, 200]],
  ["a length of nothing", get("/tile/0/000", "Content-Length: 0"), [200, 200]],
  ["a GET with a body", `${get("/tile/0/000", "Content-Length: 5")}GET /`, [200, 200]],
  ["a GET with chunks", `${get("/tile/0/000", "Transfer-Encoding: chunked")}5\r\nGET /\r\n0\r\n\r\n`, [200, 200]],
  ["a length and chunks", `${get("/echo", "Content-Length: 5", "Transfer-Encoding: chunked")}0\r\n\r\n`, [400]],
  ["a POST", POST, [200, 200]],
  ["Expect", POST.replace("Content", "Expect: 100-continue\r\nContent"), [100, 200, 200]],
  ["an empty line before", `\r\n${TILE}`, [200, 200]],
  ["lines without a carriage return", "GET /tile/0/000 HTTP/1.1\nHost: a\n\n", [400]],
  ["one line without a carriage return", get("/tile/0/000", "A: b\nContent-Length: 5"), [400]],
  ["a folded line", get("/tile/0/000", "A: b\r\n c"), [400]],
  ["a space before the colon", get("/tile/0/000", "Content-Length : 5"), [400]],
  ["a header without a name", get("/tile/0/000", ": 5"), [400]],
  ["a header without a colon", get("/tile/0/000", "Content-Length"), [400]],
  ["a zero in a header", get("/tile/0/000", "A: \0"), [400]],
  ["a header beyond ASCII", get("/tile/0/000", "A: \xe4"), [200, 200]],
  ["a head of 4 KB and more", get("/tile/0/000", `A: ${"a".repeat(5000)}`), [200, 200]],
  ["a head of 20 KB", get("/tile/0/000", `A: ${"a".repeat(20_000)}`), [431]],
  ["a path of 20 KB", get(`/tile/0/${"0".repeat(20_000)}`), [431]],
  ["noise", "\x16\x03\x01\x02\x00\x01", [400]],
];

test.each(REQUESTS)("%s is answered as the server alone would", async (_, request, statuses) => {
  const method = request.split(" ")[0] ?? "";
  const alone = await start({ hasFront: false });
  const last = statuses.at(-1) === 200 && statuses.length === 1 ? "" : LAST; // Nothing may follow what ends a connection.
  const expected = essence(await talk(alone, [request + last]), [method]);
  expect(expected.map(({ status }) => status)).toEqual(statuses);
  const [tile] = essence(await talk(alone, [TILE + LAST]), []);
  const network = await start();
  expect(essence(await talk(network, [request + last]), [method])).toEqual(expected);
  for (const parts of [
    [TILE, request + last],
    [TILE + request, last],
  ])
    expect(essence(await talk(network, parts), ["GET", method])).toEqual([tile, ...expected]);
});

test("a stream of requests is answered the same wherever it is cut", async () => {
  const stream = TILE + PARTIAL + get("/tile/0/002") + TILE + POST + TILE + LAST;
  const network = await start();
  const whole = essence(await talk(await start({ hasFront: false }), [stream]), []);
  expect(whole.length).toBe(7);
  for (let at = 1; at < stream.length; at++)
    expect(essence(await talk(network, [stream.slice(0, at), stream.slice(at)]), []), `cut at ${at}`).toEqual(whole);
});

test("any mix of requests, in any pieces, is answered once each and in order", async () => {
  const network = await start();
  const alone = await start({ hasFront: false });
  const keptAlive = REQUESTS.filter(([, , statuses]) => statuses.at(-1) === 200 && statuses.length === 2);
  const plain = [TILE, PARTIAL, get("/checkpoint"), get("/tile/entries/000", "accept-encoding: gzip, br")];
  const any = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...plain) },
    { weight: 1, arbitrary: fc.constantFrom(...keptAlive.map(([, request]) => request)) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(any, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 6 }), async (requests, cuts) => {
      const stream = [...requests, LAST].join("");
      const places = [...new Set(cuts.map((cut) => cut % stream.length))].sort((a, b) => a - b);
      const parts = [0, ...places].map((from, i) => stream.slice(from, places[i])).filter((part) => part !== "");
      const methods = requests.map((request) => /^\s*(\w+)/.exec(request)?.[1] ?? "");
      expect(essence(await talk(network, parts), methods)).toEqual(essence(await talk(alone, [stream]), methods));
    }),
    { numRuns: 150 },
  );
});

test("a connection that is kept alive reads tiles and calls the API by turns", async () => {
  const { client, received } = await open(await start());
  let expected = 0;
  for (const request of [TILE, POST, TILE, get("/tile/0/002"), PARTIAL, POST]) {
    client.write(request);
    expected++;
    await until(() => {
      try {
        return parseResponses(received()).length === expected;
      } catch {
        return false; // The answer is not whole yet.
      }
    });
  }
  client.destroy();
});

test("a client that takes nothing is sent no more than its socket holds, and all in order once it reads", async () => {
  const network = await start();
  const { client, received, serverEnd } = await open(network);
  client.pause();
  const count = 300;
  client.write(get("/tile/entries/000").repeat(count) + LAST);
  await until(() => serverEnd.writableNeedDrain && serverEnd.isPaused());
  for (let i = 0; i < 50; i++) await new Promise((turn) => setImmediate(turn));
  expect(serverEnd.writableLength).toBeLessThan(BUNDLE.length + 1024);
  expect(network.front).toBeDefined();
  network.front?.closeIdleConnections();
  expect(serverEnd.destroyed).toBe(false);
  client.resume();
  await once(client, "end");
  const responses = parseResponses(received());
  expect(responses.length).toBe(count + 1);
  expect(responses.slice(0, count).every(({ body }) => body.equals(BUNDLE))).toBe(true);
  client.destroy();
});

test("a connection that is silent is closed, and one whose client takes nothing", async () => {
  const network = await start({ idleMs: 50 });
  const silent = await open(network);
  await once(silent.client, "end");
  const answered = await open(network);
  answered.client.write(TILE);
  await once(answered.client, "end");
  expect(parseResponses(answered.received()).length).toBe(1);
  const stalled = await open(network);
  stalled.client.pause();
  stalled.client.write(get("/tile/entries/000").repeat(300));
  await until(() => stalled.serverEnd.destroyed);
  for (const { client } of [silent, answered, stalled]) client.destroy();
});

test("a request whose head does not end is the server's, with its limits of time", async () => {
  const network = await start({ idleMs: 50 });
  network.server.headersTimeout = LONG_MS;
  const { client, received, serverEnd } = await open(network);
  client.write(TILE + TILE.slice(0, 20));
  await until(() => serverEnd.listenerCount("timeout") > 0 && serverEnd.timeout === 0);
  client.write(TILE.slice(20) + LAST);
  await once(client, "end");
  expect(parseResponses(received()).map(({ status }) => status)).toEqual([200, 200, 200]);
  client.destroy();
});

test("a client that has said all it will still gets its answers", async () => {
  const network = await start();
  for (const [sent, count] of [
    ["", 0],
    [TILE, 1],
    [get("/tile/entries/000").repeat(40), 40],
    [TILE + TILE.slice(0, 20), 1],
  ] as const) {
    const { client, received } = await open(network);
    client.end(sent);
    await once(client, "end");
    const responses = parseResponses(received()).filter(({ status }) => status === 200);
    expect(responses.length).toBe(count);
    client.destroy();
  }
});

/** Reading that waits until it is let go. */
function gate() {
  const waiting: (() => void)[] = [];
  const findTile = (tile: Tile) =>
    new Promise<Uint8Array | undefined>((resolve) => waiting.push(() => resolve(TILES[tilePath(tile)])));
  return { waiting, findTile };
}

test("who leaves while a file is read harms nobody", async () => {
  for (const path of ["/tile/0/000", "/tile/0/002"]) {
    const { waiting, findTile } = gate();
    const network = await start({ findTile });
    const gone = await open(network);
    const stays = await open(network);
    gone.client.write(get(path));
    stays.client.write(get(path) + LAST);
    await until(() => gone.serverEnd.isPaused() && stays.serverEnd.isPaused());
    gone.client.resetAndDestroy();
    gone.serverEnd.destroy();
    const letGo = setInterval(() => waiting.splice(0).forEach((go) => void go()), 1);
    await once(stays.client, "end");
    clearInterval(letGo);
    expect(gone.serverEnd.listenerCount("drain")).toBe(0); // The server was not given what is gone.
    expect(parseResponses(stays.received()).map(({ status }) => status)).toEqual([
      path === "/tile/0/000" ? 200 : 404,
      200,
    ]);
    expect(network.served).toEqual(path === "/tile/0/000" ? ["GET /checkpoint"] : [`GET ${path}`, "GET /checkpoint"]);
    stays.client.destroy();
  }
});

test("a client that hangs up on its way to the server gets nothing, as it does there", async () => {
  const { waiting, findTile } = gate();
  const { client, received, serverEnd } = await open(await start({ findTile }));
  client.end(get("/tile/0/002"));
  await until(() => serverEnd.readableEnded && waiting.length === 1);
  waiting[0]?.();
  await once(client, "end");
  expect(received().length).toBe(0);
  expect(serverEnd.errored).toBeNull();
  client.destroy();
});

test("a connection that is reset ends, and no other", async () => {
  const network = await start();
  for (const count of [0, 1, 300]) {
    const { client, received, serverEnd } = await open(network);
    client.write(get("/tile/entries/000").repeat(count));
    await until(() => received().length >= Math.min(count, 2) * BUNDLE.length);
    client.resetAndDestroy();
    await until(() => serverEnd.destroyed);
  }
  expect(parseResponses(await talk(network, [TILE + LAST])).length).toBe(2);
});

test("a file that cannot be read is a fault that the server answers for", async () => {
  const network = await start({ findTile: () => Promise.reject(new Error("EIO")) });
  const [fault, checkpoint] = parseResponses(await talk(network, [TILE + LAST]));
  expect(fault?.status).toBe(500);
  expect(checkpoint?.status).toBe(200);
});

test("closing ends connections that are idle, and lets an answer under way arrive", async () => {
  const { waiting, findTile } = gate();
  const network = await start({ findTile });
  const idle = await open(network);
  const busy = await open(network);
  busy.client.write(TILE);
  await until(() => waiting.length === 1);
  const closed = once(network.server, "close");
  network.server.close();
  network.front?.closeIdleConnections();
  await once(idle.client, "end");
  expect(busy.serverEnd.destroyed).toBe(false);
  waiting[0]?.();
  await until(() => busy.received().length > 8192);
  network.front?.closeIdleConnections();
  await closed;
  expect(parseResponses(busy.received()).length).toBe(1);
});

test("closing all ends what is under way too", async () => {
  const { findTile } = gate();
  const network = await start({ findTile });
  const { client, serverEnd } = await open(network);
  client.write(TILE);
  await until(() => serverEnd.isPaused());
  const closed = once(network.server, "close");
  network.server.close();
  network.front?.closeAllConnections();
  await closed;
  client.destroy();
});

test("over TLS it is the same", async () => {
  const psk = Buffer.alloc(32, 5);
  const suite = { ciphers: "PSK-AES128-GCM-SHA256", maxVersion: "TLSv1.2" } as const;
  const network = await start({ tls: { ...suite, pskCallback: () => psk } });
  const client: Duplex = connectTls({
    ...suite,
    host: "127.0.0.1",
    port: network.port,
    pskCallback: () => ({ psk, identity: "client" }),
    checkServerIdentity: () => undefined,
  });
  const chunks: Buffer[] = [];
  client.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(client, "secureConnect");
  client.write(TILE + get("/tile/entries/000").repeat(20) + POST + TILE.slice(0, 10));
  client.write(TILE.slice(10) + LAST);
  await once(client, "end");
  expect(parseResponses(Buffer.concat(chunks)).map(({ status }) => status)).toEqual(Array(24).fill(200));
  expect(network.served).toEqual(["POST /echo", "GET /tile/0/000", "GET /checkpoint"]);
});
