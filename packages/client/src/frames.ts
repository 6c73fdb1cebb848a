/** Server-sent events, a block at a time, in the exact bytes that came (WHATWG HTML §9.2, docs/spec/stream.md). */
import { CALL_SIZE_BYTES, concat } from "@tallystick/protocol";
import { UnverifiedError } from "./errors.ts";

const NEWLINE = 10;

/** Cuts bytes, as they come, into blocks that each end in a blank line. */
export class FrameSplitter {
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #afterNewline = false;

  /** The blocks that are whole with `bytes`. Throws UnverifiedError where one does not end. */
  push(bytes: Uint8Array): Uint8Array[] {
    const blocks: Uint8Array[] = [];
    let start = 0;
    for (let i = 0; i < bytes.length; i++) {
      const isNewline = bytes[i] === NEWLINE;
      const ends = isNewline && this.#afterNewline;
      this.#afterNewline = isNewline && !ends;
      if (!ends) continue;
      blocks.push(concat(...this.#pending, bytes.subarray(start, i + 1)));
      this.#pending = [];
      this.#pendingBytes = 0;
      start = i + 1;
    }
    if (start < bytes.length) this.#pending.push(bytes.subarray(start));
    this.#pendingBytes += bytes.length - start;
    if (this.#pendingBytes > CALL_SIZE_BYTES) throw new UnverifiedError("the stream has a frame without an end");
    return blocks;
  }

  /** Whether what came ends within a block. */
  get isInside(): boolean {
    return this.#pendingBytes > 0;
  }
}

/** What a block is: a comment, or a frame with the JSON in it. */
export type Block = { kind: "comment"; text: string } | { kind: "frame"; text: string; json: string };

// Readers of events take a carriage return for the end of a line, so that one could hide a frame from the chain.
const FRAME = /^(?:event: [^\n\r]*\n)?data: ([^\n\r]*)\n\n$/;
const COMMENT = /^:([^\n\r]*)\n\n$/;

/** Reads a block; undefined where it is none that this network sends. */
export function readBlock(text: string): Block | undefined {
  const [, json] = FRAME.exec(text) ?? [];
  if (json !== undefined) return { kind: "frame", text, json };
  const [, comment] = COMMENT.exec(text) ?? [];
  return comment === undefined ? undefined : { kind: "comment", text: comment.trim() };
}
