/** Real keys of a simulated network, which follow from its seed: anybody can sign by them, so they are worth nothing. */
import { createECDH, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { sha256, utf8 } from "@tallystick/protocol";
import type { Keyring } from "../simulate/keyring.ts";

const ED25519_PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");
const P256_SPKI_HEAD = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d030107034200", "hex");

export function simulationKeys(seed: number): Keyring {
  const secretOf = (label: string) => sha256(utf8(`tallystick simulation ${seed}: ${label}`));
  const der = Buffer.concat([ED25519_PKCS8_HEAD, secretOf("log checkpoints")]);
  const noteKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const publicDer = createPublicKey(noteKey).export({ format: "der", type: "spki" });
  return {
    signerOf(label) {
      const { key, spki } = p256(secretOf(label));
      const options = { key, dsaEncoding: "ieee-p1363" } as const;
      return { spki, sign: async (message) => new Uint8Array(sign("sha256", message, options)) };
    },
    publicKey: new Uint8Array(publicDer.subarray(-32)),
    signNote: (message) => new Uint8Array(sign(null, message, noteKey)),
  };
}

function p256(secret: Uint8Array): { key: KeyObject; spki: Uint8Array } {
  const ecdh = createECDH("prime256v1");
  ecdh.setPrivateKey(secret);
  const point = ecdh.getPublicKey();
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString("base64url"));
  const jwk = { kty: "EC", crv: "P-256", d: Buffer.from(secret).toString("base64url"), x: x ?? "", y: y ?? "" };
  return {
    key: createPrivateKey({ key: jwk, format: "jwk" }),
    spki: new Uint8Array(Buffer.concat([P256_SPKI_HEAD, point])),
  };
}
