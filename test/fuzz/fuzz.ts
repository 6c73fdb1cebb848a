/** Sends requests that nobody should send, many at once, and holds each answer to what a server may say: never 5xx, never nothing. */
import { connect, type Socket } from "node:net";
import { createFuzzing } from "./random.ts";
import { type FuzzRequest, type FuzzTarget, fuzzRequest } from "./requests.ts";

export type Fuzzed = { statuses: Map<number, number>; closed: number; failures: string[] };

const LANES = 16;
/** A machine that has other work is slow; a server that hangs never answers. */
const HANG_MS = 60_000;
const FAILURES_MOST = 10;

/** Sends `count` requests that follow from `seed`. `onProgress` is told how many were answered. */
export async function fuzz(
  url: string,
  target: FuzzTarget,
  { count, seed, onProgress }: { count: number; seed: number; onProgress?: (done: number) => void },
): Promise<Fuzzed> {
  const fuzzed: Fuzzed = { statuses: new Map(), closed: 0, failures: [] };
  let next = 0;
  const lane = async () => {
    let connection: Connection | undefined;
    while (next < count && fuzzed.failures.length < FAILURES_MOST) {
      const number = next++;
      const asked = await fuzzRequest(createFuzzing(seed + number), target);
      connection = connection?.isOpen ? connection : new Connection(url);
      const outcome = await connection.ask(asked);
      if (asked.answers === undefined || /^connection: close/im.test(connection.received)) connection.drop();
      if (outcome === "closed") fuzzed.closed++;
      if (typeof outcome === "number") fuzzed.statuses.set(outcome, (fuzzed.statuses.get(outcome) ?? 0) + 1);
      if (
        outcome === "hung" ||
        (typeof outcome === "number" && outcome >= 500) ||
        (outcome === "closed" && asked.answers !== undefined)
      )
        fuzzed.failures.push(
          `seed ${seed + number}: ${outcome}: ${connection.received.slice(0, 300)}\n${asked.bytes.toString("latin1").slice(0, 600)}`,
        );
      onProgress?.(number + 1);
    }
    connection?.drop();
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return fuzzed;
}

class Connection {
  readonly #socket: Socket;
  isOpen = true;
  received = "";
  #told: (() => void) | undefined;

  constructor(url: string) {
    this.#socket = connect(Number(new URL(url).port), "127.0.0.1");
    this.#socket.on("data", (bytes) => {
      this.received += bytes.toString("latin1");
      this.#told?.();
    });
    for (const event of ["error", "close", "end"])
      this.#socket.on(event, () => {
        this.isOpen = false;
        this.#told?.();
      });
  }

  /** The status of the answer; that of the worst, where one connection gave several. */
  ask({ bytes, answers, isHead }: FuzzRequest): Promise<number | "closed" | "hung"> {
    this.received = "";
    this.#socket.write(bytes);
    // What is not whole is never going to be: whoever sent it has said all.
    if (answers === undefined) this.#socket.end();
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle("hung"), HANG_MS);
      const settle = (outcome: number | "closed" | "hung") => {
        clearTimeout(timer);
        this.#told = undefined;
        resolve(outcome);
      };
      this.#told = () => {
        const answer =
          answers === undefined && this.isOpen ? undefined : findAnswer(this.received, isHead || !this.isOpen);
        if (answer !== undefined) settle(worst(this.received));
        else if (!this.isOpen) settle("closed");
      };
      if (!this.isOpen) this.#told();
    });
  }

  /** Without a TIME_WAIT, of which a machine has not enough for so many. */
  drop(): void {
    this.isOpen = false;
    this.#socket.resetAndDestroy();
  }
}

/** Whether a whole answer is here: its head, and as much of a body as that says. */
function findAnswer(text: string, isBodiless: boolean): true | undefined {
  let at = 0;
  while (/^HTTP\/1\.1 1\d\d /.test(text.slice(at, at + 13))) {
    const end = text.indexOf("\r\n\r\n", at);
    if (end < 0) return undefined;
    at = end + 4;
  }
  const headEnd = text.indexOf("\r\n\r\n", at);
  if (headEnd < 0) return undefined;
  const head = text.slice(at, headEnd);
  if (isBodiless || /^HTTP\/1\.1 (204|304) /.test(head)) return true;
  if (/^transfer-encoding: chunked/im.test(head)) return text.endsWith("\r\n0\r\n\r\n") ? true : undefined;
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
  return text.length >= headEnd + 4 + length ? true : undefined;
}

function worst(text: string): number {
  return Math.max(...[...text.matchAll(/HTTP\/1\.1 (\d{3}) [A-Z]/g)].map(([, status]) => Number(status)));
}
