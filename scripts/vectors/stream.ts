/** test/vectors/receipt/streams.json: frames, the links of the chain over them, and a seal, hashed here by hand. */
import { createHash } from "node:crypto";
import { fixedSigner } from "../../test/fixed-keys.ts";
import { cbor, map } from "./cbor.ts";

const sha256 = (...parts: (string | Uint8Array)[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

const RECEIPT_ID = sha256("receipt");
const SALT = sha256("response salt");
const chunk = (says: string) => `data: {"choices":[{"index":0,${says}}]}\n\n`;
/** The frames of docs/spec/stream.md, the last with its receipt. */
const FRAMES = [
  chunk('"delta":{"role":"assistant","content":""},"finish_reason":null'),
  chunk('"delta":{"content":"4"},"finish_reason":null'),
];
const LAST = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]';
const MEMBER = ',"receipt":{"id":"…","entry":"…","response_salt":"…"}';
const CLOSED = `${LAST}}\n\n`;
const WITH_RECEIPT = `${LAST}${MEMBER}}\n\n`;

function linksOf(frames: readonly string[], id = RECEIPT_ID, salt = SALT): Buffer[] {
  const links = [sha256("tallystick stream v1\0", id, salt)];
  for (const [i, frame] of frames.entries()) {
    const index = Buffer.alloc(4);
    index.writeUInt32BE(i);
    links.push(sha256(links[i] ?? "", index, frame));
  }
  return links;
}

const messageOf = (frames: number, head: Uint8Array, id = RECEIPT_ID) =>
  Buffer.concat([Buffer.from("tallystick stream seal v1\0"), cbor(map([0, 1], [1, id], [2, frames], [3, head]))]);

type Parts = {
  frames: string[];
  closers?: string;
  links: Buffer[];
  sealed: number;
  message?: Buffer;
  by?: string;
  id?: Buffer;
  salt?: Buffer;
};

export async function streamVectors(): Promise<object[]> {
  const made = async (desc: string, wantErr: boolean, parts: Parts) => {
    const { frames, closers, links, sealed, id = RECEIPT_ID, salt = SALT } = parts;
    const message = parts.message ?? messageOf(sealed, links[sealed] ?? Buffer.alloc(32), id);
    const signature = await fixedSigner(parts.by ?? "node").sign(message);
    const seal = {
      frames: sealed,
      message: hex(message),
      spki: hex(fixedSigner("node").spki),
      signature: hex(signature),
    };
    const closing = closers === undefined ? {} : { closers };
    return { desc, wantErr, receiptId: hex(id), salt: hex(salt), frames, ...closing, links: links.map(hex), seal };
  };
  const told = [...FRAMES, WITH_RECEIPT];
  const links = linksOf([...FRAMES, CLOSED]);
  const good = { frames: told, closers: "}", links, sealed: 2 };
  const [a = "", b = ""] = FRAMES;
  const event = 'event: response.completed\ndata: {"type":"response.completed","response":{"status":"completed"';
  return Promise.all([
    made("three frames, of which two are signed for on the way", false, good),
    made("the same, signed for at its end", false, { ...good, sealed: 3 }),
    made("the same, signed for before any frame", false, { ...good, sealed: 0 }),
    made("a receipt whose salt is another", false, {
      ...good,
      salt: sha256("salt"),
      links: linksOf([...FRAMES, CLOSED], RECEIPT_ID, sha256("salt")),
    }),
    made("a named frame, in which the receipt is a member of the response", false, {
      frames: [`${event}${MEMBER}}}\n\n`],
      closers: "}}",
      links: linksOf([`${event}}}\n\n`]),
      sealed: 1,
    }),
    made("a text that has a receipt's spelling in it", false, {
      frames: [chunk('"delta":{"content":",\\"receipt\\":{}"}'), WITH_RECEIPT],
      closers: "}",
      links: linksOf([chunk('"delta":{"content":",\\"receipt\\":{}"}'), CLOSED]),
      sealed: 1,
    }),
    made("frames in each other's place", true, { ...good, frames: [b, a, WITH_RECEIPT] }),
    made("a frame left out", true, { ...good, frames: [a, WITH_RECEIPT], links: links.toSpliced(2, 1) }),
    made("a frame twice", true, { ...good, frames: [a, a, b, WITH_RECEIPT] }),
    made("a letter replaced", true, { ...good, frames: [a, b.replace("4", "5"), WITH_RECEIPT] }),
    made("the last frame cut off", true, { ...good, frames: FRAMES, sealed: 2 }),
    made("a line break more between frames", true, { ...good, frames: [a, `\n${b}`, WITH_RECEIPT] }),
    made("two frames as one", true, { ...good, frames: [a + b, WITH_RECEIPT], links: linksOf([a, b + CLOSED]) }),
    made("links that take the last frame with its receipt", true, { ...good, links: linksOf(told) }),
    made("links that do not count the frames", true, {
      ...good,
      links: links.map((link, i) => (i === 3 ? sha256(links[2] ?? "", Buffer.alloc(4), CLOSED) : link)),
    }),
    made("a chain of another receipt", true, { ...good, id: sha256("another receipt") }),
    made("a chain under another salt", true, { ...good, salt: sha256("another salt") }),
    made("a member behind the receipt", true, { ...good, frames: [...FRAMES, `${LAST}${MEMBER},"choices":[]}\n\n`] }),
    made("no receipt in the last frame", true, { ...good, frames: [...FRAMES, CLOSED] }),
    made("a seal that another key signed", true, { ...good, by: "relier" }),
    made("a seal over fewer frames than it says", true, { ...good, message: messageOf(2, links[1] ?? SALT) }),
    made("a seal of another receipt", true, {
      ...good,
      message: messageOf(2, links[2] ?? SALT, sha256("another receipt")),
    }),
    made("a seal over the head alone", true, { ...good, message: links[2] ?? SALT }),
  ]);
}
