/**
 * What a node answers a gateway's dispatch with (docs/spec/node.md): records, of which the last is its reply. A reply says
 * whether the authorization was taken up: only one that was not may go to another node.
 */
import { Malformed } from "../cbor/bytes.ts";
import {
  byteString,
  decode,
  encode,
  exactly,
  fixedBytes,
  optional,
  required,
  struct,
  text,
  uint,
  word,
} from "../cbor/codec.ts";
import { CALL_SIZE_BYTES, DISCLOSURE_SIZE_BYTES, RECEIPT_SIZE_BYTES, REFUSAL_TEXT_LENGTH } from "../limits.ts";

const times = struct({
  /** For its turn, and for its model to be loaded. */
  queueMs: required(1, uint(0xffff_ffff)),
  loadMs: required(2, uint(0xffff_ffff)),
  /** From then until its receipt was in the log. */
  serveMs: required(3, uint(0xffff_ffff)),
});
/** What a call waited for at its node. */
export type NodeTimes = { queueMs: number; loadMs: number; serveMs: number };

const nodeReply = struct({
  version: required(0, exactly(1)),
  outcome: required(1, word({ answered: 1, unanswered: 2, not_taken: 3, unknown: 4 })),
  times: required(2, times),
  receipt: optional(
    3,
    struct({
      id: required(1, fixedBytes(32)),
      index: required(2, uint()),
      bytes: required(3, byteString(RECEIPT_SIZE_BYTES)),
    }),
  ),
  answer: optional(
    4,
    struct({
      bytes: required(1, byteString(CALL_SIZE_BYTES)),
      salt: required(2, fixedBytes(32)),
      /** The body of OpenAI's answer but for its receipt, in RFC 8785; of an answer in tensors there is none. */
      body: optional(3, byteString(CALL_SIZE_BYTES)),
    }),
  ),
  refusal: optional(
    5,
    struct({
      code: required(1, text(32, /^[a-z_]+$/)),
      message: required(2, text(REFUSAL_TEXT_LENGTH)),
      param: optional(3, text(128)),
    }),
  ),
  /** What the receipt's other commitments open to, in RFC 8785. */
  disclosure: optional(6, byteString(DISCLOSURE_SIZE_BYTES)),
});

type LoggedReceipt = { id: Uint8Array; index: number; bytes: Uint8Array };
type Refusal = { code: string; message: string; param?: string };
type Answered = { bytes: Uint8Array; salt: Uint8Array; body?: Uint8Array };

/** How a dispatch ended. `not_taken`: nothing was begun and nothing signed. `unknown`: a receipt was signed and may yet appear. */
export type NodeReply = { times: NodeTimes } & (
  | { outcome: "answered"; receipt: LoggedReceipt; answer: Answered; disclosure: Uint8Array }
  | { outcome: "unanswered"; receipt: LoggedReceipt; refusal: Refusal; disclosure: Uint8Array }
  | { outcome: "not_taken"; refusal: Refusal }
  | { outcome: "unknown"; refusal: Refusal }
);

export function encodeNodeReply(reply: NodeReply): Uint8Array {
  return encode(nodeReply, { version: 1, ...reply });
}

/** Throws Malformed. */
export function parseNodeReply(bytes: Uint8Array): NodeReply {
  const { version: _, outcome, times, receipt, answer, refusal, disclosure } = decode(nodeReply, bytes);
  if (outcome === "answered" && receipt && answer && disclosure && !refusal)
    return { outcome, times, receipt, answer, disclosure };
  if (outcome === "unanswered" && receipt && refusal && disclosure && !answer)
    return { outcome, times, receipt, refusal, disclosure };
  const isSigned = receipt !== undefined || answer !== undefined || disclosure !== undefined;
  if (outcome === "not_taken" && refusal && !isSigned) return { outcome, times, refusal };
  if (outcome === "unknown" && refusal && !isSigned) return { outcome, times, refusal };
  throw new Malformed(`is a reply "${outcome}" that has not just what belongs to one`);
}

/** A record: its kind in one byte, its length in four, big-endian, and its bytes. */
export type NodeRecord = { kind: "frame" | "reply"; bytes: Uint8Array };

const KINDS = { frame: 1, reply: 2 } as const;
const HEAD_SIZE_BYTES = 5;
/** A reply with an answer twice, as canonical bytes and as a body, and what is beside them. */
const RECORD_SIZE_BYTES = 2 * CALL_SIZE_BYTES + DISCLOSURE_SIZE_BYTES + 16_384;

export function encodeNodeRecord({ kind, bytes }: NodeRecord): Uint8Array {
  const record = new Uint8Array(HEAD_SIZE_BYTES + bytes.length);
  record[0] = KINDS[kind];
  new DataView(record.buffer).setUint32(1, bytes.length);
  record.set(bytes, HEAD_SIZE_BYTES);
  return record;
}

/** Takes records out of chunks as they come. */
export class NodeRecordReader {
  #chunks: Uint8Array[] = [];
  #sizeBytes = 0;

  /** The records that `chunk` completes, in order. Throws Malformed. */
  *push(chunk: Uint8Array): Generator<NodeRecord> {
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.length;
    for (let head = this.#head(); head !== undefined; head = this.#head()) {
      if (this.#sizeBytes < HEAD_SIZE_BYTES + head.lengthBytes) return;
      const whole = this.#joined();
      const end = HEAD_SIZE_BYTES + head.lengthBytes;
      const bytes = whole.subarray(HEAD_SIZE_BYTES, end);
      this.#chunks = [whole.subarray(end)];
      this.#sizeBytes = whole.length - end;
      yield { kind: head.kind, bytes };
    }
  }

  #head(): { kind: NodeRecord["kind"]; lengthBytes: number } | undefined {
    if (this.#sizeBytes < HEAD_SIZE_BYTES) return undefined;
    if ((this.#chunks[0]?.length ?? 0) < HEAD_SIZE_BYTES) this.#joined();
    const first = this.#chunks[0] ?? new Uint8Array(0);
    const kind = first[0] === KINDS.frame ? "frame" : first[0] === KINDS.reply ? "reply" : undefined;
    if (kind === undefined) throw new Malformed(`has a record of the unknown kind ${first[0]}`);
    const lengthBytes = new DataView(first.buffer, first.byteOffset).getUint32(1);
    if (lengthBytes > RECORD_SIZE_BYTES) throw new Malformed(`has a record of ${lengthBytes} bytes`);
    return { kind, lengthBytes };
  }

  #joined(): Uint8Array {
    const [only] = this.#chunks;
    if (this.#chunks.length === 1 && only !== undefined) return only;
    const whole = new Uint8Array(this.#sizeBytes);
    let at = 0;
    for (const chunk of this.#chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks = [whole];
    return whole;
  }
}
