/**
 * Appraising an attestation document of AWS Nitro Enclaves: a COSE_Sign1 with ES384 by a leaf that lives some three hours,
 * under the pinned root ("Verifying the root of trust" of AWS's Nitro Enclaves documentation; RFC 9052).
 */
import { sha256, verifySignature } from "#platform";
import { equal } from "../bytes.ts";
import { CborReader, MAJOR, Malformed } from "../cbor/bytes.ts";
import { SIGN1_TAG, sigStructure } from "../sign/cose.ts";
import {
  type Appraisal,
  type AttestationCheck,
  type Attested,
  checkBinding,
  conclude,
  type Expected,
  judge,
  measurementOf,
} from "./appraisal.ts";
import { type Chain, checkChain, notAfterOf } from "./chain.ts";
import { checkRoot } from "./roots.ts";
import { type Crl, parseCertificate, parseCrl } from "./x509.ts";

/** An attestation document taken apart; nothing is verified yet. */
export type NitroDocument = {
  moduleId: string;
  timestampSeconds: number;
  pcrs: ReadonlyMap<number, Uint8Array>;
  certificate: Uint8Array;
  /** The root first. */
  cabundle: readonly Uint8Array[];
  publicKey: Uint8Array;
  userData: Uint8Array;
  nonce: Uint8Array;
  /** The Sig_structure. */
  toBeSigned: Uint8Array;
  signature: Uint8Array;
};

const PCRS_MOST = 32;
const CERTIFICATES_MOST = 8;
/** A document is signed when it is made: its time may lie ahead of ours by what clocks differ. */
const CLOCK_SKEW_SECONDS = 300;
/** What an enclave image measures: the image, its kernel with the boot ramdisk, and the application. */
const IMAGE_PCRS = [0, 1, 2];

/** {1: -35}: ES384. */
const ES384_HEADER = Uint8Array.of(0xa1, 0x01, 0x38, 0x22);
const INDEFINITE_MAP = 0xbf;
const BREAK = 0xff;
const SIMPLE = 7;

/** Takes a document apart. Throws Malformed. */
export function parseNitroDocument(bytes: Uint8Array): NitroDocument {
  const reader = new CborReader(bytes);
  if (reader.peek() === MAJOR.tag && reader.count(MAJOR.tag) !== SIGN1_TAG) throw new Malformed("is not a COSE_Sign1");
  if (reader.count(MAJOR.array) !== 4) throw new Malformed("is not a COSE_Sign1 of four parts");
  const header = reader.bytes();
  if (!equal(header, ES384_HEADER)) throw new Malformed("is not signed with ES384");
  if (reader.count(MAJOR.map) !== 0) throw new Malformed("has an unprotected header, which nobody signed");
  const payload = reader.bytes();
  const signature = reader.bytes();
  reader.finish();
  if (signature.length !== 96) throw new Malformed(`has a signature of ${signature.length} bytes, not 96`);
  return { ...parsePayload(payload), toBeSigned: sigStructure(header, payload), signature };
}

type Payload = Omit<NitroDocument, "toBeSigned" | "signature">;

/** The map of the payload. The security module writes it with an indefinite length, everything in it with a definite one. */
function parsePayload(payload: Uint8Array): Payload {
  const isIndefinite = payload[0] === INDEFINITE_MAP && payload.at(-1) === BREAK;
  const reader = new CborReader(isIndefinite ? payload.subarray(1, -1) : payload);
  let left = isIndefinite ? Number.POSITIVE_INFINITY : reader.count(MAJOR.map);
  const read: Partial<Payload> & { digest?: string } = {};
  for (; left > 0 && reader.peek() !== undefined; left--) {
    const part = readMember(reader.text(), reader);
    for (const name of Object.keys(part)) if (name in read) throw new Malformed(`has two members ${name}`);
    Object.assign(read, part);
  }
  reader.finish();
  const { digest, moduleId, timestampSeconds, pcrs, certificate, cabundle, ...optional } = read;
  if (digest !== "SHA384") throw new Malformed("does not measure with SHA384");
  if (moduleId === undefined || timestampSeconds === undefined) throw new Malformed("lacks its module id or its time");
  if (pcrs === undefined || certificate === undefined || cabundle === undefined)
    throw new Malformed("lacks its registers or its certificates");
  const none = new Uint8Array(0);
  const { publicKey = none, userData = none, nonce = none } = optional;
  return { moduleId, timestampSeconds, pcrs, certificate, cabundle, publicKey, userData, nonce };
}

function readMember(name: string, reader: CborReader): Partial<Payload> & { digest?: string } {
  switch (name) {
    case "module_id":
      return { moduleId: reader.text() };
    case "digest":
      return { digest: reader.text() };
    case "timestamp":
      return { timestampSeconds: Math.floor(reader.count(MAJOR.uint) / 1000) };
    case "pcrs":
      return { pcrs: readPcrs(reader) };
    case "certificate":
      return { certificate: reader.bytes() };
    case "cabundle":
      return { cabundle: readBundle(reader) };
    case "public_key":
      return { publicKey: readOptional(reader) };
    case "user_data":
      return { userData: readOptional(reader) };
    case "nonce":
      return { nonce: readOptional(reader) };
    default:
      throw new Malformed("has a member that attestation documents do not have");
  }
}

function readPcrs(reader: CborReader): Map<number, Uint8Array> {
  const count = reader.count(MAJOR.map);
  const pcrs = new Map<number, Uint8Array>();
  for (let i = 0; i < count; i++) {
    const number = reader.count(MAJOR.uint);
    const value = reader.bytes();
    if (number >= PCRS_MOST || pcrs.has(number) || value.length !== 48)
      throw new Malformed(`has a register ${number} that is none, is there twice or has no 48 bytes`);
    pcrs.set(number, value);
  }
  return pcrs;
}

function readBundle(reader: CborReader): Uint8Array[] {
  const count = reader.count(MAJOR.array);
  if (count < 1 || count > CERTIFICATES_MOST) throw new Malformed(`has ${count} certificates in its bundle`);
  return Array.from({ length: count }, () => reader.bytes());
}

function readOptional(reader: CborReader): Uint8Array {
  if (reader.peek() !== SIMPLE) return reader.bytes();
  reader.null();
  return new Uint8Array(0);
}

/** Appraises a document at `nowSeconds`. Its report data are its `user_data`; lists of revocations are in DER; `root` trusts another root than AWS's. */
export function appraiseNitro(given: {
  evidence: Uint8Array;
  crls?: readonly Uint8Array[];
  root?: Uint8Array;
  nowSeconds: number;
  expected: Expected;
}): Promise<Appraisal> {
  return conclude("nitro", async (checks) => {
    const document = parseNitroDocument(given.evidence);
    const { nowSeconds, expected } = given;
    const crls = (given.crls ?? []).map(parseCrl);
    const chain = chainOf(document);
    checks.push(checkRoot("nitro", chain.root.bytes, given.root));
    checks.push(...(await checkChain({ ...chain, nowSeconds, crls })));
    const holds = await verifySignature("es384", chain.leaf.spki, document.toBeSigned, document.signature);
    checks.push(judge("signature", "bad_signature", !holds && "the document's signature does not hold", "by the leaf"));
    checks.push(checkTime(document, nowSeconds), checkDebug(document));
    checks.push(checkBinding(expected.reportData, document.userData), checkNonce(expected.nonce, document.nonce));
    return attestedOf(document, chain, crls);
  });
}

/** The bundle goes from the root down to the leaf's issuer. */
function chainOf({ certificate, cabundle }: NitroDocument): Chain {
  const [root, ...below] = cabundle.map(parseCertificate);
  if (root === undefined) throw new Malformed("has no root in its bundle");
  return { leaf: parseCertificate(certificate), intermediates: below.reverse(), root };
}

function checkTime({ timestampSeconds }: NitroDocument, nowSeconds: number): AttestationCheck {
  const isAhead = timestampSeconds > nowSeconds + CLOCK_SKEW_SECONDS;
  return judge("time", "not_valid_now", isAhead && "the document is from the future", "the document was made before");
}

/** An enclave in debug mode has registers of zeros: its memory is open to its parent. */
function checkDebug({ pcrs }: NitroDocument): AttestationCheck {
  const isDebug = IMAGE_PCRS.some((number) => pcrs.get(number)?.every((byte) => byte === 0) !== false);
  return judge(
    "debug",
    "debug",
    isDebug && "PCR0, 1 or 2 is zero: the enclave runs in debug mode",
    "not in debug mode",
  );
}

function checkNonce(expected: Uint8Array | undefined, nonce: Uint8Array): AttestationCheck {
  const name = "nonce";
  if (expected === undefined) return { name, state: "not_checked", detail: "no nonce of the format's own is expected" };
  return judge(
    name,
    "wrong_binding",
    !equal(expected, nonce) && "the nonce is another",
    "the nonce is the expected one",
  );
}

function attestedOf(document: NitroDocument, chain: Chain, crls: readonly Crl[]): Attested {
  const registers = new Map(IMAGE_PCRS.map((number) => [number, document.pcrs.get(number) ?? new Uint8Array(0)]));
  return {
    registers,
    measurement: measurementOf(registers),
    reportData: document.userData,
    root: sha256(chain.root.bytes),
    notAfterSeconds: notAfterOf(chain, crls),
  };
}
