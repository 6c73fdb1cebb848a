/**
 * `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that is sent twice is answered twice and run
 * once. Its answer is kept for ten minutes, sealed, in memory; that it was run is kept for a day, durably.
 */
import { createHash, createHmac } from "node:crypto";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { mayHaveRun, ServiceError } from "../platform/errors.ts";
import type { Random } from "../platform/random.ts";
import type { IdempotencyStore, Mark } from "./idempotency-store.ts";
import { createSealing, Recording } from "./recording.ts";

/** An answer of more than this is not kept, and all that are kept together are no more than that. */
const ANSWER_LIMIT_BYTES = 4 * 1024 * 1024;
const MEMORY_LIMIT_BYTES = 64 * 1024 * 1024;
const ANSWERS_KEPT = 10_000;
const KEPT_MS = 600_000;
const SWEEP_MS = 60_000;
/** Requests that wait for the answer of the one that runs. */
const WAITING_MOST = 8;

export type Idempotency = {
  /**
   * What `answer` gives, run once for an account's `Idempotency-Key`: the same request again gets the same response, in
   * whole, while the first still streams or within ten minutes of it; later, and where a crash came between, it is refused
   * with the id of the receipt. The work must end with its stream's `cancel`, not with the connection that asked for it.
   */
  run(request: IdempotentRequest, answer: () => Promise<Response>): Promise<Response>;
  close(): void;
};

export type IdempotentRequest = {
  payerTag: string;
  /** The header; without one, every request is its own. */
  key: string | undefined;
  /** What `requestDigest` gives. */
  digest: Uint8Array;
};

export type IdempotencyParts = {
  store: IdempotencyStore;
  clock: Clock;
  random: Random;
  /** Kept elsewhere: with the database alone, neither keys nor requests can be guessed at. */
  secret: Uint8Array;
  memoryLimitBytes?: number;
  answersKept?: number;
};

/** What makes a request the same: its method, its path, its body. */
export function requestDigest(method: string, path: string, body: Uint8Array): Uint8Array {
  return createHash("sha256").update(`${method} ${path}\n`).update(body).digest();
}

const EMPTY = () => new Blob([]).stream();

type Head = { status: number; headers: [string, string][] };
type Body = ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer>;
/** An answer and its body, which is for the first reader alone. */
type Begun = { head: Head; body: Body };
/** Answers that come piece by piece. */
const STREAMED = /^(text\/event-stream|application\/x-ndjson)/;

function responseOf({ status, headers }: Head, body: Body): Response {
  return new Response(status === 204 || status === 304 ? null : body, { status, headers });
}

type Entry = {
  request: Buffer;
  startedMs: number;
  head: Promise<Head>;
  isAnswered: boolean;
  recording: Recording;
  waiting: number;
};

export function createIdempotency(parts: IdempotencyParts): Idempotency {
  const { store, clock, random, secret } = parts;
  const { memoryLimitBytes = MEMORY_LIMIT_BYTES, answersKept = ANSWERS_KEPT } = parts;
  const sealing = createSealing(random);
  /** By the key's name, the oldest first. */
  const entries = new Map<string, Entry>();
  let usedBytes = 0;
  const timer = setInterval(() => sweep(answersKept), SWEEP_MS).unref();

  const room = {
    take(recording: Recording, sizeBytes: number): boolean {
      if (recording.sizeBytes + sizeBytes > ANSWER_LIMIT_BYTES) return false;
      for (const [name, entry] of entries) {
        if (usedBytes + sizeBytes <= memoryLimitBytes) break;
        if (entry.recording.hasEnded) forget(name, entry.recording);
      }
      if (usedBytes + sizeBytes > memoryLimitBytes) return false;
      usedBytes += sizeBytes;
      return true;
    },
    giveBack(sizeBytes: number): void {
      usedBytes -= sizeBytes;
    },
  };

  function forget(name: string, recording: Recording): void {
    if (entries.get(name)?.recording === recording) entries.delete(name);
    recording.drop();
  }

  /** Forgets answers that are over ten minutes old, and the oldest where there are more than `most`. */
  function sweep(most: number): void {
    const nowMs = clock.nowMs();
    for (const [name, entry] of entries)
      if (entry.recording.hasEnded && (nowMs - entry.startedMs > KEPT_MS || entries.size > most))
        forget(name, entry.recording);
  }

  const isKept = ({ recording, startedMs }: Entry) =>
    recording.isReadable && (!recording.hasEnded || clock.nowMs() - startedMs <= KEPT_MS);

  const hmac = (label: string, ...bytes: (string | Uint8Array)[]): Buffer => {
    const mac = createHmac("sha256", secret).update(`idempotency ${label}\n`);
    for (const part of bytes) mac.update(part);
    return mac.digest();
  };

  /** What the disk refuses here is no reason to refuse an answer: the mark stays, and says that the outcome is not known. */
  function note(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
    }
  }

  /** Runs the work and has its answer recorded; resolves once that begins. */
  async function begin(name: Buffer, recording: Recording, answer: () => Promise<Response>): Promise<Begun> {
    let response: Response;
    try {
      response = await answer();
    } catch (error) {
      // Of what was refused nothing came, and it may be sent again; of the rest there is a receipt, or nobody knows.
      const receiptId = error instanceof ServiceError ? error.receiptId : undefined;
      if (!mayHaveRun(error)) note(() => store.remove(name));
      else if (receiptId !== undefined) note(() => store.settle(name, receiptId));
      throw error;
    }
    const receiptId = response.headers.get("x-receipt-id");
    const isRefusal = receiptId === null && response.status >= 400;
    if (receiptId !== null) note(() => store.settle(name, receiptId));
    else if (isRefusal) note(() => store.remove(name));
    const head = { status: response.status, headers: [...response.headers] };
    const end = () => {
      if (isRefusal || !recording.isReadable) forget(name.toString("hex"), recording);
    };
    if (STREAMED.test(response.headers.get("content-type") ?? "")) {
      void recording.record(response.body ?? EMPTY()).then(end);
      return { head, body: recording.stream("first") };
    }
    const bytes = new Uint8Array(await response.arrayBuffer());
    recording.keep(bytes);
    end();
    return { head, body: bytes };
  }

  async function again(name: Buffer, entry: Entry): Promise<Response> {
    if (!entry.isAnswered && entry.waiting >= WAITING_MOST)
      throw new ServiceError("unavailable", "this request is still being answered, and others wait for it: try later");
    entry.waiting++;
    try {
      const { status, headers } = await entry.head;
      if (!entry.recording.isReadable) throw notKept(store.find(name, nowSeconds(clock)));
      const replayed = responseOf(
        { status, headers: headers.filter(([name]) => !/ratelimit/.test(name)) },
        entry.recording.stream("another"),
      );
      replayed.headers.set("idempotent-replayed", "true");
      return replayed;
    } finally {
      entry.waiting--;
    }
  }

  return {
    async run({ payerTag, key, digest }, answer) {
      if (key === undefined) return answer();
      if (!/^[\x20-\x7e]{1,255}$/.test(key))
        throw new ServiceError("invalid_request", "an Idempotency-Key has 1 to 255 characters of ASCII", {
          param: "Idempotency-Key",
        });
      const name = hmac("key", payerTag, " ", key);
      const request = hmac("request", digest);
      const known = entries.get(name.toString("hex"));
      const mark = store.find(name, nowSeconds(clock));
      const used = known ?? mark;
      if (used !== undefined && !request.equals(used.request)) throw mismatch();
      if (known !== undefined && isKept(known)) return again(name, known);
      if (mark !== undefined) throw conflict(mark.receiptId);

      if (known !== undefined) forget(name.toString("hex"), known.recording);
      if (entries.size >= answersKept) sweep(answersKept - 1);
      if (entries.size >= answersKept)
        throw new ServiceError("unavailable", "more requests with an Idempotency-Key run than can be kept: try later");
      store.put(name, request, nowSeconds(clock));
      const recording = new Recording(sealing, room);
      const begun = begin(name, recording, answer);
      const head = begun.then((one) => one.head);
      const entry = { request, startedMs: clock.nowMs(), head, isAnswered: false, recording, waiting: 0 };
      entries.set(name.toString("hex"), entry);
      try {
        const [{ body }, one] = await Promise.all([begun, head]);
        return responseOf(one, body);
      } catch (error) {
        // A failure that a receipt tells of is an answer too.
        if (error instanceof ServiceError && error.receiptId !== undefined) await recording.record(EMPTY());
        else forget(name.toString("hex"), recording);
        throw error;
      } finally {
        entry.isAnswered = true;
      }
    },

    close() {
      clearInterval(timer);
      for (const [name, entry] of entries) forget(name, entry.recording);
    },
  };
}

function mismatch(): ServiceError {
  return new ServiceError(
    "idempotency_mismatch",
    "this Idempotency-Key was used for another request: send a new key with a new request",
    { param: "Idempotency-Key" },
  );
}

/** The answer that was waited for is too large to be given twice, or was a refusal of which nothing came. */
function notKept(mark: Mark | undefined): ServiceError {
  if (mark !== undefined) return conflict(mark.receiptId);
  return new ServiceError("unavailable", "the request that this one waited for was refused: send it again");
}

function conflict(receiptId: string | undefined): ServiceError {
  const outcome =
    receiptId === undefined
      ? "what came of it is not known: the log may have a receipt of it"
      : `its receipt is ${receiptId}, and its answer is not kept any more`;
  return new ServiceError(
    "idempotency_conflict",
    `a request with this Idempotency-Key was taken before; ${outcome}. To run it again, send a new key`,
    receiptId === undefined ? {} : { receiptId },
  );
}
