/** An entry: a COSE_Sign1 whose content type names its kind (docs/spec/entry.md). */
import { Malformed } from "../cbor/bytes.ts";
import { type Codec, decode, encode, type Infer } from "../cbor/codec.ts";
import { AUTHORIZATION_SIZE_BYTES, ENTRY_SIZE_BYTES, NAME_LENGTH, RECEIPT_SIZE_BYTES } from "../limits.ts";
import { parseSigned, type Signed, type Signer, signPayload } from "../sign/cose.ts";
import { type AuthorizationPayload, authorizationPayload, type EntryKind, PAYLOADS } from "./payload.ts";

type Payload<K extends EntryKind> = Infer<(typeof PAYLOADS)[K]>;

/** An entry taken apart: what it says, and the bytes that were signed. Nothing is verified yet. */
export type Entry = { [K in EntryKind]: { kind: K; says: Payload<K>; signed: Signed } }[EntryKind];
export type EntryOf<K extends EntryKind> = Extract<Entry, { kind: K }>;

const contentTypeOf = (kind: string) => `application/vnd.tallystick.${kind}+cbor`;
const KINDS = new Map((Object.keys(PAYLOADS) as EntryKind[]).map((kind) => [contentTypeOf(kind), kind]));

/**
 * Receipts and authorizations that were signed here, by the very bytes that they were signed into. They were held to every
 * bound when they were written: whoever is handed those bytes need not take them apart again.
 */
const madeReceipts = new WeakMap<Uint8Array, Entry>();
const madeAuthorizations = new WeakMap<Uint8Array, Authorization>();

/** Takes an entry apart. Throws Malformed. */
export function parseEntry(bytes: Uint8Array): Entry {
  const known = madeReceipts.get(bytes);
  if (known !== undefined) return known;
  if (bytes.length > ENTRY_SIZE_BYTES)
    throw new Malformed(`has ${bytes.length} bytes; an entry has at most ${ENTRY_SIZE_BYTES}`);
  const signed = parseSigned(bytes);
  const kind = KINDS.get(signed.contentType);
  if (kind === undefined)
    throw new Malformed(
      `is of content type ${JSON.stringify(signed.contentType.slice(0, NAME_LENGTH))}, which is no kind of entry`,
    );
  if (kind === "receipt" && bytes.length > RECEIPT_SIZE_BYTES)
    throw new Malformed(`is a receipt of ${bytes.length} bytes; a receipt has at most ${RECEIPT_SIZE_BYTES}`);
  const codec = PAYLOADS[kind] as Codec<Payload<EntryKind>>;
  return { kind, says: decode(codec, signed.payload), signed } as Entry;
}

/** Signs an entry of `kind`. */
export async function signEntry<K extends EntryKind>(signer: Signer, kind: K, says: Payload<K>): Promise<EntryOf<K>> {
  const codec = PAYLOADS[kind] as Codec<Payload<K>>;
  const signed = await signPayload(signer, contentTypeOf(kind), encode(codec, says));
  const entry = { kind, says, signed } as unknown as EntryOf<K>;
  if (kind === "receipt") madeReceipts.set(signed.bytes, entry as Entry);
  return entry;
}

export type Authorization = { says: AuthorizationPayload; signed: Signed };

/** Signs a request authorization: the requester's half. */
export async function signAuthorization(signer: Signer, says: AuthorizationPayload): Promise<Authorization> {
  const signed = await signPayload(signer, contentTypeOf("authorization"), encode(authorizationPayload, says));
  const authorization = { says, signed };
  madeAuthorizations.set(signed.bytes, authorization);
  return authorization;
}

/** The authorization that was taken apart last: an audit asks for it twice, to check the signature and to fold the entry. */
let lastParsed: { bytes: Uint8Array; authorization: Authorization } | undefined;

/** Takes a request authorization apart. Throws Malformed. */
export function parseAuthorization(bytes: Uint8Array): Authorization {
  const known = madeAuthorizations.get(bytes);
  if (known !== undefined) return known;
  if (lastParsed?.bytes === bytes) return lastParsed.authorization;
  if (bytes.length > AUTHORIZATION_SIZE_BYTES)
    throw new Malformed(`has ${bytes.length} bytes; an authorization has at most ${AUTHORIZATION_SIZE_BYTES}`);
  const signed = parseSigned(bytes);
  if (signed.contentType !== contentTypeOf("authorization")) throw new Malformed("is not a request authorization");
  const authorization = { says: decode(authorizationPayload, signed.payload), signed };
  lastParsed = { bytes, authorization };
  return authorization;
}
