/** Certificates and revocation lists of our own making (RFC 5280), for chains that no vendor would sign. */
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";

const bytesOf = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

/** One element of DER. */
export function der(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const value = bytesOf(...parts);
  const { length } = value;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return bytesOf(Uint8Array.of(tag, ...head), value);
}

export const sequence = (...parts: Uint8Array[]) => der(0x30, ...parts);
export const integer = (...bytes: number[]) => der(0x02, Uint8Array.from(bytes));
export const boolean = (value: boolean) => der(0x01, Uint8Array.of(value ? 255 : 0));

export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const arcs = [40 * first + second, ...rest].map((arc) => {
    const septets = [arc & 127];
    for (let left = arc >> 7; left > 0; left >>= 7) septets.unshift(128 | (left & 127));
    return Uint8Array.from(septets);
  });
  return der(0x06, ...arcs);
}

/** A name that is only a common name. */
export const nameOf = (text: string) => sequence(der(0x31, sequence(oid("2.5.4.3"), der(0x0c, Buffer.from(text)))));

/** GeneralizedTime of seconds since 1970. */
export function timeOf(seconds: number): Uint8Array {
  return der(0x18, Buffer.from(`${new Date(seconds * 1000).toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`));
}

const PSS = Buffer.from(
  "304606092a864886f70d01010a3039a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130a303020101",
  "hex",
);

/** A key that signs as vendors do: ES256, ES384 or PS384. */
export type VendorKey = {
  spki: Uint8Array;
  /** Its AlgorithmIdentifier. */
  algorithm: Uint8Array;
  /** ECDSA in DER, as certificates have it. */
  sign(message: Uint8Array): Uint8Array;
  /** ECDSA as r ‖ s. */
  signRaw(message: Uint8Array): Uint8Array;
};

export function vendorKey(kind: "es256" | "es384" | "ps384"): VendorKey {
  const pair =
    kind === "ps384"
      ? generateKeyPairSync("rsa", { modulusLength: 2048 })
      : generateKeyPairSync("ec", { namedCurve: kind === "es256" ? "P-256" : "P-384" });
  const key: KeyObject = pair.privateKey;
  const hash = kind === "es256" ? "sha256" : "sha384";
  return {
    spki: new Uint8Array(pair.publicKey.export({ format: "der", type: "spki" })),
    algorithm: kind === "ps384" ? PSS : sequence(oid(`1.2.840.10045.4.3.${kind === "es256" ? 2 : 3}`)),
    sign: (message) =>
      new Uint8Array(sign(hash, message, kind === "ps384" ? { key, padding: 6, saltLength: 48 } : key)),
    signRaw: (message) => new Uint8Array(sign(hash, message, { key, dsaEncoding: "ieee-p1363" })),
  };
}

export const extension = (id: string, value: Uint8Array, critical = false) =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), der(0x04, value));
export const basicConstraints = (pathLength?: number) =>
  extension("2.5.29.19", sequence(boolean(true), ...(pathLength === undefined ? [] : [integer(pathLength)])), true);
/** The named bits up to the eighth, as DER has them. */
export function keyUsage(...bits: number[]): Uint8Array {
  const byte = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  return extension("2.5.29.15", der(0x03, Uint8Array.of(7 - Math.max(...bits), byte)), true);
}
/** Of an authority that signs certificates and lists. */
export const authority = (pathLength?: number) => [basicConstraints(pathLength), keyUsage(5, 6)];

export type CertificateShape = {
  subject: string;
  key: VendorKey;
  issuer: string;
  issuerKey: VendorKey;
  serial?: number;
  notBeforeSeconds?: number;
  notAfterSeconds?: number;
  extensions?: Uint8Array[];
};

/** A certificate, valid from 1,000 to 2,000 seconds after 1970 where nothing else is said. */
export function certificate(shape: CertificateShape): Uint8Array {
  const { subject, key, issuer, issuerKey, serial = 1, extensions = [] } = shape;
  const { notBeforeSeconds = 1_000, notAfterSeconds = 2_000 } = shape;
  const tbs = sequence(
    der(0xa0, integer(2)),
    integer(serial),
    issuerKey.algorithm,
    nameOf(issuer),
    sequence(timeOf(notBeforeSeconds), timeOf(notAfterSeconds)),
    nameOf(subject),
    key.spki,
    der(0xa3, sequence(...extensions)),
  );
  return signedDer(tbs, issuerKey);
}

export const signedDer = (tbs: Uint8Array, key: VendorKey) =>
  sequence(tbs, key.algorithm, der(0x03, Uint8Array.of(0), key.sign(tbs)));

export type CrlShape = {
  issuer: string;
  issuerKey: VendorKey;
  serials?: number[];
  thisUpdateSeconds?: number;
  nextUpdateSeconds?: number;
  extensions?: Uint8Array[];
};

/** A list of what `issuer` revoked, current from 1,000 to 2,000 seconds after 1970 where nothing else is said. */
export function revocationList(shape: CrlShape): Uint8Array {
  const { issuer, issuerKey, serials = [], extensions = [extension("2.5.29.20", integer(1))] } = shape;
  const { thisUpdateSeconds = 1_000, nextUpdateSeconds = 2_000 } = shape;
  const entries = serials.map((serial) => sequence(integer(serial), timeOf(1_000)));
  const tbs = sequence(
    integer(1),
    issuerKey.algorithm,
    nameOf(issuer),
    timeOf(thisUpdateSeconds),
    timeOf(nextUpdateSeconds),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    der(0xa0, sequence(...extensions)),
  );
  return signedDer(tbs, issuerKey);
}
