/** Certificates and revocation lists of our own making, for what no vendor's vector shows: revoked, debug, out of date. */
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { base64, concat, utf8 } from "../packages/protocol/src/bytes.ts";

type Curve = "P-256" | "P-384";
export type Key = { curve: Curve; privateKey: KeyObject; spki: Uint8Array };

export function newKey(curve: Curve): Key {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: curve });
  return { curve, privateKey, spki: new Uint8Array(publicKey.export({ format: "der", type: "spki" })) };
}

/** x ‖ y, the end of an uncompressed key's SPKI. */
export const pointOf = ({ curve, spki }: Key): Uint8Array => spki.subarray(curve === "P-256" ? -64 : -96);

/** A signature over `message`: r ‖ s, or DER as certificates have it. */
export function signBy({ curve, privateKey }: Key, message: Uint8Array, encoding: "ieee-p1363" | "der" = "ieee-p1363") {
  const hash = curve === "P-256" ? "sha256" : "sha384";
  return new Uint8Array(sign(hash, message, { key: privateKey, dsaEncoding: encoding }));
}

export function der(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const value = concat(...parts);
  const length = value.length;
  if (length < 0x80) return concat(Uint8Array.of(tag, length), value);
  if (length < 0x100) return concat(Uint8Array.of(tag, 0x81, length), value);
  return concat(Uint8Array.of(tag, 0x82, length >> 8, length & 255), value);
}
export const sequence = (...parts: Uint8Array[]): Uint8Array => der(0x30, ...parts);
export const octets = (value: Uint8Array): Uint8Array => der(0x04, value);
/** A small INTEGER. */
export const integer = (value: number): Uint8Array =>
  der(0x02, value < 0x80 ? Uint8Array.of(value) : Uint8Array.of(0, value));

export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const base128 = (arc: number): number[] =>
    arc < 128 ? [arc] : [...base128(Math.floor(arc / 128)).map((b) => b | 128), arc & 127];
  return der(0x06, Uint8Array.from([40 * first + second, ...rest].flatMap(base128)));
}

const utf8String = (text: string) => der(0x0c, utf8(text));
export const nameOf = (commonName: string): Uint8Array =>
  sequence(der(0x31, sequence(oid("2.5.4.3"), utf8String(commonName))));
const bits = (value: Uint8Array) => der(0x03, Uint8Array.of(0), value);
const generalizedTime = (seconds: number) =>
  der(0x18, utf8(`${new Date(1000 * seconds).toISOString().replace(/[-:T]|\.\d+Z/g, "")}Z`));
const algorithmOf = ({ curve }: Key) => sequence(oid(`1.2.840.10045.4.3.${curve === "P-256" ? 2 : 3}`));

function signed(tbs: Uint8Array, key: Key): Uint8Array {
  return sequence(tbs, algorithmOf(key), bits(signBy(key, tbs, "der")));
}

export type Issued = { certificate: Uint8Array; key: Key; subject: string };
export type ToIssue = {
  subject: string;
  key: Key;
  /** Itself, where nobody issues it. */
  issuer?: { subject: string; key: Key };
  isCa: boolean;
  serial?: number;
  notBeforeSeconds: number;
  notAfterSeconds: number;
  extensions?: [oid: string, value: Uint8Array][];
};

export function issue(to: ToIssue): Issued {
  const issuer = to.issuer ?? to;
  const extension = (name: string, value: Uint8Array, critical: boolean) =>
    sequence(oid(name), ...(critical ? [der(0x01, Uint8Array.of(0xff))] : []), octets(value));
  const usage = to.isCa ? der(0x03, Uint8Array.of(1, 0x06)) : der(0x03, Uint8Array.of(7, 0x80));
  const tbs = sequence(
    der(0xa0, integer(2)),
    integer(to.serial ?? 1),
    algorithmOf(issuer.key),
    nameOf(issuer.subject),
    sequence(generalizedTime(to.notBeforeSeconds), generalizedTime(to.notAfterSeconds)),
    nameOf(to.subject),
    to.key.spki,
    der(
      0xa3,
      sequence(
        extension("2.5.29.19", sequence(...(to.isCa ? [der(0x01, Uint8Array.of(0xff))] : [])), true),
        extension("2.5.29.15", usage, true),
        ...(to.extensions ?? []).map(([name, value]) => extension(name, value, false)),
      ),
    ),
  );
  return { certificate: signed(tbs, issuer.key), key: to.key, subject: to.subject };
}

export function issueCrl(issuer: Issued, serials: number[], thisUpdateSeconds: number, nextUpdateSeconds: number) {
  const entries = serials.map((serial) => sequence(integer(serial), generalizedTime(thisUpdateSeconds)));
  const tbs = sequence(
    integer(1),
    algorithmOf(issuer.key),
    nameOf(issuer.subject),
    generalizedTime(thisUpdateSeconds),
    generalizedTime(nextUpdateSeconds),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
  );
  return signed(tbs, issuer.key);
}

export function pemOf(...issued: Issued[]): string {
  return issued
    .map(({ certificate }) => `-----BEGIN CERTIFICATE-----\n${base64(certificate)}\n-----END CERTIFICATE-----\n`)
    .join("");
}
