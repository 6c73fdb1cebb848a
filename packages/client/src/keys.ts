/** Keys of a requester or a relier, on WebCrypto: the same in Node and in a browser. */
import type { Signer } from "@tallystick/protocol";

const CURVE = { name: "ECDSA", namedCurve: "P-256" };
const ES256 = { name: "ECDSA", hash: "SHA-256" };

/** A new P-256 key that cannot leave this process. */
export async function createSessionSigner(): Promise<Signer> {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]);
  return signerOf(privateKey, publicKey);
}

/** A new P-256 key, and its PKCS #8 for whoever keeps it. */
export async function createKey(): Promise<{ signer: Signer; pkcs8: Uint8Array }> {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(CURVE, true, ["sign", "verify"]);
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
  return { signer: await signerOf(privateKey, publicKey), pkcs8 };
}

/** The P-256 key of a PKCS #8 document. Throws where it is none. */
export async function openKey(pkcs8: Uint8Array): Promise<Signer> {
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8 as BufferSource, CURVE, true, ["sign"]);
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", privateKey);
  const point = Object.fromEntries(Object.entries({ kty, crv, x, y }).filter(([, value]) => value !== undefined));
  const publicKey = await crypto.subtle.importKey("jwk", point, CURVE, true, ["verify"]);
  return signerOf(privateKey, publicKey);
}

async function signerOf(privateKey: CryptoKey, publicKey: CryptoKey): Promise<Signer> {
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
  return {
    spki,
    sign: async (message) => new Uint8Array(await crypto.subtle.sign(ES256, privateKey, message as BufferSource)),
  };
}
