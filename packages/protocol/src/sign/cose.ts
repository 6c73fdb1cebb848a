/**
 * COSE_Sign1 with ES256 (RFC 9052 §4.2, RFC 9053 §2.1), in the one form Tallystick writes: tagged, protected header
 * {1: -7, 3: content type, 4: key id}, empty unprotected header, embedded payload.
 */
import { sha256, sha256Latin1, verifyEs256 } from "#platform";
import { equal, latin1, utf8 } from "../bytes.ts";
import { CborReader, CborWriter, MAJOR, Malformed } from "../cbor/bytes.ts";

export const SIGN1_TAG = 18;
/** Algorithm -7, as the CBOR negative integer 6. */
export const ES256 = 6;

/** What signs: a P-256 key that stays where it is. */
export type Signer = {
  /** DER SubjectPublicKeyInfo, 91 bytes. */
  readonly spki: Uint8Array;
  /** ES256 over `message`: r ‖ s, 64 bytes. */
  sign(message: Uint8Array): Promise<Uint8Array>;
};

/** A COSE_Sign1 taken apart; nothing is verified yet. */
export class Signed {
  readonly bytes: Uint8Array;
  readonly contentType: string;
  /** SHA-256 of the signer's SPKI. */
  readonly keyId: Uint8Array;
  /** The same as the key of a Map: one text for all that a key signs of a kind. */
  readonly keyIdLatin1: string;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  readonly #header: Uint8Array;
  // Made when they are first asked for: who only reads what an entry says asks for neither.
  #toBeSigned: Uint8Array | undefined;
  #id: Uint8Array | undefined;
  #idLatin1: string | undefined;

  constructor(
    bytes: Uint8Array,
    header: Uint8Array,
    named: Named,
    payload: Uint8Array,
    signature: Uint8Array,
    toBeSigned?: Uint8Array,
  ) {
    this.bytes = bytes;
    this.contentType = named.contentType;
    this.keyId = named.keyId;
    this.payload = payload;
    this.signature = signature;
    this.keyIdLatin1 = named.keyIdLatin1;
    this.#header = header;
    this.#toBeSigned = toBeSigned;
  }

  /** The Sig_structure: the bytes that are signed. */
  get toBeSigned(): Uint8Array {
    this.#toBeSigned ??= sigStructure(this.#header, this.payload);
    return this.#toBeSigned;
  }

  /** SHA-256 of the Sig_structure, which no re-signing changes. */
  get id(): Uint8Array {
    this.#id ??= sha256(this.toBeSigned);
    return this.#id;
  }

  /** The same as the key of a Map, without the bytes. */
  get idLatin1(): string {
    this.#idLatin1 ??= sha256Latin1(this.toBeSigned);
    return this.#idLatin1;
  }
}

/** What a protected header says. */
type Named = { contentType: string; keyId: Uint8Array; keyIdLatin1: string };

/** The id of a key: SHA-256 of its DER SubjectPublicKeyInfo. */
export function keyId(spki: Uint8Array): Uint8Array {
  return sha256(spki);
}

function protectedHeader(contentType: string, kid: Uint8Array): Uint8Array {
  const writer = new CborWriter();
  writer.head(MAJOR.map, 3);
  writer.head(MAJOR.uint, 1);
  writer.head(MAJOR.negative, ES256);
  writer.head(MAJOR.uint, 3);
  writer.text(contentType);
  writer.head(MAJOR.uint, 4);
  writer.bytes(kid);
  return writer.finish();
}

/** The head of an array of four, and its first: "Signature1". */
const SIGNATURE1 = Uint8Array.of(0x84, 0x6a, ...utf8("Signature1"));

/** Sig_structure = ["Signature1", protected, external_aad = h'', payload] (RFC 9052 §4.4). */
export function sigStructure(header: Uint8Array, payload: Uint8Array): Uint8Array {
  const writer = new CborWriter();
  writer.raw(SIGNATURE1);
  writer.bytes(header);
  writer.head(MAJOR.bytes, 0);
  writer.bytes(payload);
  return writer.finish();
}

type Header = { kid: Uint8Array; header: Uint8Array };
/** A signer's headers by content type: the same on every entry of a kind. */
const headers = new WeakMap<Signer, Map<string, Header>>();

function headerOf(signer: Signer, contentType: string): Header {
  const known = headers.get(signer) ?? new Map<string, Header>();
  headers.set(signer, known);
  const kid = known.values().next().value?.kid ?? keyId(signer.spki);
  const made = known.get(contentType) ?? { kid, header: protectedHeader(contentType, kid) };
  known.set(contentType, made);
  return made;
}

/** Signs `payload` as `contentType`. */
export async function signPayload(signer: Signer, contentType: string, payload: Uint8Array): Promise<Signed> {
  const { kid, header } = headerOf(signer, contentType);
  const toBeSigned = sigStructure(header, payload);
  const signature = await signer.sign(toBeSigned);
  const writer = new CborWriter();
  writer.head(MAJOR.tag, SIGN1_TAG);
  writer.head(MAJOR.array, 4);
  writer.bytes(header);
  writer.head(MAJOR.map, 0);
  writer.bytes(payload);
  writer.bytes(signature);
  return new Signed(
    writer.finish(),
    header,
    { contentType, keyId: kid, keyIdLatin1: latin1(kid) },
    payload,
    signature,
    toBeSigned,
  );
}

/** Takes a COSE_Sign1 apart. Throws Malformed where it is not in the one form. */
export function parseSigned(bytes: Uint8Array): Signed {
  const reader = new CborReader(bytes);
  if (reader.count(MAJOR.tag) !== SIGN1_TAG) throw new Malformed("is not a COSE_Sign1 (tag 18)");
  if (reader.count(MAJOR.array) !== 4) throw new Malformed("is not a COSE_Sign1 of four parts");
  const header = reader.bytes();
  if (reader.count(MAJOR.map) !== 0) throw new Malformed("has an unprotected header, which nobody signed");
  const payload = reader.bytes();
  const signature = reader.bytes();
  reader.finish();
  if (signature.length !== 64) throw new Malformed(`has a signature of ${signature.length} bytes, not 64`);
  return new Signed(bytes, header, parseHeader(header), payload, signature);
}

/** Headers that were read: the same on every entry of a kind by a key. The oldest makes room. */
const named = new Map<string, Named>();
const HEADERS_KEPT = 4_096;
const HEADER_SIZE_BYTES = 128;

function parseHeader(header: Uint8Array): Named {
  if (header.length > HEADER_SIZE_BYTES) return readHeader(header);
  const spelling = latin1(header);
  let known = named.get(spelling);
  if (known === undefined) {
    known = readHeader(header.slice()); // Not a view: it would keep the whole bundle.
    if (named.size >= HEADERS_KEPT) named.delete(named.keys().next().value ?? "");
    named.set(spelling, known);
  }
  return known;
}

function readHeader(header: Uint8Array): Named {
  const reader = new CborReader(header);
  const three = reader.count(MAJOR.map) === 3;
  if (!three || !reader.take(1) || reader.count(MAJOR.negative) !== ES256)
    throw new Malformed("is not signed with ES256");
  if (!reader.take(3)) throw new Malformed("has no content type in its protected header");
  const contentType = reader.text();
  if (!reader.take(4)) throw new Malformed("has no key id in its protected header");
  const kid = reader.bytes();
  if (kid.length !== 32) throw new Malformed(`has a key id of ${kid.length} bytes, not 32`);
  reader.finish();
  return { contentType, keyId: kid, keyIdLatin1: latin1(kid) };
}

/** Whether `signed` is by the key of `spki`: its id is that key's, and the signature holds. */
export async function verifySigned(signed: Signed, spki: Uint8Array): Promise<boolean> {
  return equal(signed.keyId, keyId(spki)) && (await verifyEs256(spki, signed.toBeSigned, signed.signature));
}

/** The id of what was signed. */
export function signedId(signed: Signed): Uint8Array {
  return signed.id;
}
