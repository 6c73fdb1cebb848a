/** X.509 certificates and revocation lists (RFC 5280), as far as the chains of hardware vendors need them; read strictly. */
import type { SignatureAlgorithm } from "#platform";
import { equal, hex, parseBase64 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import {
  contextTag,
  DerReader,
  parseBitString,
  parseBoolean,
  parseElement,
  parseInteger,
  parseNamedBits,
  parseOid,
  parseSmallInteger,
  parseTime,
  TAG,
} from "./der.ts";

export type Extension = { critical: boolean; value: Uint8Array };

/** A certificate taken apart; nothing is verified yet. Names are raw DER, to be compared whole. */
export type Certificate = {
  bytes: Uint8Array;
  /** The bytes that are signed. */
  tbs: Uint8Array;
  algorithm: SignatureAlgorithm;
  signature: Uint8Array;
  serial: Uint8Array;
  issuer: Uint8Array;
  subject: Uint8Array;
  notBeforeSeconds: number;
  notAfterSeconds: number;
  spki: Uint8Array;
  extensions: ReadonlyMap<string, Extension>;
  isCa: boolean;
  /** How many certificates of authorities may stand between this one and the leaf. */
  pathLength?: number;
  /** The bits of RFC 5280 §4.2.1.3; absent where the certificate does not restrict its key. */
  keyUsage?: ReadonlySet<number>;
};

/** A revocation list taken apart; nothing is verified yet. */
export type Crl = {
  tbs: Uint8Array;
  algorithm: SignatureAlgorithm;
  signature: Uint8Array;
  issuer: Uint8Array;
  thisUpdateSeconds: number;
  nextUpdateSeconds: number;
  /** The serial numbers, in hex. */
  revoked: ReadonlySet<string>;
};

/** AlgorithmIdentifiers by their whole DER: what is spelt otherwise is another algorithm. */
const ALGORITHMS: ReadonlyMap<string, SignatureAlgorithm> = new Map([
  ["300a06082a8648ce3d040302", "es256"],
  ["300a06082a8648ce3d040303", "es384"],
  // RSASSA-PSS with SHA-384, MGF1 of SHA-384 and a salt of 48 bytes (RFC 4055 §3.1); AMD spells out the default trailer.
  [
    "304606092a864886f70d01010a3039a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130a303020101",
    "ps384",
  ],
  [
    "304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130",
    "ps384",
  ],
]);

const BASIC_CONSTRAINTS = "2.5.29.19";
const KEY_USAGE = "2.5.29.15";
const EXTENSIONS_MOST = 32;
/** What this code acts on. A critical extension besides is refused (RFC 5280 §4.2). */
export const UNDERSTOOD: ReadonlySet<string> = new Set([BASIC_CONSTRAINTS, KEY_USAGE]);

/** SEQUENCE of what is signed, the algorithm and the signature: the outside of certificates and lists alike. */
function parseSignedDer(
  bytes: Uint8Array,
): Pick<Certificate, "tbs" | "algorithm" | "signature"> & { named: Uint8Array } {
  const reader = new DerReader(parseElement(bytes, TAG.sequence).value);
  const tbs = reader.expect(TAG.sequence).bytes;
  const named = reader.expect(TAG.sequence).bytes;
  const signature = parseBitString(reader.expect(TAG.bitString).value);
  reader.finish();
  const algorithm = ALGORITHMS.get(hex(named));
  if (algorithm === undefined) throw new Malformed("is signed with an algorithm other than ES256, ES384 and PS384");
  return { tbs, algorithm, signature, named };
}

/** The algorithm inside of what is signed, which must be the one outside (RFC 5280 §4.1.1.2). */
function expectSame(reader: DerReader, named: Uint8Array): void {
  if (!equal(reader.expect(TAG.sequence).bytes, named)) throw new Malformed("names two signature algorithms");
}

/** Takes a certificate apart. Throws Malformed. */
export function parseCertificate(bytes: Uint8Array): Certificate {
  const { tbs, algorithm, signature, named } = parseSignedDer(bytes);
  const reader = new DerReader(parseElement(tbs, TAG.sequence).value);
  if (parseSmallInteger(parseElement(reader.expect(contextTag(0, true)).value, TAG.integer).value) !== 2)
    throw new Malformed("is not a certificate of version 3");
  // Zero and even negative serials occur: AMD gives all its leaves the serial 0.
  const serial = parseInteger(reader.expect(TAG.integer).value);
  expectSame(reader, named);
  const issuer = reader.expect(TAG.sequence).bytes;
  const validity = reader.enter();
  const notBeforeSeconds = parseTime(validity.next());
  const notAfterSeconds = parseTime(validity.next());
  validity.finish();
  const subject = reader.expect(TAG.sequence).bytes;
  const spki = reader.expect(TAG.sequence).bytes;
  const extensions = parseExtensions(reader.expect(contextTag(3, true)).value);
  reader.finish();
  const times = { notBeforeSeconds, notAfterSeconds };
  const whole = { bytes, tbs, algorithm, signature, serial, issuer, subject, ...times, spki, extensions };
  return { ...whole, ...parseConstraints(extensions) };
}

/** The extensions in a SEQUENCE of them. */
function parseExtensions(bytes: Uint8Array): Map<string, Extension> {
  const list = new DerReader(parseElement(bytes, TAG.sequence).value);
  const extensions = new Map<string, Extension>();
  while (list.peek() !== undefined) {
    const reader = list.enter();
    const oid = parseOid(reader.expect(TAG.oid).value);
    const flag = reader.find(TAG.boolean);
    const critical = flag !== undefined && parseBoolean(flag.value);
    if (flag !== undefined && !critical) throw new Malformed("spells out a default");
    const extension = { critical, value: reader.expect(TAG.octetString).value };
    reader.finish();
    if (extensions.has(oid)) throw new Malformed(`has the extension ${oid} twice`);
    if (extensions.size === EXTENSIONS_MOST) throw new Malformed(`has more than ${EXTENSIONS_MOST} extensions`);
    extensions.set(oid, extension);
  }
  return extensions;
}

function parseConstraints(
  extensions: ReadonlyMap<string, Extension>,
): Pick<Certificate, "isCa" | "pathLength" | "keyUsage"> {
  const usage = extensions.get(KEY_USAGE);
  const keyUsage =
    usage === undefined ? {} : { keyUsage: parseNamedBits(parseElement(usage.value, TAG.bitString).value) };
  const basic = extensions.get(BASIC_CONSTRAINTS);
  if (basic === undefined) return { isCa: false, ...keyUsage };
  const reader = new DerReader(parseElement(basic.value, TAG.sequence).value);
  const flag = reader.find(TAG.boolean);
  const isCa = flag !== undefined && parseBoolean(flag.value);
  if (flag !== undefined && !isCa) throw new Malformed("spells out a default");
  const length = isCa ? reader.find(TAG.integer) : undefined;
  reader.finish();
  return { isCa, ...keyUsage, ...(length === undefined ? {} : { pathLength: parseSmallInteger(length.value) }) };
}

/** Takes a revocation list apart. Throws Malformed: also where an extension of it is critical, which none that is whole has. */
export function parseCrl(bytes: Uint8Array): Crl {
  const { tbs, algorithm, signature, named } = parseSignedDer(bytes);
  const reader = new DerReader(parseElement(tbs, TAG.sequence).value);
  if (parseSmallInteger(reader.expect(TAG.integer).value) !== 1) throw new Malformed("is not a list of version 2");
  expectSame(reader, named);
  const issuer = reader.expect(TAG.sequence).bytes;
  const thisUpdateSeconds = parseTime(reader.next());
  const nextUpdateSeconds = parseTime(reader.next());
  const revoked = new Set<string>();
  const entries = reader.peek() === TAG.sequence ? reader.enter() : undefined;
  while (entries?.peek() !== undefined) {
    const entry = entries.enter();
    revoked.add(hex(parseInteger(entry.expect(TAG.integer).value)));
    parseTime(entry.next());
    if (entry.peek() !== undefined) refuseCritical(parseExtensions(entry.next().bytes));
    entry.finish();
  }
  const extensions = reader.find(contextTag(0, true));
  if (extensions !== undefined) refuseCritical(parseExtensions(extensions.value));
  reader.finish();
  return { tbs, algorithm, signature, issuer, thisUpdateSeconds, nextUpdateSeconds, revoked };
}

function refuseCritical(extensions: ReadonlyMap<string, Extension>): void {
  for (const [oid, { critical }] of extensions)
    if (critical) throw new Malformed(`has the critical extension ${oid}, which is not understood`);
}

const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;
const CERTIFICATES_MOST = 16;

/** The DER of each certificate in PEM (RFC 7468 §5), in order. Throws Malformed. */
export function parsePemChain(text: string): Uint8Array[] {
  const chain = [...text.matchAll(PEM)].slice(0, CERTIFICATES_MOST + 1).map(([, body = ""]) => {
    const der = parseBase64(body.replace(/\s/g, ""));
    if (der === undefined) throw new Malformed("has a certificate that is not base64");
    return der;
  });
  if (chain.length === 0 || chain.length > CERTIFICATES_MOST)
    throw new Malformed(`has ${chain.length} certificates in PEM where 1 to ${CERTIFICATES_MOST} are allowed`);
  return chain;
}

/** r ‖ s of an ECDSA signature in DER (RFC 3279 §2.2.3), each of `sizeBytes`. Throws Malformed. */
export function parseEcdsaSignature(der: Uint8Array, sizeBytes: number): Uint8Array {
  const reader = new DerReader(parseElement(der, TAG.sequence).value);
  const signature = new Uint8Array(2 * sizeBytes);
  for (const end of [sizeBytes, 2 * sizeBytes]) {
    const integer = parseInteger(reader.expect(TAG.integer).value);
    const bytes = integer[0] === 0 ? integer.subarray(1) : integer;
    if ((integer[0] ?? 0) >= 0x80 || bytes.length > sizeBytes)
      throw new Malformed("has a signature that is out of range");
    signature.set(bytes, end - bytes.length);
  }
  reader.finish();
  return signature;
}
