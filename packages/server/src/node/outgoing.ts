/** A stream on its way out: each frame is sent, taken into the chain, and signed for from time to time (docs/spec/stream.md). */
import {
  addReceipt,
  base64,
  extendStream,
  hex,
  type JsonObject,
  keyId,
  openStream,
  type Signer,
  type StreamState,
  sealMessage,
  utf8,
} from "@tallystick/protocol";
import type { Clock } from "../platform/clock.ts";
import type { ServiceError } from "../platform/errors.ts";
import { errorBody } from "../platform/refusals.ts";

/** Where frames go. A promise is waited for: the caller reads more slowly than the engine writes. */
export type Sink = (frame: Uint8Array) => void | Promise<void>;

export type Outgoing = {
  /** Sends frames that are part of the answer. A promise is waited for; there is none where nobody has to be. Throws as the sink does. */
  send(frames: readonly string[]): void | Promise<void>;
  /** Takes the frames that close the answer into the chain, and sends all but the last, which goes out with the receipt. */
  end(frames: readonly string[], last: string): Promise<StreamState>;
  /** Sends the frame that ends the answer, with its receipt, and what follows it. */
  conclude(frame: string, closers: string, receipt: JsonObject, after: readonly string[]): Promise<void>;
  /** Sends the error that breaks the stream off. */
  fail(refusal: ServiceError): Promise<void>;
  /** Whether anything was sent: a failure before that is still a status. */
  begun(): boolean;
};

export type OutgoingParts = {
  sink: Sink;
  receiptId: Uint8Array;
  /** The salt that the response's commitment will have: without it nobody else can tell what the chain is over. */
  salt: Uint8Array;
  signer: Signer;
  clock: Clock;
  /** How often to sign for what was sent; never where undefined. */
  sealIntervalMs: number | undefined;
};

export function createOutgoing({ sink, receiptId, salt, signer, clock, sealIntervalMs }: OutgoingParts): Outgoing {
  let state = openStream(receiptId, salt);
  let begun = false;
  let sealedMs = clock.nowMs();

  /** Server-sent events let clients that do not know it pass over a comment (WHATWG HTML §9.2.6). */
  const comment = (says: JsonObject) => sink(utf8(`: tally ${JSON.stringify(says)}\n\n`));

  function sealIfDue(): void | Promise<void> {
    if (sealIntervalMs === undefined) return;
    const nowMs = clock.nowMs();
    if (nowMs - sealedMs < sealIntervalMs) return;
    sealedMs = nowMs;
    return seal();
  }

  async function seal(): Promise<void> {
    const { frames } = state;
    const signature = await signer.sign(sealMessage(receiptId, state));
    await comment({ frames, signature: base64(signature) });
  }

  function begin(): void | Promise<void> {
    if (begun) return;
    begun = true;
    if (sealIntervalMs === undefined) return;
    return comment({ receipt: hex(receiptId), salt: base64(salt), node: hex(keyId(signer.spki)) });
  }

  function sendFrom(frames: readonly string[], first: number): void | Promise<void> {
    for (let i = first; i < frames.length; i++) {
      const bytes = utf8(frames[i] ?? "");
      state = extendStream(state, bytes);
      const pending = sink(bytes);
      if (pending instanceof Promise) return pending.then(() => sendFrom(frames, i + 1));
    }
    return sealIfDue();
  }

  /** Sends what ends a stream. The answer is there and is signed for, whether or not its reader still is. */
  async function offer(...frames: readonly string[]): Promise<void> {
    try {
      await begin();
      for (const frame of frames) await sink(utf8(frame));
    } catch {
      // The reader went away; there is nobody to tell.
    }
  }

  return {
    begun: () => begun,

    send(frames) {
      if (frames.length === 0) return;
      const beginning = begin();
      return beginning instanceof Promise ? beginning.then(() => sendFrom(frames, 0)) : sendFrom(frames, 0);
    },

    async end(frames, last) {
      for (const frame of [...frames, last]) state = extendStream(state, utf8(frame));
      await offer(...frames);
      return state;
    },

    conclude: (frame, closers, receipt, after) =>
      offer(`${addReceipt(frame.slice(0, -2), closers, receipt)}\n\n`, ...after),

    fail: (refusal) => offer(`data: ${JSON.stringify(errorBody(refusal))}\n\n`),
  };
}
