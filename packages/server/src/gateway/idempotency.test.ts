import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { closeDatabase, type Database, openDatabase } from "../platform/database.ts";
import { ServiceError } from "../platform/errors.ts";
import { createSystemRandom } from "../platform/random.ts";
import { createIdempotency, type Idempotency, requestDigest } from "./idempotency.ts";
import { createIdempotencyStore } from "./idempotency-store.ts";

const random = createSystemRandom();
const secret = random(32);
const RECEIPT = "ab".repeat(32);
const BODY = new TextEncoder().encode('{"prompt":"the secret of the house"}');
const digest = requestDigest("POST", "/v1/chat/completions", BODY);
const asked = { payerTag: "00".repeat(16), key: "retry-1", digest };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "idempotency-"));
});
afterAll(() => rm(folder, { recursive: true }));

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

type Opened = { idempotency: Idempotency; database: Database.Database; path: string; pass(ms: number): void };

let count = 0;
function open({
  path = join(folder, String(count++)),
  memoryLimitBytes = 1_000_000,
  answersKept = 10_000,
} = {}): Opened {
  let nowMs = 1_790_000_000_000;
  const database = openDatabase(path);
  const store = createIdempotencyStore(database);
  const clock = { nowMs: () => nowMs };
  const idempotency = createIdempotency({ store, clock, random, secret, memoryLimitBytes, answersKept });
  closers.push(() => {
    idempotency.close();
    if (database.open) closeDatabase(database);
  });
  return {
    idempotency,
    database,
    path,
    pass: (ms) => {
      nowMs += ms;
    },
  };
}

/** Work that counts how often it was done. */
function work(make: () => Response | Promise<Response> = () => answered("the answer")) {
  const done = {
    times: 0,
    run: async () => {
      done.times++;
      return make();
    },
  };
  return done;
}

function answered(body: BodyInit, headers: Record<string, string> = {}): Response {
  const type = body instanceof ReadableStream ? "text/event-stream" : "application/json";
  const common = { "content-type": type, "x-receipt-id": RECEIPT, "x-ratelimit-limit-requests": "7" };
  return new Response(body, { headers: { ...common, ...headers } });
}

/** A stream that is fed by hand. */
function fed() {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let cancelled = 0;
  const body = new ReadableStream<Uint8Array>({
    start: (given) => {
      controller = given;
    },
    cancel: () => void cancelled++,
  });
  return {
    body,
    feed: (text: string) => controller?.enqueue(new TextEncoder().encode(text)),
    end: () => controller?.close(),
    fail: () => controller?.error(new Error("the upstream is gone")),
    cancelled: () => cancelled,
  };
}

async function readOne(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string | undefined> {
  const { value } = await reader.read();
  return value === undefined ? undefined : new TextDecoder().decode(value);
}

function readerOf({ body }: Response): ReadableStreamDefaultReader<Uint8Array> {
  if (body === null) throw new Error("a body was expected");
  return body.getReader();
}

const conflict = (receiptId?: string) => expect.objectContaining({ code: "idempotency_conflict", receiptId });

test("a request that is sent again is answered again and run once: status, headers and body", async () => {
  const { idempotency } = open();
  const { run } = work(() => new Response("made", { status: 201, headers: { "x-receipt-id": RECEIPT, "x-a": "b" } }));
  const one = work(run);
  const first = await idempotency.run(asked, one.run);
  const second = await idempotency.run(asked, one.run);
  expect(one.times).toBe(1);
  for (const response of [first, second]) {
    expect([response.status, await response.text()]).toEqual([201, "made"]);
    expect([...response.headers]).toEqual(
      expect.arrayContaining([
        ["x-a", "b"],
        ["x-receipt-id", RECEIPT],
      ]),
    );
  }
  expect([first, second].map(({ headers }) => headers.get("idempotent-replayed"))).toEqual([null, "true"]);
});

test("what is left of a limit is not said again", async () => {
  const { idempotency } = open();
  await idempotency.run(asked, work().run);
  expect((await idempotency.run(asked, work().run)).headers.get("x-ratelimit-limit-requests")).toBe(null);
});

test("without the header, with another one, and of another account, a request is its own", async () => {
  const { idempotency } = open();
  const each = work();
  const others = [{ key: undefined }, { key: undefined }, {}, { key: "retry-2" }, { payerTag: "11".repeat(16) }];
  for (const other of others) await idempotency.run({ ...asked, ...other }, each.run);
  expect(each.times).toBe(others.length);
  for (const key of ["", "x".repeat(256), "é"])
    await expect(idempotency.run({ ...asked, key }, each.run)).rejects.toMatchObject({ code: "invalid_request" });
});

test("the key of one request is refused to another: another body, another path, also after a restart", async () => {
  const first = open();
  await first.idempotency.run(asked, work().run);
  const none = work();
  const others = [
    requestDigest("POST", "/v1/completions", BODY),
    requestDigest("POST", "/v1/chat/completions", BODY.slice(1)),
  ];
  const refusal = expect.objectContaining({ code: "idempotency_mismatch", param: "Idempotency-Key" });
  for (const other of others)
    await expect(first.idempotency.run({ ...asked, digest: other }, none.run)).rejects.toEqual(refusal);
  first.idempotency.close();
  closeDatabase(first.database);
  const again = open({ path: first.path });
  for (const other of others)
    await expect(again.idempotency.run({ ...asked, digest: other }, none.run)).rejects.toEqual(refusal);
  expect(none.times).toBe(0);
});

test("while the first runs, the second waits for its answer; too many that wait are sent away", async () => {
  const { idempotency } = open();
  let answer: (response: Response) => void = () => {};
  const one = work(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  const waiting = Array.from({ length: 9 }, () => idempotency.run(asked, one.run));
  await expect(idempotency.run(asked, one.run)).rejects.toMatchObject({ code: "unavailable" });
  answer(answered("late"));
  expect(await Promise.all(waiting.map(async (response) => (await response).text()))).toEqual(Array(9).fill("late"));
  expect(one.times).toBe(1);
});

test("a stream is given again from its beginning while it still comes, and to its end though the first reader went away", async () => {
  const { idempotency } = open();
  const { body, feed, end, cancelled } = fed();
  const one = work(() => answered(body));
  const first = readerOf(await idempotency.run(asked, one.run));
  feed("a");
  expect(await readOne(first)).toBe("a");
  const second = readerOf(await idempotency.run(asked, one.run));
  expect(await readOne(second)).toBe("a");
  await first.cancel();
  feed("b");
  expect(await readOne(second)).toBe("b");
  end();
  expect(await readOne(second)).toBe(undefined);
  expect(await (await idempotency.run(asked, one.run)).text()).toBe("ab");
  expect([one.times, cancelled()]).toEqual([1, 0]);
});

test("after ten minutes, and after a restart, a request that was run is refused with its receipt, for a day", async () => {
  const first = open();
  const one = work();
  await (await first.idempotency.run(asked, one.run)).text();
  first.pass(600_000);
  expect(await (await first.idempotency.run(asked, one.run)).text()).toBe("the answer");
  first.pass(1);
  await expect(first.idempotency.run(asked, one.run)).rejects.toEqual(conflict(RECEIPT));
  first.idempotency.close();
  closeDatabase(first.database);
  const again = open({ path: first.path });
  await expect(again.idempotency.run(asked, one.run)).rejects.toEqual(conflict(RECEIPT));
  again.pass(86_400_000);
  await expect(again.idempotency.run(asked, one.run)).rejects.toEqual(conflict(RECEIPT));
  expect(one.times).toBe(1);
  again.pass(1_000);
  await again.idempotency.run(asked, one.run);
  expect(one.times).toBe(2);
});

test("a request that was under way when the process ended is not run again, and what came of it is not claimed", async () => {
  const { idempotency, database, path } = open();
  void idempotency.run(asked, () => new Promise(() => {}));
  closeDatabase(database);
  const again = open({ path });
  const none = work();
  await expect(again.idempotency.run(asked, none.run)).rejects.toEqual(conflict(undefined));
  expect(none.times).toBe(0);
});

test("the mark is durable before the work begins", async () => {
  const { idempotency, database } = open();
  const marks = () => database.prepare("SELECT receipt_id FROM idempotency_keys").all([]);
  await idempotency.run(asked, async () => {
    expect(marks()).toEqual([{ receipt_id: null }]);
    expect(database.inTransaction).toBe(false);
    return answered("the answer");
  });
  expect(marks()).toEqual([{ receipt_id: RECEIPT }]);
});

const REFUSALS: [what: string, error: unknown, times: number, second: unknown][] = [
  ["refused before it ran", new ServiceError("rate_limited", "later"), 2, { code: "rate_limited" }],
  ["refused for its form", new ServiceError("invalid_request", "no"), 2, { code: "invalid_request" }],
  ["refused for want of room", new ServiceError("unavailable", "full"), 2, { code: "unavailable" }],
  [
    "failed with a receipt",
    new ServiceError("node_failed", "crashed", { receiptId: RECEIPT }),
    1,
    { code: "node_failed", receiptId: RECEIPT },
  ],
  ["failed in us", new Error("a bug"), 1, { code: "idempotency_conflict", receiptId: undefined }],
  [
    "lost on the log's disk",
    new ServiceError("unavailable", "disk", { isOutcomeUnknown: true }),
    1,
    { code: "idempotency_conflict" },
  ],
];

test.each(REFUSALS)(
  "a request that %s is run again only where nothing can have come of it",
  async (_, error, times, second) => {
    const { idempotency } = open();
    const one = work(() => Promise.reject(error));
    await expect(idempotency.run(asked, one.run)).rejects.toBe(error);
    await expect(idempotency.run(asked, one.run)).rejects.toMatchObject(second as object);
    expect(one.times).toBe(times);
  },
);

test("a refusal that is returned, not thrown, is run again too", async () => {
  const { idempotency } = open();
  const one = work(() => new Response("no", { status: 400 }));
  expect(await (await idempotency.run(asked, one.run)).text()).toBe("no");
  expect(await (await idempotency.run(asked, one.run)).text()).toBe("no");
  expect(one.times).toBe(2);
});

test("whoever waited for an answer that is not kept is told so", async () => {
  const { idempotency } = open({ memoryLimitBytes: 10_000 });
  const pair = (key: string, one: ReturnType<typeof work>) =>
    Promise.allSettled([0, 1].map(() => idempotency.run({ ...asked, key }, one.run)));
  const [, large] = await pair(
    "large",
    work(() => answered("x".repeat(20_000))),
  );
  expect(large).toMatchObject({ status: "rejected", reason: { code: "idempotency_conflict", receiptId: RECEIPT } });
  const [, none] = await pair(
    "none",
    work(() => new Response("no", { status: 400 })),
  );
  expect(none).toMatchObject({ status: "rejected", reason: { code: "unavailable" } });
});

test("a stream that breaks off breaks off for its reader, and is refused with its receipt after that", async () => {
  const { idempotency } = open();
  const { body, feed, fail } = fed();
  const one = work(() => answered(body));
  const reader = readerOf(await idempotency.run(asked, one.run));
  feed("a");
  expect(await readOne(reader)).toBe("a");
  fail();
  await expect(reader.read()).rejects.toThrow("the upstream is gone");
  await expect(idempotency.run(asked, one.run)).rejects.toEqual(conflict(RECEIPT));
});

/** A body of `chunkCount` pieces of a kilobyte, made as it is read. */
function pieces(chunkCount: number) {
  const made = { count: 0, cancelled: 0 };
  const body = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        if (made.count === chunkCount) return controller.close();
        controller.enqueue(new Uint8Array(1_000).fill(made.count++ % 251));
      },
      cancel: () => void made.cancelled++,
    },
    { highWaterMark: 0 },
  );
  return { body, made };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("an answer that outgrows the memory goes to its first reader alone, no faster than that one reads", async () => {
  const { idempotency } = open({ memoryLimitBytes: 10_000 });
  const { body, made } = pieces(100);
  const one = work(() => answered(body));
  const first = await idempotency.run(asked, one.run);
  await settled();
  expect(made.count).toBeLessThan(20);
  await expect(idempotency.run(asked, one.run)).rejects.toEqual(conflict(RECEIPT));
  const bytes = new Uint8Array(await first.arrayBuffer());
  expect(bytes).toEqual(Uint8Array.from({ length: 100_000 }, (_, i) => Math.floor(i / 1_000) % 251));
  await expect(idempotency.run(asked, one.run)).rejects.toEqual(conflict(RECEIPT));
  // What it took is free again.
  const small = work();
  await (await idempotency.run({ ...asked, key: "small" }, small.run)).text();
  expect(await (await idempotency.run({ ...asked, key: "small" }, small.run)).text()).toBe("the answer");
});

test("an answer that comes whole and is too large to keep is given once, whole", async () => {
  const { idempotency } = open({ memoryLimitBytes: 10_000 });
  const one = work(() => answered("x".repeat(20_000)));
  expect(await (await idempotency.run(asked, one.run)).text()).toHaveLength(20_000);
  await expect(idempotency.run(asked, one.run)).rejects.toEqual(conflict(RECEIPT));
  const small = work();
  for (let i = 0; i < 2; i++) await idempotency.run({ ...asked, key: "small" }, small.run);
  expect(small.times).toBe(1);
});

test("where nobody reads what cannot be kept, the work is told to end", async () => {
  const { idempotency } = open({ memoryLimitBytes: 10_000 });
  const { body, made } = pieces(100);
  const first = await idempotency.run(asked, work(() => answered(body)).run);
  await settled();
  await first.body?.cancel();
  await settled();
  expect(made.cancelled).toBe(1);
  expect(made.count).toBeLessThan(20);
});

test("the memory is bounded: newer answers take the place of older ones, which are refused with their receipts", async () => {
  const { idempotency } = open({ memoryLimitBytes: 10_000 });
  const one = work(() => answered("x".repeat(4_000)));
  for (const key of ["a", "b", "c"]) await (await idempotency.run({ ...asked, key }, one.run)).text();
  await expect(idempotency.run({ ...asked, key: "a" }, one.run)).rejects.toEqual(conflict(RECEIPT));
  for (const key of ["b", "c"])
    expect((await idempotency.run({ ...asked, key }, one.run)).headers.get("idempotent-replayed")).toBe("true");
  expect(one.times).toBe(3);
});

test("of more answers than are kept the oldest gives way, and none is refused for it", async () => {
  const { idempotency } = open({ answersKept: 5 });
  const one = work(() => answered("x"));
  for (let i = 0; i <= 5; i++) await (await idempotency.run({ ...asked, key: `k${i}` }, one.run)).text();
  await expect(idempotency.run({ ...asked, key: "k0" }, one.run)).rejects.toEqual(conflict(RECEIPT));
  for (const key of ["k1", "k5"]) expect((await idempotency.run({ ...asked, key }, one.run)).status).toBe(200);
  expect(one.times).toBe(6);
});

test("the database has neither the key nor the request, nor digests of them that could be guessed at", async () => {
  const { idempotency, database, path } = open();
  await idempotency.run(asked, work().run);
  closeDatabase(database);
  const file = await readFile(path);
  expect(file.includes(RECEIPT)).toBe(true);
  for (const secretBytes of [asked.key, asked.payerTag, Buffer.from(digest), Buffer.from(BODY), "the answer"])
    expect(file.includes(secretBytes)).toBe(false);
});

test("where the disk refuses the mark, nothing is run", async () => {
  const { idempotency, database } = open();
  const pages = (database.pragma("page_count") as { page_count: number }[])[0]?.page_count ?? 0;
  database.pragma(`max_page_count = ${pages}`);
  const one = work();
  const all = Array.from({ length: 100 }, (_, i) => idempotency.run({ ...asked, key: `k${i}` }, one.run));
  const outcomes = await Promise.allSettled(all);
  const refused = outcomes.filter(({ status }) => status === "rejected");
  expect(refused.length).toBeGreaterThan(0);
  expect(one.times).toBe(100 - refused.length);
});
