/** The platform on Node.js: OpenSSL, with each key imported once. */
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";

/** The most keys kept imported; the oldest makes room. */
const KEYS_KEPT = 4096;
const keys = new Map<string, KeyObject | undefined>();

function importKey(der: Uint8Array): KeyObject | undefined {
  const name = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString("latin1");
  if (keys.has(name)) return keys.get(name);
  let key: KeyObject | undefined;
  try {
    key = createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  } catch {
    key = undefined; // Not a key: every signature by it is false.
  }
  if (keys.size >= KEYS_KEPT) keys.delete(keys.keys().next().value ?? "");
  keys.set(name, key);
  return key;
}

export function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

export async function verifyEs256(spki: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const key = importKey(spki);
  if (key?.asymmetricKeyDetails?.namedCurve !== "prime256v1" || signature.length !== 64) return false;
  return verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, signature);
}

/** The DER before the 32 raw bytes of an Ed25519 public key (RFC 8410 §4). */
const ED25519_SPKI = Uint8Array.from([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00]);

export async function verifyEd25519(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  const key = importKey(Buffer.concat([ED25519_SPKI, publicKey]));
  return key !== undefined && verify(null, message, key, signature);
}
