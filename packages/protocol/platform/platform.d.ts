/** What the protocol asks of the platform it runs on: one hash and two signature schemes, both verify-only. */

/** SHA-256 (FIPS 180-4) of `parts`, one after another. */
export function sha256(...parts: Uint8Array[]): Uint8Array;

/** Whether `signature` (r ‖ s, 64 bytes) over `message` is by the P-256 key of the DER `spki` (FIPS 186-5 ECDSA, SHA-256). */
export function verifyEs256(spki: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>;

/** Whether `signature` (64 bytes) over `message` is by the raw 32-byte Ed25519 `publicKey` (RFC 8032). */
export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>;
