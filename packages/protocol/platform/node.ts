/** The platform on Node.js: OpenSSL, with each key imported once. */
import { constants, createHash, createPublicKey, hash, type KeyObject, verify } from "node:crypto";
import type { SignatureAlgorithm } from "#platform";

/** The most keys kept imported; the oldest makes room. */
const KEYS_KEPT = 4096;
const keys = new Map<string, KeyObject | undefined>();

/** The key in `bytes` where it is one and `isRight`. */
function importKey(bytes: Uint8Array, isRight: (key: KeyObject) => boolean): KeyObject | undefined {
  const der = bufferOf(bytes);
  const name = der.toString("latin1");
  let key = keys.get(name);
  if (keys.has(name)) return key !== undefined && isRight(key) ? key : undefined;
  try {
    key = createPublicKey({ key: der, format: "der", type: "spki" });
  } catch {
    key = undefined; // Not a key: every signature by it is false.
  }
  if (keys.size >= KEYS_KEPT) keys.delete(keys.keys().next().value ?? "");
  keys.set(name, key);
  return key !== undefined && isRight(key) ? key : undefined;
}

/** Up to here one call on joined parts costs less than a hash object. */
const SMALL_SIZE_BYTES = 4096;
const joined = Buffer.alloc(SMALL_SIZE_BYTES);
const digest = Buffer.alloc(32);

export function sha256(...parts: Uint8Array[]): Uint8Array {
  const whole = parts.length === 1 ? parts[0] : joinSmall(parts);
  if (whole !== undefined) digest.write(hash("sha256", whole, "binary"), "binary");
  else {
    const object = createHash("sha256");
    for (const part of parts) object.update(part);
    object.digest().copy(digest);
  }
  // Copied out of a string into V8's own heap: half of what a Buffer of its own costs to make and to collect.
  return new Uint8Array(digest);
}

/** Straight from the text that Node.js makes: an audit asks for two of these for every receipt. */
export function sha256Latin1(bytes: Uint8Array): string {
  return hash("sha256", bytes, "binary");
}

function joinSmall(parts: readonly Uint8Array[]): Uint8Array | undefined {
  let sizeBytes = 0;
  for (const part of parts) {
    if (sizeBytes + part.length > SMALL_SIZE_BYTES) return undefined;
    joined.set(part, sizeBytes);
    sizeBytes += part.length;
  }
  return joined.subarray(0, sizeBytes);
}

export function sha384(...parts: Uint8Array[]): Uint8Array {
  const object = createHash("sha384");
  for (const part of parts) object.update(part);
  return new Uint8Array(object.digest());
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

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** From the pool of Buffers, which a text takes half the time of an encoder's; not as a Buffer, whose slices are no copies. */
export function utf8(text: string): Uint8Array {
  const bytes = Buffer.from(text, "utf8");
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

export function parseUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

const bufferOf = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function base64(bytes: Uint8Array): string {
  return bufferOf(bytes).toString("base64");
}

export function hex(bytes: Uint8Array): string {
  return bufferOf(bytes).toString("hex");
}

const { latin1Slice } = Buffer.prototype;

/** Twice as fast as a text of character codes, and a fold makes a dozen of them for every receipt. */
export function latin1(bytes: Uint8Array): string {
  return Reflect.apply(latin1Slice, bytes, [0, bytes.length]);
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

const PSS_SHA384 = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 };

export async function verifySignature(
  algorithm: SignatureAlgorithm,
  spki: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (algorithm === "es256") return verifyEs256(spki, message, signature);
  if (algorithm === "ps384") {
    const key = importKey(spki, ({ asymmetricKeyType }) => asymmetricKeyType === "rsa");
    return key !== undefined && verify("sha384", message, { key, ...PSS_SHA384 }, signature);
  }
  const key = importKey(spki, ({ asymmetricKeyDetails }) => asymmetricKeyDetails?.namedCurve === "secp384r1");
  if (key === undefined || signature.length !== 96) return false;
  return verify("sha384", message, { key, dsaEncoding: "ieee-p1363" }, signature);
}
