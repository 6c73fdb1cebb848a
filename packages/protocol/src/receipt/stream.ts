/**
 * The chain over the frames of a streamed answer (docs/spec/stream.md): each link covers all before it, so that what was cut
 * off, reordered or replaced shows at the next signature, and not only at the end.
 */
import { sha256 } from "#platform";
import { concat, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { encode, exactly, fixedBytes, type Infer, required, struct, uint } from "../cbor/codec.ts";
import { STREAM_FRAMES } from "../limits.ts";

/** How far a stream has come: how many frames, and the chain over them. */
export type StreamState = { frames: number; head: Uint8Array };

/** A stream of which nothing was sent: SHA-256(tag ‖ receipt id ‖ the response's salt). */
export function openStream(receiptId: Uint8Array, salt: Uint8Array): StreamState {
  if (receiptId.length !== 32 || salt.length !== 32) throw new Malformed("has an id or a salt that has not 32 bytes");
  return { frames: 0, head: sha256(utf8("tallystick stream v1\0"), receiptId, salt) };
}

/** A stream with one frame more, whose exact bytes are given: SHA-256(head ‖ index in four bytes, big-endian ‖ frame). */
export function extendStream({ frames, head }: StreamState, frame: Uint8Array): StreamState {
  if (frames >= STREAM_FRAMES) throw new Malformed(`has more frames than the ${STREAM_FRAMES} that a stream may have`);
  const index = new Uint8Array(4);
  new DataView(index.buffer).setUint32(0, frames);
  return { frames: frames + 1, head: sha256(head, index, frame) };
}

const seal = struct({
  version: required(0, exactly(1)),
  receipt: required(1, fixedBytes(32)),
  frames: required(2, uint(STREAM_FRAMES)),
  head: required(3, fixedBytes(32)),
});
export type Seal = Omit<Infer<typeof seal>, "version">;

/** What a node signs while it streams: so much was sent so far, of the answer to this receipt's request. */
export function sealMessage(receiptId: Uint8Array, { frames, head }: StreamState): Uint8Array {
  return concat(utf8("tallystick stream seal v1\0"), encode(seal, { version: 1, receipt: receiptId, frames, head }));
}
