/** Keys that follow from a label, and signatures that come out the same each time: ECDSA by RFC 6979, Ed25519 by RFC 8032. */
import { createECDH, createHash, createHmac, createPrivateKey, createPublicKey, sign } from "node:crypto";
import {
  cosignatureMessage,
  createNoteKey,
  encodeCosignature,
  type NoteKey,
  type NoteSignature,
  type Signer,
} from "@tallystick/protocol";

const CURVE_ORDER = 0xffffffff_00000000_ffffffff_ffffffff_bce6faad_a7179e84_f3b9cac2_fc632551n;
const P256_SPKI_HEAD = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d030107034200", "hex");
const ED25519_PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");

const secretOf = (label: string) => createHash("sha256").update(`tallystick test key: ${label}`).digest();
const integerOf = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
const bytesOf = (integer: bigint) => Buffer.from(integer.toString(16).padStart(64, "0"), "hex");

/** A P-256 signer whose key is SHA-256 of `label` behind a prefix. */
export function fixedSigner(label: string): Signer {
  return p256Signer(secretOf(label));
}

/** A P-256 signer of a given secret, deterministic as RFC 6979 §3.2 has it. */
export function p256Signer(secret: Uint8Array): Signer {
  const spki = new Uint8Array(Buffer.concat([P256_SPKI_HEAD, pointOf(secret)]));
  return {
    spki,
    async sign(message) {
      const digest = integerOf(createHash("sha256").update(message).digest()) % CURVE_ORDER;
      const nonce = nonceOf(secret, bytesOf(digest));
      const r = integerOf(pointOf(bytesOf(nonce)).subarray(1, 33)) % CURVE_ORDER;
      const s = (inverse(nonce) * (digest + r * integerOf(secret))) % CURVE_ORDER;
      return new Uint8Array(Buffer.concat([bytesOf(r), bytesOf(s)]));
    },
  };
}

/** The uncompressed point: secret · G. */
function pointOf(secret: Uint8Array): Buffer {
  const ecdh = createECDH("prime256v1");
  ecdh.setPrivateKey(secret);
  return ecdh.getPublicKey();
}

function nonceOf(secret: Uint8Array, digest: Uint8Array): bigint {
  let key: Buffer = Buffer.alloc(32, 0);
  let value: Buffer = Buffer.alloc(32, 1);
  const hmac = (...parts: Uint8Array[]) => createHmac("sha256", key).update(Buffer.concat(parts)).digest();
  for (const step of [0, 1]) {
    key = hmac(value, Uint8Array.of(step), secret, digest);
    value = hmac(value);
  }
  value = hmac(value);
  return integerOf(value); // At or over the order with a chance of 2^-32; then signing fails loudly.
}

/** 1 / value modulo the order of the curve, by Fermat. */
function inverse(value: bigint): bigint {
  let [result, base] = [1n, value % CURVE_ORDER];
  for (let exponent = CURVE_ORDER - 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % CURVE_ORDER;
    base = (base * base) % CURVE_ORDER;
  }
  return result;
}

/** A key of ML-DSA-44 by which nobody can sign: bytes that follow from its name. */
export function fixedMlDsaKey(name: string): NoteKey {
  const blocks = Array.from({ length: 1312 / 32 }, (_, i) => secretOf(`${name} ${i}`));
  return createNoteKey(name, "ml-dsa-44", new Uint8Array(Buffer.concat(blocks)));
}

/** What signs and cosigns notes under one name. */
export type NoteSigner = {
  key: NoteKey;
  sign(text: string): NoteSignature;
  cosign(text: string, timeSeconds: number | bigint): NoteSignature;
};

/** An Ed25519 signer of notes whose seed is SHA-256 of `label` behind a prefix. */
export function fixedNoteSigner(name: string, label: string = name): NoteSigner {
  const der = Buffer.concat([ED25519_PKCS8_HEAD, secretOf(label)]);
  const secret = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const publicKey = new Uint8Array(createPublicKey(secret).export({ format: "der", type: "spki" }).subarray(-32));
  const key = createNoteKey(name, "ed25519", publicKey);
  const cosignerKey = createNoteKey(name, "cosignature", publicKey);
  return {
    key,
    sign: (text) => ({ name, id: key.id, signature: new Uint8Array(sign(null, Buffer.from(text), secret)) }),
    cosign(text, timeSeconds) {
      const signature = sign(null, cosignatureMessage(timeSeconds, text), secret);
      return { name, id: cosignerKey.id, signature: encodeCosignature(timeSeconds, signature) };
    },
  };
}
