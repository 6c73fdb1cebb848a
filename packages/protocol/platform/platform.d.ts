/** What the protocol asks of the platform it runs on: hashes, signature schemes, verify-only, and spellings of bytes. */

/** SHA-256 (FIPS 180-4) of `parts`, one after another. */
export function sha256(...parts: Uint8Array[]): Uint8Array;

/** The same of one piece, as a text of one UTF-16 unit a byte: the key of a Map. */
export function sha256Latin1(bytes: Uint8Array): string;

/** SHA-384 (FIPS 180-4) of `parts`, one after another. */
export function sha384(...parts: Uint8Array[]): Uint8Array;

/** Whether `signature` (r ‖ s, 64 bytes) over `message` is by the P-256 key of the DER `spki` (FIPS 186-5 ECDSA, SHA-256). */
export function verifyEs256(spki: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>;

/** Whether `signature` (64 bytes) over `message` is by the raw 32-byte Ed25519 `publicKey` (RFC 8032). */
export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>;

/** UTF-8 of `text`; a lone surrogate becomes U+FFFD, as the Encoding standard has it. */
export function utf8(text: string): Uint8Array;

/** The text of well-formed UTF-8, or undefined: overlong forms, surrogates and truncation are refused (RFC 3629 §3). */
export function parseUtf8(bytes: Uint8Array): string | undefined;

/** Standard base64 with padding (RFC 4648 §4). */
export function base64(bytes: Uint8Array): string;

/** Lower-case hex of `bytes`. */
export function hex(bytes: Uint8Array): string;

/** A text of one UTF-16 unit a byte: the key of a Map. Not for many bytes at once. */
export function latin1(bytes: Uint8Array): string;

/** Whether two byte strings are the same. Not for secrets: it stops at the first difference. */
export function equal(a: Uint8Array, b: Uint8Array): boolean;

/** ECDSA on P-256 with SHA-256 and on P-384 with SHA-384 (r ‖ s), RSASSA-PSS with SHA-384, MGF1 of it and a salt of 48 bytes. */
export type SignatureAlgorithm = "es256" | "es384" | "ps384";

/** Whether `signature` over `message` is by the key of the DER `spki`, as hardware vendors sign. */
export function verifySignature(
  algorithm: SignatureAlgorithm,
  spki: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean>;
