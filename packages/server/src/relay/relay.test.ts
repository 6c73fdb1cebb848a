import { createServer } from "node:net";
import { expect, test } from "vitest";
import { eventsOf, sendJson, sendStream, startUpstream } from "../../../../test/mock-upstream.ts";
import { API_KEY, MESSAGES, openRelay, RELAYED_MODEL, upstreamConfig } from "../../../../test/relay-fixture.ts";

const HEAD = { id: "chatcmpl-1", created: 1_763_800_000, model: "their-model" };
const chunk = (content: string, finish_reason: string | null = null) => ({
  ...HEAD,
  choices: [{ index: 0, delta: { content }, finish_reason }],
});
const COUNTED = { ...HEAD, choices: [], usage: { prompt_tokens: 5, completion_tokens: 2 } };
const GOOD = eventsOf(chunk("hello", "stop"), COUNTED);
const EVENTS = { "content-type": "text/event-stream" };
const QUICK = { connectMs: 5_000, firstByteMs: 10_000, betweenChunksMs: 10_000, wholeMs: 20_000 };

/** A promise, and what resolves it. */
function later<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

test("connections are kept, and the key is in its header alone", async () => {
  await using upstream = await startUpstream((response) => sendStream(response, GOOD));
  await using relay = openRelay(upstream.url);
  for (let i = 0; i < 20; i++) expect(await relay.chat()).toMatchObject({ kind: "answered" });
  expect(upstream.connectionCount).toBeLessThanOrEqual(2); // One may not be free yet when the next is needed.
  const [asked] = upstream.asked;
  expect(Object.keys(asked?.headers ?? {}).sort()).toEqual(
    ["accept", "authorization", "connection", "content-length", "content-type", "host"].sort(),
  );
  expect(asked?.headers.authorization).toBe(`Bearer ${API_KEY}`);
});

test("an upstream on this machine is found by its name", async () => {
  await using upstream = await startUpstream((response) => sendStream(response, GOOD));
  await using relay = openRelay(upstream.url.replace("127.0.0.1", "localhost"));
  expect(await relay.chat()).toMatchObject({ kind: "answered" });
});

test("an answer does not wait for an upstream that says nothing behind [DONE]", async () => {
  await using upstream = await startUpstream((response) => void response.writeHead(200, EVENTS).write(GOOD));
  await using relay = openRelay(upstream.url);
  expect(await relay.chat()).toMatchObject({ kind: "answered" });
});

const said = (message: string) => ({
  error: { message, type: "invalid_request_error", code: "bad_value", param: "n" },
});

test.each<[number, object]>([
  [401, { kind: "failed", reason: "upstream" }],
  [402, { kind: "failed", reason: "upstream" }],
  [403, { kind: "failed", reason: "upstream" }],
  [404, { kind: "failed", reason: "upstream" }],
  [405, { kind: "failed", reason: "upstream" }],
  [204, { kind: "failed", reason: "upstream" }],
  [500, { kind: "failed", reason: "upstream" }],
  [502, { kind: "failed", reason: "upstream" }],
  [504, { kind: "failed", reason: "upstream" }],
  [429, { kind: "overloaded" }],
  [503, { kind: "overloaded" }],
])(
  "the status %i is told to the operator, and the caller learns nothing of the upstream's words",
  async (status, outcome) => {
    await using upstream = await startUpstream((response) => sendJson(response, said(`key ${API_KEY}`), status));
    await using relay = openRelay(upstream.url);
    const answered = await relay.chat();
    expect(answered).toMatchObject(outcome);
    expect(relay.reported).toMatchObject([
      { detail: { upstream: "acme", model: "acme/chat", outcome: `status_${status}` } },
    ]);
    expect(JSON.stringify([answered, relay.reported])).not.toMatch(/secret|key sk/);
    expect(upstream.asked.length).toBe(1);
  },
);

test("what an upstream refuses of a request is the caller's to read: short, and without key, host and the upstream's own name", async () => {
  const words = `n of their-model-7b must be 1\nat HOST with ${API_KEY} or sk-other-secret-1234 ${"x".repeat(500)}`;
  await using upstream = await startUpstream((response, { headers }) =>
    sendJson(response, said(words.replace("HOST", headers.host ?? "")), 400),
  );
  await using relay = openRelay(upstream.url);
  const refused = await relay.chat({ ...MESSAGES, n: 1 });
  if (refused.kind !== "refused") throw new Error(refused.kind);
  expect(refused.param).toBe("n");
  expect(refused.message).toMatch(/^the upstream refuses the request: n of acme\/chat must be 1 at … with … or … x+…$/);
  expect(refused.message.length).toBeLessThan(400);
  expect(relay.reported).toEqual([]);
});

test.each<[string, unknown, string]>([
  ["Ollama's", { error: "no such tool" }, "the upstream refuses the request: no such tool"],
  ["FastAPI's", { detail: "no such tool" }, "the upstream refuses the request: no such tool"],
  ["vLLM's older", { object: "error", message: "no such tool" }, "the upstream refuses the request: no such tool"],
  ["none", 7, "the upstream refuses the request"],
])("%s words for a refusal are understood", async (_, body, message) => {
  await using upstream = await startUpstream((response) => sendJson(response, body, 422));
  await using relay = openRelay(upstream.url);
  expect(await relay.chat()).toEqual({ kind: "refused", message });
});

test("a redirect is not followed", async () => {
  await using elsewhere = await startUpstream((response) => sendStream(response, GOOD));
  await using upstream = await startUpstream((response) =>
    response.writeHead(307, { location: `${elsewhere.url}/chat/completions` }).end(),
  );
  await using relay = openRelay(upstream.url);
  expect(await relay.chat()).toMatchObject({ kind: "failed", attempts: [{ outcome: "status_307" }] });
  expect(elsewhere.asked).toEqual([]);
});

test.each<[string, Record<string, string>, string]>([
  ["compressed", { ...EVENTS, "content-encoding": "gzip" }, "malformed"],
  ["a page", { "content-type": "text/html" }, "malformed"],
  ["of no type", {}, "malformed"],
])("an answer that is %s is none", async (_, headers, outcome) => {
  await using upstream = await startUpstream((response) => response.writeHead(200, headers).end(GOOD));
  await using relay = openRelay(upstream.url);
  expect(await relay.chat()).toMatchObject({ kind: "failed", attempts: [{ outcome }] });
});

test("an upstream that is not there is tried twice, since nothing was sent", async () => {
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
  await using relay = openRelay(`http://127.0.0.1:${port}/v1`);
  expect(await relay.chat()).toEqual({
    ...{ kind: "failed", reason: "upstream", message: "the upstream cannot be reached" },
    attempts: [1, 2].map(() => ({ at: "acme", outcome: "not_connected", ms: expect.any(Number) })),
  });
  expect(relay.reported).toMatchObject([{ detail: { outcome: "not_connected", code: "ECONNREFUSED" } }]);
});

test("a request that was sent is not sent again, though not a byte came back", async () => {
  await using upstream = await startUpstream((response) => response.socket?.resetAndDestroy());
  await using relay = openRelay(upstream.url);
  expect(await relay.chat()).toMatchObject({ kind: "failed", reason: "upstream", attempts: [{ outcome: "reset" }] });
  expect(upstream.asked.length).toBe(1);
});

test("a connection that is cut in mid-stream leaves no answer", async () => {
  await using upstream = await startUpstream((response) => {
    response.writeHead(200, EVENTS).write(GOOD.replace("data: [DONE]\n\n", ""), () => response.socket?.destroy());
  });
  await using relay = openRelay(upstream.url);
  expect(await relay.chat()).toMatchObject({ kind: "failed", attempts: [{ outcome: "reset" }] });
});

test("what is no HTTP is no answer", async () => {
  await using upstream = await startUpstream((response) => response.socket?.end("HELLO 200\r\n\r\n"));
  await using relay = openRelay(upstream.url);
  expect(await relay.chat()).toMatchObject({ kind: "failed", attempts: [{ outcome: "malformed" }] });
});

test.each<[string, Partial<typeof QUICK>, string | undefined, string]>([
  ["nothing at all", { firstByteMs: 30 }, undefined, "first_byte_timeout"],
  ["its head alone", { firstByteMs: 30 }, "", "first_byte_timeout"],
  ["a part", { betweenChunksMs: 30 }, eventsOf(chunk("x")).replace("data: [DONE]\n\n", ""), "between_chunks_timeout"],
  ["a part, and is given no more time", { wholeMs: 60 }, ": waiting\n\n", "deadline"],
])("an upstream that hangs after %s is left", async (_, timeouts, part, outcome) => {
  const closed = later();
  await using upstream = await startUpstream((response) => {
    response.on("close", () => closed.resolve());
    if (part !== undefined) response.writeHead(200, EVENTS).flushHeaders();
    if (part) response.write(part);
  });
  await using relay = openRelay(upstream.url, { timeouts: { ...QUICK, ...timeouts } });
  expect(await relay.chat()).toMatchObject({ kind: "failed", reason: "deadline", attempts: [{ outcome }] });
  await closed.promise;
});

test("the deadline of the call ends it", async () => {
  await using upstream = await startUpstream(() => {});
  await using relay = openRelay(upstream.url);
  expect(await relay.chat(MESSAGES, { deadlineMs: 30 })).toMatchObject({
    ...{ kind: "failed", reason: "deadline", attempts: [{ outcome: "deadline" }] },
    message: "the upstream's answer was not whole after 30 ms",
  });
});

test("a caller who goes away ends the request upstream, before its answer and in the middle of it", async () => {
  for (const part of [undefined, eventsOf(chunk("x")).replace("data: [DONE]\n\n", "")]) {
    const [arrived, closed] = [later(), later()];
    await using upstream = await startUpstream((response) => {
      response.on("close", () => closed.resolve());
      if (part === undefined) arrived.resolve();
      else response.writeHead(200, EVENTS).write(part);
    });
    await using relay = openRelay(upstream.url);
    const caller = new AbortController();
    const answer = relay.chat(MESSAGES, { signal: caller.signal, onDelta: () => arrived.resolve() });
    await arrived.promise;
    caller.abort();
    expect(await answer).toMatchObject({ kind: "cancelled", attempts: [{ outcome: "cancelled" }] });
    await closed.promise;
    expect(relay.reported).toEqual([]);
  }
});

test("who went away before is not asked for", async () => {
  await using upstream = await startUpstream((response) => sendStream(response, GOOD));
  await using relay = openRelay(upstream.url);
  expect(await relay.chat(MESSAGES, { signal: AbortSignal.abort() })).toMatchObject({ kind: "cancelled" });
  expect(upstream.asked).toEqual([]);
});

test("a reader that fails ends the request, and its failure is passed on", async () => {
  const closed = later();
  await using upstream = await startUpstream((response) => {
    response.on("close", () => closed.resolve());
    response.writeHead(200, EVENTS).write(eventsOf(chunk("x")).replace("data: [DONE]\n\n", ""));
  });
  await using relay = openRelay(upstream.url);
  const failing = () => Promise.reject(new Error("the reader's own"));
  await expect(relay.chat(MESSAGES, { onDelta: failing })).rejects.toThrow("the reader's own");
  await closed.promise;
  expect(await relay.chat(MESSAGES, { deadlineMs: 20 })).toMatchObject({ kind: "failed" }); // Its place is free again.
});

test("a slow reader slows the upstream down, and its time is not the upstream's", async () => {
  let [sentBytes, stalled] = [0, false];
  const piece = eventsOf(chunk("x".repeat(60_000))).replace("data: [DONE]\n\n", "");
  await using upstream = await startUpstream((response) => {
    response.writeHead(200, EVENTS);
    const write = () => {
      for (stalled = false; !stalled && sentBytes < 48_000_000; sentBytes += piece.length)
        stalled = !response.write(piece);
      if (!stalled) response.end(GOOD);
    };
    response.on("drain", write);
    write();
  });
  await using relay = openRelay(upstream.url, { timeouts: { ...QUICK, betweenChunksMs: 500 } });
  const gate = later();
  const answer = relay.chat(MESSAGES, { onDelta: () => gate.promise });
  const since = performance.now();
  // As long as twice the time between chunks, and until nothing moves.
  for (let before = -1; performance.now() - since < 1_000 || before !== sentBytes; ) {
    before = sentBytes;
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(relay.deltas.length).toBe(1);
  expect(sentBytes).toBeLessThan(24_000_000);
  gate.resolve();
  expect(await answer).toMatchObject({ kind: "answered" });
  expect(relay.deltas.length).toBeGreaterThan(700);
});

test("an endless stream ends at its limit", async () => {
  const piece = Buffer.from(`: ${"x".repeat(262_144)}\n`);
  await using upstream = await startUpstream((response) => {
    response.writeHead(200, EVENTS);
    const write = () => {
      while (!response.destroyed && response.write(piece));
    };
    response.on("drain", write);
    write();
  });
  await using relay = openRelay(upstream.url);
  expect(await relay.chat()).toMatchObject({ kind: "failed", attempts: [{ outcome: "too_large" }] });
});

test("over its concurrency an upstream is overloaded, and nothing is sent", async () => {
  const [arrived, finish] = [later(), later()];
  await using upstream = await startUpstream(async (response) => {
    arrived.resolve();
    await finish.promise;
    sendStream(response, GOOD);
  });
  await using relay = openRelay(upstream.url, { concurrency: 1 });
  const first = relay.chat();
  await arrived.promise;
  expect(await relay.chat()).toEqual({ kind: "overloaded", message: "the upstream acme has no place free" });
  finish.resolve();
  expect(await first).toMatchObject({ kind: "answered" });
  expect(upstream.asked.length).toBe(1);
});

test("an upstream that asks for time gets it, up to a minute", async () => {
  await using upstream = await startUpstream((response, _, count) =>
    count === 1 ? sendJson(response, {}, 429, { "retry-after": "3600" }) : sendStream(response, GOOD),
  );
  await using relay = openRelay(upstream.url);
  expect(await relay.chat()).toMatchObject({ kind: "overloaded" });
  relay.clock.advance(59_999);
  expect(await relay.chat()).toMatchObject({ kind: "overloaded", message: expect.stringContaining("left alone") });
  expect(upstream.asked.length).toBe(1);
  relay.clock.advance(1);
  expect(await relay.chat()).toMatchObject({ kind: "answered" });
});

test("an upstream that is away five times in a row is left alone; one whose answers are bad is not", async () => {
  await using upstream = await startUpstream((response, { body }) =>
    body.seed === 1 ? response.socket?.destroy() : sendStream(response, eventsOf()),
  );
  await using relay = openRelay(upstream.url);
  for (let i = 0; i < 10; i++) expect(await relay.chat()).toMatchObject({ kind: "failed" });
  for (let i = 0; i < 5; i++) expect(await relay.chat({ ...MESSAGES, seed: 1 })).toMatchObject({ kind: "failed" });
  expect(await relay.chat()).toMatchObject({ kind: "overloaded" });
  expect(upstream.asked.length).toBe(15);
});

test("a revision that is not configured is not answered by another", async () => {
  await using upstream = await startUpstream((response) => sendStream(response, GOOD));
  await using relay = openRelay(upstream.url);
  await using newer = openRelay(upstream.url, { models: [{ ...RELAYED_MODEL, version: "2" }] });
  const options = {
    seed: 0,
    deadlineMs: 1_000,
    signal: new AbortController().signal,
    isStreamed: true,
    onDelta: () => {},
  };
  const call = { operation: "chat", body: MESSAGES } as const;
  expect(await newer.relay.generate(relay.model, call, options)).toMatchObject({ kind: "overloaded" });
  expect(await newer.relay.embed(relay.model, {}, options)).toMatchObject({ kind: "overloaded" });
  expect(newer.relay.fault(relay.model, "chat", MESSAGES)).toMatchObject({ param: "model" });
  expect(upstream.asked).toEqual([]);
  expect(upstreamConfig(upstream.url).models[0]).toEqual(RELAYED_MODEL);
});
