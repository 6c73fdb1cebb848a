/** The platform in a browser: WebCrypto for signatures, noble for hashing, since WebCrypto's hash is asynchronous. */

import { sha256 as nobleSha256, sha384 as nobleSha384 } from "@noble/hashes/sha2.js";
import type { SignatureAlgorithm } from "#platform";

export function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = nobleSha256.create();
  for (const part of parts) hash.update(part);
  return hash.digest();
}

export function sha256Latin1(bytes: Uint8Array): string {
  return latin1(sha256(bytes));
}

export function sha384(...parts: Uint8Array[]): Uint8Array {
  const hash = nobleSha384.create();
  for (const part of parts) hash.update(part);
  return hash.digest();
}

async function verifyWith(
  algorithm: AlgorithmIdentifier | EcKeyImportParams | RsaHashedImportParams,
  parameters: AlgorithmIdentifier | EcdsaParams | RsaPssParams,
  format: "spki" | "raw",
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey(format, publicKey as BufferSource, algorithm, false, ["verify"]);
  } catch {
    return false; // Not a key: every signature by it is false.
  }
  return crypto.subtle.verify(parameters, key, signature as BufferSource, message as BufferSource);
}

export function verifyEs256(spki: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const curve = { name: "ECDSA", namedCurve: "P-256" };
  return verifyWith(curve, { name: "ECDSA", hash: "SHA-256" }, "spki", spki, message, signature);
}

export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  return verifyWith({ name: "Ed25519" }, { name: "Ed25519" }, "raw", publicKey, message, signature);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

export function parseUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/** What `btoa` takes of one call's arguments. */
const LETTERS_TOGETHER = 8190;

export function base64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += LETTERS_TOGETHER)
    text += btoa(Reflect.apply(String.fromCharCode, undefined, bytes.subarray(i, i + LETTERS_TOGETHER)));
  return text;
}

export function latin1(bytes: Uint8Array): string {
  return Reflect.apply(String.fromCharCode, undefined, bytes);
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

const ES384 = { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" };
const PS384 = { name: "RSA-PSS", hash: "SHA-384", saltLength: 48 };

export function verifySignature(
  algorithm: SignatureAlgorithm,
  spki: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (algorithm === "es256") return verifyEs256(spki, message, signature);
  const scheme = algorithm === "es384" ? ES384 : PS384;
  return verifyWith(scheme, scheme, "spki", spki, message, signature);
}
