/** The platform on Node.js: OpenSSL, with each key imported once. */
import { createHash, createPublicKey, hash, type KeyObject, verify } from "node:crypto";

/** The most keys kept imported; the oldest makes room. */
const KEYS_KEPT = 4096;
const keys = new Map<string, KeyObject | undefined>();

/** The key in `bytes` where it is one and `isRight`. */
function importKey(bytes: Uint8Array, isRight: (key: KeyObject) => boolean): KeyObject | undefined {
  const der = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = der.toString("latin1");
  if (keys.has(name)) return keys.get(name);
  let key: KeyObject | undefined;
  try {
    key = createPublicKey({ key: der, format: "der", type: "spki" });
  } catch {
    key = undefined; // Not a key: every signature by it is false.
  }
  if (key !== undefined && !isRight(key)) key = undefined;
  if (keys.size >= KEYS_KEPT) keys.delete(keys.keys().next().value ?? "");
  keys.set(name, key);
  return key;
}

/** Up to here one call on joined parts costs less than a hash object. */
const SMALL_SIZE_BYTES = 4096;

export function sha256(...parts: Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return bytesOf(hash("sha256", first, "buffer"));
  if (parts.reduce((size, part) => size + part.length, 0) <= SMALL_SIZE_BYTES)
    return bytesOf(hash("sha256", Buffer.concat(parts), "buffer"));
  const object = createHash("sha256");
  for (const part of parts) object.update(part);
  return bytesOf(object.digest());
}

/** The bytes of a Buffer as what they are: callers compare and print plain arrays. */
function bytesOf({ buffer, byteOffset, byteLength }: Buffer): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

export async function verifyEs256(spki: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const key = importKey(spki, ({ asymmetricKeyDetails }) => asymmetricKeyDetails?.namedCurve === "prime256v1");
  if (key === undefined || signature.length !== 64) return false;
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
  const key = importKey(
    Buffer.concat([ED25519_SPKI, publicKey]),
    ({ asymmetricKeyType }) => asymmetricKeyType === "ed25519",
  );
  return key !== undefined && verify(null, message, key, signature);
}
