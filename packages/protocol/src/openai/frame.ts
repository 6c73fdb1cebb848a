/** Frames of a streamed answer, and the receipt in the last of them (docs/spec/stream.md). */
import { base64, hex, parseBase64, parseHex, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { findJson, isJsonObject, type JsonObject } from "../json/canonical.ts";

/** The receipt in a body, or in the frame that ends an answer: all that verifying it takes. */
export type ReceiptMember = {
  id: Uint8Array;
  /** The receipt's entry. */
  entry: Uint8Array;
  /** The salt under the response's commitment. */
  responseSalt: Uint8Array;
  /** That under the request's, where the gateway made it for its caller. */
  requestSalt?: Uint8Array;
  /** What the answer took, where no other frame says so. */
  usage?: JsonObject;
  /** How the answer came about, and what an upstream said of itself: what the receipt commits to beside the answer. */
  evidence?: JsonObject;
  upstream?: JsonObject;
};

const MEMBER = ',"receipt":';

/** The member as JSON: the last of its object, so that a frame without it is the frame cut short and closed. */
export function receiptJson(member: ReceiptMember): JsonObject {
  const { id, entry, responseSalt, requestSalt, usage, evidence, upstream } = member;
  return {
    id: hex(id),
    entry: base64(entry),
    response_salt: base64(responseSalt),
    ...(requestSalt === undefined ? {} : { request_salt: base64(requestSalt) }),
    ...(usage === undefined ? {} : { usage }),
    ...(evidence === undefined ? {} : { evidence }),
    ...(upstream === undefined ? {} : { upstream }),
  };
}

/** Reads a receipt member. Throws Malformed. */
export function parseReceiptMember(value: unknown): ReceiptMember {
  if (!isJsonObject(value)) throw new Malformed("has a receipt that is no object");
  const textOf = (name: string) => (typeof value[name] === "string" ? value[name] : "");
  const bytes = (name: string, count?: number) => {
    const found = parseBase64(textOf(name));
    if (found === undefined || found.length === 0 || (count !== undefined && found.length !== count))
      throw new Malformed(`has a receipt without ${name} in base64`);
    return found;
  };
  const id = parseHex(textOf("id"));
  if (id?.length !== 32) throw new Malformed("has a receipt without an id");
  return {
    id,
    entry: bytes("entry"),
    responseSalt: bytes("response_salt", 32),
    ...(value.request_salt === undefined ? {} : { requestSalt: bytes("request_salt", 32) }),
    ...(isJsonObject(value.usage) ? { usage: value.usage } : {}),
    ...(isJsonObject(value.evidence) ? { evidence: value.evidence } : {}),
    ...(isJsonObject(value.upstream) ? { upstream: value.upstream } : {}),
  };
}

/** What closes the object that a receipt is the last member of: a chunk, or the response inside an event. */
export const RECEIPT_CLOSERS = { chat: "}", completion: "}", response: "}}" } as const;

/** JSON that ends in `closers`, with the receipt as the last member before them. */
export function addReceipt(json: string, closers: string, member: JsonObject): string {
  return `${json.slice(0, json.length - closers.length)}${MEMBER}${JSON.stringify(member)}${closers}`;
}

/**
 * The text of a frame as it was before its receipt was put in, which is what the chain covers: up to the receipt, then closed.
 * In a text a quote is escaped, so what is found is a member. Throws Malformed where it is not the last, right before `closers`:
 * what stood behind it would be in the frame and not in the chain.
 */
export function withoutReceipt(frame: string, closers: string): string {
  const at = frame.lastIndexOf(MEMBER);
  if (at < 0) throw new Malformed("has no receipt in the frame that ends its answer");
  const end = `${closers}\n\n`;
  if (!frame.endsWith(end) || !isJsonObject(findJson(frame.slice(at + MEMBER.length, -end.length))))
    throw new Malformed("has a receipt that is not the last member of its frame");
  return `${frame.slice(0, at)}${end}`;
}

/** A server-sent event without a name (WHATWG HTML §9.2). */
export function dataFrame(json: string): Uint8Array {
  return utf8(`data: ${json}\n\n`);
}
