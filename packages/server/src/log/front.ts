/**
 * In front of the HTTP server: plain GETs of the log's files are answered on the socket, and everything else, with its
 * bytes, is the server's. A connection stays here while each of its requests came whole and is plain; from the first that
 * is not, the server has it for good, so that no answer can overtake another.
 */
import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { Server as TlsServer } from "node:tls";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { type Answer, acceptsGzip, type LogReads } from "./reads.ts";

/** A longer head of a request is left to the server, which has limits of its own. */
const HEAD_BYTES = 4_096;

export type FrontOptions = {
  reads: LogReads;
  clock: Clock;
  /** How long a connection may be silent, or its client take nothing of an answer. */
  idleMs: number;
};

/** The connections that are not the server's, which closes its own. */
export type Front = {
  closeIdleConnections(): void;
  closeAllConnections(): void;
};

/** Takes the connections of `server`, of node:http or node:https, before it does. */
export function startFront(server: EventEmitter, { reads, clock, idleMs }: FrontOptions): Front {
  const event = server instanceof TlsServer ? "secureConnection" : "connection";
  const listeners = server.listeners(event);
  server.removeAllListeners(event);
  const connections = new Set<Connection>();
  server.on(event, (socket: Socket) => {
    const leave = () => connections.delete(connection);
    const handOver = () => {
      leave();
      for (const listener of listeners) Reflect.apply(listener, server, [socket]);
    };
    const connection = new Connection(socket, { reads, clock, idleMs, handOver, leave });
    connections.add(connection);
  });
  const close = (which: (connection: Connection) => boolean) => {
    for (const connection of connections) if (which(connection)) connection.close();
  };
  return {
    closeIdleConnections: () => close((connection) => connection.isIdle),
    closeAllConnections: () => close(() => true),
  };
}

type ConnectionOptions = FrontOptions & { handOver(): void; leave(): void };

class Connection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  /** What was received and not answered. */
  #rest: Buffer = Buffer.alloc(0);
  /** A file is being read, or the client has not taken what it was sent. */
  #isWaiting = false;
  /** The client has said all that it will. */
  #hasEnded = false;
  /** The headers of the last plain request: a client sends the same again and again. */
  #fields: string | undefined;
  #acceptsGzip = false;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.setTimeout(options.idleMs);
    socket.on("data", this.#receive);
    socket.on("end", this.#end);
    socket.on("timeout", this.#timeout);
    socket.on("error", ignore);
    socket.on("close", options.leave);
  }

  get isIdle(): boolean {
    return !this.#isWaiting && this.#socket.writableLength === 0;
  }

  close(): void {
    this.#socket.destroy();
  }

  readonly #receive = (bytes: Buffer) => {
    this.#rest = bytes;
    this.#goOn();
  };

  readonly #end = () => {
    this.#hasEnded = true;
    if (!this.#isWaiting) this.#socket.end();
  };

  readonly #timeout = () => void this.#socket.destroy();

  /** Answers what is here, until a request is not plain or has to wait. */
  #goOn(): void {
    while (this.#rest.length > 0 && this.#answerNext());
  }

  /** Whether a request was answered and the next may be. */
  #answerNext(): boolean {
    const request = findRequest(this.#rest);
    if (request === undefined || !this.#isPlain(request.fields)) {
      this.#handOver();
      return false;
    }
    const answer = this.#options.reads.peek(request.path, this.#acceptsGzip);
    if (answer !== undefined) return this.#send(request, answer);
    this.#load(request);
    return false;
  }

  #isPlain(fields: string): boolean {
    if (fields === this.#fields) return true;
    const plain = findPlainFields(fields);
    if (plain === undefined) return false;
    this.#fields = fields;
    this.#acceptsGzip = plain.acceptsGzip;
    return true;
  }

  #load(request: Request): void {
    this.#wait();
    // What is not there, or cannot be read, the server says in its own words.
    this.#options.reads.find(request.path, this.#acceptsGzip).then(
      (answer) => {
        if (this.#socket.destroyed) return;
        if (answer === undefined) this.#handOver();
        else if (this.#send(request, answer)) this.#stopWaiting();
      },
      () => this.#socket.destroyed || this.#handOver(),
    );
  }

  /** Whether the client keeps up; where it does not, it is waited for. */
  #send(request: Request, answer: Answer): boolean {
    this.#rest = this.#rest.subarray(request.sizeBytes);
    this.#socket.write(answer.bytesAt(nowSeconds(this.#options.clock)));
    if (this.#socket.writableLength < this.#socket.writableHighWaterMark) return true;
    this.#wait();
    this.#socket.once("drain", this.#stopWaiting);
    return false;
  }

  #wait(): void {
    this.#isWaiting = true;
    this.#socket.pause();
  }

  readonly #stopWaiting = () => {
    this.#isWaiting = false;
    this.#goOn();
    if (this.#isWaiting) return;
    if (this.#hasEnded) this.#socket.end();
    else this.#socket.resume();
  };

  #handOver(): void {
    const socket = this.#socket;
    if (this.#hasEnded) {
      socket.end(); // As the server does with a client that does not stay for its answer.
      return;
    }
    socket.off("data", this.#receive);
    socket.off("end", this.#end);
    socket.off("timeout", this.#timeout);
    socket.off("error", ignore);
    socket.off("close", this.#options.leave);
    socket.setTimeout(0);
    socket.pause();
    socket.unshift(this.#rest);
    this.#options.handOver();
    socket.resume();
  }
}

function ignore(): void {
  // A connection that failed is closed by the socket itself.
}

type Request = { path: string; fields: string; sizeBytes: number };

/** The request that `bytes` begin with, where it is a GET of HTTP/1.1 and its head is whole. */
function findRequest(bytes: Buffer): Request | undefined {
  const text = bytes.toString("latin1", 0, HEAD_BYTES);
  if (!text.startsWith("GET /")) return undefined;
  const pathEnd = text.indexOf(" HTTP/1.1\r\n");
  const headEnd = text.indexOf("\r\n\r\n", pathEnd);
  if (pathEnd < 0 || headEnd < 0) return undefined;
  return { path: text.slice(4, pathEnd), fields: text.slice(pathEnd + 11, headEnd), sizeBytes: headEnd + 4 };
}

/** What is read of the headers of a plain request; undefined where one of them may ask for more than a plain answer. */
function findPlainFields(fields: string): { acceptsGzip: boolean } | undefined {
  const values = new Map<string, string>();
  for (const line of fields.split("\r\n")) {
    const [, name, value = ""] = /^([a-z0-9-]+):[ \t]*([\x20-\x7e\t]*)$/i.exec(line) ?? [];
    if (name === undefined || values.has(name.toLowerCase())) return undefined;
    values.set(name.toLowerCase(), value.trim());
  }
  if (!/^[a-z0-9.:[\]-]+$/i.test(values.get("host") ?? "")) return undefined;
  if (!/^keep-alive$/i.test(values.get("connection") ?? "keep-alive")) return undefined;
  if (NOT_PLAIN.some((name) => values.has(name))) return undefined;
  return { acceptsGzip: acceptsGzip(values.get("accept-encoding")) };
}

/** Headers of requests with a body or for another protocol. */
const NOT_PLAIN = ["content-length", "transfer-encoding", "expect", "upgrade", "trailer", "te", "http2-settings"];
