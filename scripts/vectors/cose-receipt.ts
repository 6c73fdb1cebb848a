/** test/vectors/log/cose-receipts.json: COSE Receipts (RFC 9942), each byte laid by hand and not by our codec. */
import { createHash } from "node:crypto";
import { hex, inclusionRanges, leafHash, rootOf, utf8 } from "@tallystick/protocol";
import { fixedSigner } from "../../test/fixed-keys.ts";
import { cbor, type Item } from "./cbor.ts";

const signer = fixedSigner("log");
const stranger = fixedSigner("stranger");
const kid = createHash("sha256").update(signer.spki).digest();
const leaves = ["a", "b", "c", "d", "e"].map((name) => leafHash(utf8(name)));
const rootAt = (size: number) => rootOf(leaves.slice(0, size));
const pathOf = (index: number, size: number) =>
  inclusionRanges(index, size).map(({ start, end }) => rootOf(leaves.slice(start, end)));

/** The parts of a receipt that a case may have otherwise. */
type Form = {
  size?: number;
  index?: number;
  path?: Item[];
  header?: Item;
  proof?: Item;
  unprotected?: Item;
  payload?: Item;
  signed?: Uint8Array;
  signature?: (made: Uint8Array) => Item;
  whole?: (parts: Item[]) => Buffer;
};
const NULL = { raw: "f6" };
const label = (value: number, item: Item): [Item, Item] => [value, item];
/** A map of any labels, in the order given. */
const labels = (...pairs: [Item, Item][]): Item => ({
  raw: Buffer.concat([Buffer.of(0xa0 + pairs.length), ...pairs.flat().map(cbor)]).toString("hex"),
});
const HEADER = labels(label(1, -7), label(4, kid), label(395, 1));

async function receipt(form: Form = {}): Promise<Buffer> {
  const { size = 5, index = 3, header = HEADER, payload = NULL } = form;
  const protectedHeader = cbor(header);
  const proof = form.proof ?? cbor([size, index, form.path ?? pathOf(index, size)]);
  const unprotected = form.unprotected ?? labels(label(396, labels(label(-1, [proof]))));
  const root = form.signed ?? rootAt(size);
  const made = await signer.sign(cbor(["Signature1", protectedHeader, new Uint8Array(0), root]));
  const parts: Item[] = [protectedHeader, unprotected, payload, form.signature?.(made) ?? made];
  return form.whole?.(parts) ?? Buffer.concat([Buffer.of(0xd2), cbor(parts)]);
}

export async function coseReceiptVectors(): Promise<object[]> {
  return [...(await verified()), ...(await notVerified()), ...(await malformed())];
}

async function verified(): Promise<object[]> {
  const good = async (desc: string, entry: string, index: number, size: number) => ({
    desc,
    wantErr: false,
    hex: hex(await receipt({ index, size })),
    entry: hex(utf8(entry)),
    spki: hex(signer.spki),
    size,
    index,
    path: pathOf(index, size).map(hex),
    root: hex(rootAt(size)),
  });
  return [
    await good("the letter d among five", "d", 3, 5),
    await good("the last of five, whose path is one hash", "e", 4, 5),
    await good("the first of four", "a", 0, 4),
    await good("the only one, whose path is empty", "a", 0, 1),
  ];
}

async function notVerified(): Promise<object[]> {
  const bad = async (desc: string, form: Form, entry = "d", spki: Uint8Array = signer.spki) => ({
    desc,
    wantErr: true,
    failure: "not_verified",
    hex: hex(await receipt(form)),
    entry: hex(utf8(entry)),
    spki: hex(spki),
  });
  const [first = new Uint8Array(32), second = first, ...rest] = pathOf(3, 5);
  return [
    await bad("another entry", {}, "c"),
    await bad("another key", {}, "d", stranger.spki),
    await bad("another key's id", { header: labels(label(1, -7), label(4, leaves[0] ?? kid), label(395, 1)) }),
    await bad("another root than was signed", { signed: rootAt(4) }),
    await bad("another index", { index: 2, path: pathOf(3, 5) }),
    await bad("an index at the size", { index: 5, path: pathOf(3, 5) }),
    await bad("a size that walks another way", { size: 4, path: pathOf(3, 5), signed: rootAt(5) }),
    await bad("a hash left out", { path: pathOf(3, 5).slice(1) }),
    await bad("a hash too many", { path: [...pathOf(3, 5), first] }),
    await bad("two hashes in each other's place", { path: [second, first, ...rest] }),
    await bad("a signature with a bit flipped", { signature: (made) => made.with(0, (made[0] ?? 0) ^ 1) }),
    await bad("a tree of no entries", { size: 0, index: 0, path: [] }),
  ];
}

async function malformed(): Promise<object[]> {
  const bad = async (desc: string, form: Form) => ({
    desc,
    wantErr: true,
    failure: "malformed",
    hex: hex(await receipt(form)),
    entry: hex(utf8("d")),
    spki: hex(signer.spki),
  });
  const proof = cbor([5, 3, pathOf(3, 5)]);
  const whole = (change: (bytes: Buffer) => Buffer) => ({
    whole: (parts: Item[]) => change(Buffer.concat([Buffer.of(0xd2), cbor(parts)])),
  });
  const hashes = (count: number) => Array.from({ length: count }, () => leaves[0] ?? kid);
  return [
    await bad("no tag", { whole: (parts) => cbor(parts) }),
    await bad("the tag of a COSE_Mac0", { whole: (parts) => Buffer.concat([Buffer.of(0xd1), cbor(parts)]) }),
    await bad("three parts", { whole: (parts) => Buffer.concat([Buffer.of(0xd2), cbor(parts.slice(0, 3))]) }),
    await bad(
      "a byte after its end",
      whole((bytes) => Buffer.concat([bytes, Buffer.of(0)])),
    ),
    await bad(
      "a byte cut off",
      whole((bytes) => bytes.subarray(0, -1)),
    ),
    await bad("the root as its payload", { payload: rootAt(5) }),
    await bad("an empty payload", { payload: new Uint8Array(0) }),
    await bad("undefined for its payload", { payload: { raw: "f7" } }),
    await bad("null in two bytes", { payload: { raw: "f816" } }),
    await bad("another algorithm", { header: labels(label(1, -8), label(4, kid), label(395, 1)) }),
    await bad("no key id", { header: labels(label(1, -7), label(395, 1)) }),
    await bad("a key id of 31 bytes", { header: labels(label(1, -7), label(4, kid.subarray(1)), label(395, 1)) }),
    await bad("no structure", { header: labels(label(1, -7), label(4, kid)) }),
    await bad("another structure", { header: labels(label(1, -7), label(4, kid), label(395, 2)) }),
    await bad("a header out of order", { header: labels(label(395, 1), label(1, -7), label(4, kid)) }),
    await bad("claims in its header", { header: labels(label(1, -7), label(4, kid), label(15, "x"), label(395, 1)) }),
    await bad("no proof", { unprotected: labels() }),
    await bad("proofs that are none", { unprotected: labels(label(396, labels(label(-1, [])))) }),
    await bad("two proofs", { unprotected: labels(label(396, labels(label(-1, [proof, proof])))) }),
    await bad("a proof of consistency", { unprotected: labels(label(396, labels(label(-2, [proof])))) }),
    await bad("a label beside its proofs", {
      unprotected: labels(label(4, kid), label(396, labels(label(-1, [proof])))),
    }),
    await bad("a proof that is not in a byte string", { proof: [5, 3, pathOf(3, 5)] }),
    await bad("a proof without its path", { proof: cbor([5, 3]) }),
    await bad("a proof with a byte after its end", { proof: Buffer.concat([proof, Buffer.of(0)]) }),
    await bad("a size under 0", { proof: cbor([-5, 3, pathOf(3, 5)]) }),
    await bad("a size of 2^53", { proof: cbor([2n ** 53n, 3, pathOf(3, 5)]) }),
    await bad("a size not in its shortest form", { proof: cbor([{ raw: "1805" }, 3, pathOf(3, 5)]) }),
    await bad("a hash of 31 bytes", { path: pathOf(3, 5).map((hash) => hash.subarray(1)) }),
    await bad("a path of 64 hashes", { path: hashes(64) }),
    await bad("a signature of 63 bytes", { signature: (made) => made.subarray(1) }),
  ];
}
