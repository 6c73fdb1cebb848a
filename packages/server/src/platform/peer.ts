/** Another role of this network, asked over HTTP on connections that are kept: bounded in time, and exact in whether it was asked. */
import { Readable } from "node:stream";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { hex } from "@tallystick/protocol";
import { Pool } from "undici";
import { tlsKeyOf } from "./tls.ts";

export type PeerAnswer = {
  status: number;
  /** By name in lower case; of one that came twice, nothing. */
  headers: Record<string, string | undefined>;
  body: AsyncIterable<Uint8Array>;
};

/** A request that got no answer. `isSent` is false only where no byte of it can have left this machine. */
export class PeerError extends Error {
  override name = "PeerError";
  readonly isSent: boolean;

  constructor(message: string, isSent: boolean, cause: unknown) {
    super(message, { cause });
    this.isSent = isSent;
  }
}

export type PeerRequest = {
  path: string;
  headers: Record<string, string>;
  body: Uint8Array;
  signal?: AbortSignal;
  /** Until the answer begins, and between two pieces of it. */
  timeoutMs: number;
};

export type Peer = {
  /** A POST. Throws a PeerError; so does the answer's body where it breaks off. */
  post(request: PeerRequest): Promise<PeerAnswer>;
  /** A GET, which may be sent twice. Throws a PeerError, as does the body. */
  get(request: Omit<PeerRequest, "body">): Promise<PeerAnswer>;
  /** Lets what is under way end, for a while. */
  close(): Promise<void>;
};

const CONNECT_MS = 3_000;
/** How long what is under way may take to end once it is closed. */
const CLOSE_MS = 5_000;
/** More requests at once than that wait for a connection. */
const CONNECTIONS = 64;

/**
 * Opens the role at `url`, an origin. Where `heldTo` names a key, the SHA-256 of its SubjectPublicKeyInfo, who is there has to
 * end TLS by that key, beside having a certificate that is trusted.
 */
export function openPeer(url: string, heldTo: () => Uint8Array | undefined = () => undefined): Peer {
  let key = heldTo();
  let pool = openPool(url, key);
  const leaving = new Set<Promise<void>>();

  /** The connections by the key that is due now. Those by another one are used no more. */
  function connections(): Pool {
    const due = heldTo();
    if (due === key || (due !== undefined && key !== undefined && hex(due) === hex(key))) return pool;
    const left: Promise<void> = closePool(pool).finally(() => leaving.delete(left));
    leaving.add(left);
    key = due;
    pool = openPool(url, key);
    return pool;
  }

  const times = (timeoutMs: number, signal: AbortSignal | undefined) => ({
    ...{ headersTimeout: timeoutMs, bodyTimeout: timeoutMs },
    ...(signal === undefined ? {} : { signal }),
  });
  const failureOf = (cause: unknown, isSent: boolean) =>
    new PeerError(`${url} gave no answer: ${cause instanceof Error ? cause.message : cause}`, isSent, cause);
  return {
    async post({ path, headers, body, signal, timeoutMs }) {
      let isSent = false;
      // It is drawn from when a connection is there and the request is being written: before that, nobody was asked.
      const written = async function* () {
        isSent = true;
        yield body;
      };
      const failure = (cause: unknown) => failureOf(cause, isSent);
      try {
        const answer = await connections().request({
          method: "POST",
          path,
          headers: { ...headers, "content-length": String(body.length) },
          body: Readable.from(written(), { objectMode: false }),
          ...times(timeoutMs, signal),
        });
        return { status: answer.statusCode, headers: singles(answer.headers), body: pieces(answer.body, failure) };
      } catch (cause) {
        throw failure(cause);
      }
    },
    async get({ path, headers, signal, timeoutMs }) {
      const failure = (cause: unknown) => failureOf(cause, true);
      try {
        const answer = await connections().request({ method: "GET", path, headers, ...times(timeoutMs, signal) });
        return { status: answer.statusCode, headers: singles(answer.headers), body: pieces(answer.body, failure) };
      } catch (cause) {
        throw failure(cause);
      }
    },
    async close() {
      await Promise.all([closePool(pool), ...leaving]);
    },
  };
}

function openPool(url: string, key: Uint8Array | undefined): Pool {
  const connect = {
    timeout: CONNECT_MS,
    // A session that is taken up again is not looked at again: it may be of a time at which no key was due.
    ...(key !== undefined && { maxCachedSessions: 0, checkServerIdentity: identityBy(key) }),
  };
  return new Pool(url, { connections: CONNECTIONS, pipelining: 1, connect });
}

function identityBy(key: Uint8Array) {
  return (host: string, certificate: PeerCertificate): Error | undefined => {
    const fault = checkServerIdentity(host, certificate);
    if (fault !== undefined || hex(tlsKeyOf(certificate.raw)) === hex(key)) return fault;
    return new Error("its TLS key is not the one in its evidence");
  };
}

async function closePool(pool: Pool): Promise<void> {
  const timer = setTimeout(() => void pool.destroy(), CLOSE_MS);
  await pool.close().catch(() => {}); // What is under way was told of it.
  clearTimeout(timer);
}

function singles(headers: Record<string, string | string[] | undefined>): PeerAnswer["headers"] {
  const named = Object.entries(headers).map(([name, value]) => [name, typeof value === "string" ? value : undefined]);
  return Object.fromEntries(named);
}

async function* pieces(body: AsyncIterable<Uint8Array>, failure: (cause: unknown) => PeerError) {
  try {
    for await (const piece of body) yield piece;
  } catch (cause) {
    throw failure(cause);
  }
}

/** The whole of an answer, `limitBytes` at most. */
export async function readAll({ body }: PeerAnswer, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) throw new PeerError(`an answer has more than ${limitBytes} bytes`, true, undefined);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
