import fc from "fast-check";
import { expect, test } from "vitest";
import { verifyEs256 } from "#platform";
import { RUNS } from "../../../../test/runs.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { equal, hex, parseHex, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { STREAM_FRAMES } from "../limits.ts";
import { withoutReceipt } from "../openai/frame.ts";
import { extendStream, openStream, type StreamState, sealMessage } from "./stream.ts";

type StreamVector = Vector & {
  receiptId: string;
  salt: string;
  /** Texts of frames; the last holds a receipt where `closers` says where. */
  frames: string[];
  closers?: string;
  links: string[];
  seal: { frames: number; message: string; spki: string; signature: string };
};
const bytesOf = (text: string) => parseHex(text) ?? new Uint8Array(0);

/** Whether the frames make the chain that the vector says, up to the link that is signed for. */
async function holds({ receiptId, salt, frames, closers, links, seal }: StreamVector): Promise<boolean> {
  let state = openStream(bytesOf(receiptId), bytesOf(salt));
  const states = [state];
  for (const [i, frame] of frames.entries()) {
    const bare = closers !== undefined && i === frames.length - 1 ? withoutReceipt(frame, closers) : frame;
    state = extendStream(state, utf8(bare));
    states.push(state);
  }
  const sealed = states[seal.frames];
  if (sealed === undefined || states.map(({ head }) => hex(head)).join() !== links.join()) return false;
  const message = sealMessage(bytesOf(receiptId), sealed);
  return hex(message) === seal.message && verifyEs256(bytesOf(seal.spki), message, bytesOf(seal.signature));
}

test.each(readVectors<StreamVector>("receipt/streams.json"))("$desc", async (vector) => {
  expect(await holds(vector).catch((error: unknown) => !(error instanceof Malformed))).toBe(!vector.wantErr);
});

const id = new Uint8Array(32).fill(1);
const salt = new Uint8Array(32).fill(2);
const chain = (frames: readonly Uint8Array[]) => frames.reduce(extendStream, openStream(id, salt));
const isSame = (a: StreamState, b: StreamState) => a.frames === b.frames && equal(a.head, b.head);

test("a stream cut off, reordered, with a frame replaced, repeated, divided or joined has another head", () => {
  const frames = fc.array(fc.uint8Array({ minLength: 1, maxLength: 5 }), { minLength: 2, maxLength: 6 });
  fc.assert(
    fc.property(frames, fc.nat(), fc.nat(), (some, a, b) => {
      const whole = chain(some);
      const [i, j] = [a % some.length, b % some.length];
      const [at = id, to = id] = [some[i], some[j]];
      const other = [
        some.slice(0, -1),
        some.slice(1),
        some.toSpliced(i, 1),
        some.toSpliced(i, 0, at),
        some.toSpliced(i, 1, at.with(0, (at[0] ?? 0) ^ 1)),
        some.toSpliced(i, 1, Uint8Array.of(...at, ...to)),
        ...(at.length > 1 ? [some.toSpliced(i, 1, at.subarray(0, 1), at.subarray(1))] : []),
        ...(equal(at, to) ? [] : [some.with(i, to).with(j, at)]),
      ];
      for (const changed of other) expect(isSame(chain(changed), whole)).toBe(false);
      expect(isSame(chain(some), whole)).toBe(true);
    }),
    RUNS,
  );
});

test("a chain is one receipt's and one salt's, and begins with 32 bytes of each", () => {
  const frame = utf8("data: {}\n\n");
  const heads = [openStream(id, salt), openStream(salt, id), openStream(id, id)].map((state) =>
    extendStream(state, frame),
  );
  expect(new Set(heads.map(({ head }) => hex(head))).size).toBe(3);
  expect(() => openStream(id.subarray(1), salt)).toThrow(Malformed);
  expect(() => openStream(id, new Uint8Array(33))).toThrow(Malformed);
});

test("a stream has as many frames as four bytes can count, and none more", () => {
  const last = extendStream({ frames: STREAM_FRAMES - 1, head: id }, salt);
  expect(last.frames).toBe(STREAM_FRAMES);
  expect(sealMessage(id, last)).toHaveLength(105);
  expect(() => extendStream(last, salt)).toThrow(Malformed);
});
