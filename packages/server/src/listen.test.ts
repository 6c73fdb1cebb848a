import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Hono } from "hono";
import { afterEach, expect, test } from "vitest";
import { type Listening, type ListenLimits, listen } from "./listen.ts";
import { errorResponse, headersFor, respond } from "./platform/http.ts";
import { createMetrics } from "./platform/metrics.ts";
import { createRequests, observationOf, type RequestLimits } from "./platform/requests.ts";

type Line = Record<string, unknown>;
let listening: Listening | undefined;
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await listening?.close();
  listening = undefined;
});

/** A server of two routes: one that waits until it is told to end, and one whose answer is without end. */
async function serve(limits: Partial<RequestLimits> = {}, ofListening: Partial<ListenLimits> = {}) {
  const metrics = createMetrics();
  const lines: Line[] = [];
  const requests = createRequests({ metrics, limits, log: (_, line) => void lines.push(line) });
  const app = new Hono();
  const streams: ReadableStreamDefaultController<Uint8Array>[] = [];
  app.use(requests.middleware);
  app.get("/healthz", (c) => c.text("live"));
  app.post("/echo", async (c) => c.text(await c.req.text()));
  app.post("/stream", (c) => {
    const observation = observationOf(c);
    observation.call("chat", "a/model");
    observation.startStream();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        streams.push(controller);
        controller.enqueue(Buffer.from("data: one\n\n"));
        observation.firstToken();
        observation.usage(3, 4);
      },
    });
    headersFor(c)["x-receipt-id"] = "ab";
    return respond(c, body, { "content-type": "text/event-stream" });
  });
  app.get("/endless", (c) => {
    const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) });
    return c.body(body);
  });
  app.onError((error, c) => errorResponse(c, error, () => {}));
  listening = await listen({ application: () => app, requests }, { host: "127.0.0.1", port: 0, limits: ofListening });
  return { url: listening.url, streams, lines, metrics, requests };
}

/** A connection on which `text` was sent, and all that came back by its end. */
async function open(url: string, text: string) {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  sockets.push(socket);
  let received = "";
  socket.on("data", (bytes) => {
    received += bytes.toString("latin1");
  });
  socket.on("error", () => {});
  const closed = once(socket, "close").then(() => received);
  await once(socket, "connect");
  socket.write(text);
  const until = async (found: string) => {
    while (!received.includes(found)) await once(socket, "data");
  };
  return { socket, closed, until };
}

const HEAD = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n";
const post = (url: string, path: string) => fetch(`${url}${path}`, { method: "POST", body: "hello" });

test("one request more than there may be in flight is refused with a time to try again, and health is not", async () => {
  const { url, metrics } = await serve({ requests: 1 });
  const first = await open(url, HEAD);
  await expect.poll(() => metrics.text()).toContain("tally_requests_in_flight 1");
  const refused = await post(url, "/echo");
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  first.socket.write("hello");
  await first.until("hello");
  await expect.poll(() => metrics.text()).toContain("tally_requests_in_flight 0");
  expect((await post(url, "/echo")).status).toBe(200);
  expect(metrics.text()).toContain('tally_refused_total{reason="requests"} 1');
});

test("one stream more than there may be is refused, until one has ended", async () => {
  const { url, streams, metrics } = await serve({ streams: 2 });
  const held = [await post(url, "/stream"), await post(url, "/stream")];
  const refused = await post(url, "/stream");
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  expect((await post(url, "/echo")).status).toBe(200);
  streams[0]?.close();
  expect(await held[0]?.text()).toBe("data: one\n\n");
  await expect.poll(() => metrics.text()).toContain("tally_streams_in_flight 1");
  expect((await post(url, "/stream")).status).toBe(200);
  for (const stream of streams.slice(1)) stream.close();
});

test("a stream whose client goes away gives its place back, and is told of as aborted", async () => {
  const { url, metrics, lines } = await serve();
  const { socket, until } = await open(url, HEAD.replace("echo", "stream").replace("5", "0"));
  await until("data: one");
  socket.destroy();
  await expect.poll(() => metrics.text()).toContain("tally_streams_in_flight 0");
  expect(lines).toMatchObject([{ "http.route": "/stream", "error.type": "aborted" }]);
});

test("of a request the log has its route, status, model, tokens, receipt and trace, in OpenTelemetry's names", async () => {
  const { url, streams, lines, metrics } = await serve();
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const headers = { traceparent };
  const answer = await fetch(`${url}/stream?key=secret`, { method: "POST", body: "content", headers });
  streams[0]?.close();
  await answer.text();
  await expect.poll(() => lines).toHaveLength(1);
  const [line = {}] = lines;
  expect(line).toMatchObject({
    "http.request.method": "POST",
    "http.route": "/stream",
    "http.response.status_code": 200,
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "a/model",
    "gen_ai.usage.input_tokens": 3,
    "gen_ai.usage.output_tokens": 4,
    "tally.receipt.id": "ab",
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    parent_span_id: "b7ad6b7169203331",
  });
  expect(JSON.stringify(line)).not.toMatch(/secret|content"|127\.0/);
  const text = metrics.text();
  const of = 'gen_ai_operation_name="chat",gen_ai_request_model="a/model"';
  expect(text).toContain(`gen_ai_client_token_usage_sum{${of},gen_ai_token_type="output"} 4`);
  expect(text).toContain(`gen_ai_server_time_to_first_token_seconds_count{${of}} 1`);
  expect(text).toContain('tally_receipts_total{status="ok"} 1');
});

test("a path that nobody serves is one label, whatever it is", async () => {
  const { url, metrics } = await serve();
  for (const path of ["/x1", "/x2"]) await fetch(`${url}${path}`);
  expect(metrics.text()).toContain('http_route="unmatched",http_response_status_code="404",gen_ai_request_model=""} 2');
  expect(metrics.text()).not.toContain("x1");
});

test("a request with more headers than are allowed, or with larger ones, is refused", async () => {
  const { url } = await serve({ headers: 20 });
  const many = (count: number) => Array.from({ length: count }, (_, i) => [`x-${i}`, "a"] as [string, string]);
  expect((await fetch(`${url}/healthz`, { headers: many(100) })).status).toBe(200);
  expect((await fetch(`${url}/endless`, { headers: many(30) })).status).toBe(413);
  expect((await fetch(`${url}/endless`, { headers: { "x-long": "a".repeat(17_000) } })).status).toBe(431);
});

test("a head or a body that trickles in is given up", async () => {
  const { url } = await serve({}, { headMs: 100, requestMs: 200 });
  const head = await open(url, "POST /echo HTTP/1.1\r\nhost: a\r\nx-");
  const body = await open(url, `${HEAD}he`);
  expect(await head.closed).toMatch(/^HTTP\/1.1 408 /);
  expect(await body.closed).toMatch(/^HTTP\/1.1 408 |^$/);
});

test("a client that takes nothing of its answer is let go of", async () => {
  const { url, metrics } = await serve({ idleAnswerMs: 100 });
  const { socket } = await open(url, "GET /endless HTTP/1.1\r\nhost: a\r\n\r\n");
  socket.pause();
  await expect
    .poll(() => metrics.text())
    .toContain('tally_requests_total{http_request_method="GET",http_route="/endless"');
  expect(metrics.text()).toContain("tally_requests_in_flight 0");
});

test("one connection more than there may be is closed", async () => {
  const { url } = await serve({}, { connections: 1 });
  await open(url, HEAD);
  const second = await open(url, HEAD);
  expect(await second.closed).toBe("");
});

test("told to end, it refuses what comes anew, says so, and waits for its streams", async () => {
  const { url, streams, requests } = await serve();
  const stream = await post(url, "/stream");
  const kept = await open(url, `${HEAD}hello`);
  await kept.until("hello");
  let isClosed = false;
  const closed = listening?.close().then(() => {
    isClosed = true;
  });
  expect(requests.isDraining).toBe(true);
  const refused = await post(url, "/echo");
  expect([refused.status, refused.headers.get("retry-after"), refused.headers.get("connection")]).toEqual([
    503,
    "1",
    "close",
  ]);
  kept.socket.write(`${HEAD}hello`);
  expect(await kept.closed).toMatch(/503 Service Unavailable\r\n(.+\r\n)*connection: close/i);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect(isClosed).toBe(false);
  streams[0]?.enqueue(Buffer.from("data: two\n\n"));
  streams[0]?.close();
  expect(await stream.text()).toBe("data: one\n\ndata: two\n\n");
  await closed;
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
});

test("a stream that does not end in time is cut off", async () => {
  const { url } = await serve({}, { drainMs: 100 });
  const stream = await post(url, "/stream");
  await listening?.close();
  await expect(stream.text()).rejects.toThrow();
});
