/**
 * Signing on a thread of its own, in batches. Signatures are a fifth of what a call costs, and the event loop has better to do;
 * but to wake a thread costs as much as to sign. So what one turn of the loop asks for goes over together, and what is too
 * little for that is signed at once.
 */
import type { KeyObject } from "node:crypto";
import { Worker } from "node:worker_threads";
import type { Signer } from "@tallystick/protocol";
import type { Report } from "./http.ts";
import { createSigner } from "./keys.ts";

export type Signing = {
  /** A signer over a P-256 private key. */
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
/** As many signatures as a message there and back is worth. */
const BATCH_LEAST = 3;
/** Batches on their way: one that is signed, and the next. */
const BATCHES_MOST = 2;

type Job = {
  keyId: number;
  signer: Signer;
  message: Uint8Array;
  resolve(signature: Promise<Uint8Array> | Uint8Array): void;
};

// Compiled code, also where this file runs as its source.
const THREAD = new URL("../../dist/platform/signing-thread.js", import.meta.url);

export function openSigning(report: Report): Signing {
  let thread: Worker | undefined = new Worker(THREAD, { env: {}, execArgv: [] });
  let closing = false;
  let lastKeyId = 0;
  let waiting: Job[] = [];
  let due = false;
  const underway: Job[][] = [];
  const forgotten = new FinalizationRegistry<number>((id) => post({ kind: "forget", id }));

  thread.on("message", (signatures: Uint8Array) => {
    for (const [i, { resolve }] of (underway.shift() ?? []).entries())
      resolve(signatures.slice(SIGNATURE_LENGTH * i, SIGNATURE_LENGTH * (i + 1)));
    if (waiting.length > 0) flushSoon();
  });
  thread.on("error", (error) =>
    report("the signing thread failed; signing goes on without it", { error: String(error) }),
  );
  const gone = new Promise<void>((resolve) =>
    thread?.once("exit", () => {
      thread = undefined;
      for (const batch of underway.splice(0)) signHere(batch);
      if (!closing) report("the signing thread ended; signing goes on without it", {});
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
    if (thread === undefined || waiting.length < BATCH_LEAST) signHere(waiting.splice(0));
    else if (underway.length < BATCHES_MOST) send(); // Else the next to come back sends these.
  }

  function send(): void {
    const batch = waiting;
    waiting = [];
    underway.push(batch);
    post({
      kind: "sign",
      keyIds: Uint32Array.from(batch, ({ keyId }) => keyId),
      lengths: Uint32Array.from(batch, ({ message }) => message.length),
      messages: new Uint8Array(Buffer.concat(batch.map(({ message }) => message))),
    });
  }

  return {
    signer(privateKey) {
      const here = createSigner(privateKey);
      const keyId = ++lastKeyId;
      post({ kind: "key", id: keyId, key: privateKey });
      const signer: Signer = {
        spki: here.spki,
        sign: (message) =>
          new Promise((resolve) => {
            waiting.push({ keyId, signer: here, message, resolve });
            flushSoon();
          }),
      };
      forgotten.register(signer, keyId);
      return signer;
    },

    async close() {
      closing = true;
      await thread?.terminate();
      await gone;
    },
  };
}

function signHere(jobs: readonly Job[]): void {
  for (const { signer, message, resolve } of jobs) resolve(signer.sign(message));
}
