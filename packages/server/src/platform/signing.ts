/**
 * Signing on a thread of its own, in batches. Signatures are a seventh of what a call costs, and the event loop has better to do;
 * but to wake a thread costs as much as to sign. So what one turn of the loop asks for goes over together, and what is too
 * little for that is signed at once.
 */
import type { KeyObject } from "node:crypto";
import { Worker } from "node:worker_threads";
import type { Signer } from "@tallystick/protocol";
import type { Report } from "./http.ts";
import { createSigner } from "./keys.ts";

export type Signing = {
  /** A signer over a P-256 private key. Signatures are given in the order in which they were asked for, of all its signers. */
  signer(privateKey: KeyObject): Signer;
  /** Ends the thread. What is asked from then on is signed on the caller's. */
  close(): Promise<void>;
};

/** What the thread is sent: a key, by a number, for as long as its signer lives; or messages to sign, end to end. */
export type SigningRequest =
  | { kind: "key"; id: number; key: KeyObject }
  | { kind: "forget"; id: number }
  | { kind: "sign"; keyIds: Uint32Array; lengths: Uint32Array; messages: Uint8Array };

export const SIGNATURE_LENGTH = 64;
/** As many signatures as a message there and back is worth: of fewer the waking of two threads costs more than the signing. */
const BATCH_LEAST = 16;
/** Batches on their way: one that is signed, and the next. */
const BATCHES_MOST = 2;

/** A key that the thread has, while anything refers to this. */
type Key = { id: number; signer: Signer };
type Job = { key: Key; message: Uint8Array; resolve(signature: Promise<Uint8Array> | Uint8Array): void };

// Compiled code, also where this file runs as its source.
const THREAD = new URL("../../dist/platform/signing-thread.js", import.meta.url);

export function startSigningThread(): Worker {
  return new Worker(THREAD, { env: {}, execArgv: [] });
}

/** Signs on `started`. Where that ends too soon, the operator is told, and all is signed on the caller's thread. */
export function openSigning(report: Report, started = startSigningThread()): Signing {
  let thread: Worker | undefined = started;
  let closing = false;
  let keyCount = 0;
  let waiting: Job[] = [];
  let due = false;
  const underway: Job[][] = [];
  const forgotten = new FinalizationRegistry<number>((id) => post({ kind: "forget", id }));

  let cause = "it was ended";
  started.on("message", (signatures: Uint8Array) => {
    const batch = underway[0] ?? [];
    if (signatures.length !== SIGNATURE_LENGTH * batch.length) {
      cause = `it gave ${signatures.length} bytes for ${batch.length} signatures`;
      void started.terminate();
      return;
    }
    underway.shift();
    for (const [i, { resolve }] of batch.entries())
      resolve(signatures.slice(SIGNATURE_LENGTH * i, SIGNATURE_LENGTH * (i + 1)));
    if (waiting.length > 0) flushSoon();
  });
  started.on("messageerror", (error) => {
    cause = String(error);
    void started.terminate();
  });
  started.on("error", (error) => {
    cause = String(error);
  });
  const gone = new Promise<void>((resolve) =>
    started.once("exit", () => {
      thread = undefined;
      if (!closing) report("the signing thread ended; signing goes on without it", { cause });
      for (const batch of underway.splice(0)) signHere(batch);
      flush();
      resolve();
    }),
  );

  function post(request: SigningRequest): void {
    thread?.postMessage(request, request.kind === "sign" ? [request.messages.buffer as ArrayBuffer] : []);
  }

  /** At the end of this turn of the event loop. */
  function flushSoon(): void {
    if (!due) setImmediate(flush);
    due = true;
  }

  function flush(): void {
    due = false;
    const few = waiting.length < BATCH_LEAST;
    if (thread === undefined || (few && underway.length === 0)) signHere(waiting.splice(0));
    else if (!few && underway.length < BATCHES_MOST) send();
    // Else they wait for the next batch to come back: what is signed here must not overtake what is on its way.
  }

  function send(): void {
    const batch = waiting;
    post({
      kind: "sign",
      keyIds: Uint32Array.from(batch, ({ key }) => key.id),
      lengths: Uint32Array.from(batch, ({ message }) => message.length),
      messages: new Uint8Array(Buffer.concat(batch.map(({ message }) => message))),
    });
    waiting = [];
    underway.push(batch);
  }

  return {
    signer(privateKey) {
      const key: Key = { id: keyCount++, signer: createSigner(privateKey) };
      post({ kind: "key", id: key.id, key: privateKey });
      forgotten.register(key, key.id);
      return {
        spki: key.signer.spki,
        sign: (message) =>
          new Promise((resolve) => {
            waiting.push({ key, message, resolve });
            flushSoon();
          }),
      };
    },

    async close() {
      closing = true;
      await started.terminate();
      await gone;
    },
  };
}

function signHere(jobs: readonly Job[]): void {
  for (const { key, message, resolve } of jobs) resolve(key.signer.sign(message));
}
