/** The keys of roles: each in a file of its own, readable by its owner alone. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createNoteKey, type NoteKey, type Signer } from "@tallystick/protocol";
import { OperatorError, systemCode } from "./errors.ts";
import { writeDurably } from "./files.ts";

/** A signer over a P-256 private key, which signs at once on the caller's thread. */
export function createSigner(privateKey: KeyObject): Signer {
  const spki = new Uint8Array(createPublicKey(privateKey).export({ format: "der", type: "spki" }));
  const key = { key: privateKey, dsaEncoding: "ieee-p1363" } as const;
  return { spki, sign: async (message) => new Uint8Array(sign("sha256", message, key)) };
}

/** A new P-256 key, which exists in memory alone. */
export function generateKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

/** A signer over the P-256 key in `path`, which is made when it is not there. */
export async function openSigner(path: string, signerOf = createSigner): Promise<Signer> {
  return signerOf(await openKey(path, "ec", generateKey));
}

/** What signs a log's checkpoints: an Ed25519 key under the log's origin. */
export type NoteSigner = { key: NoteKey; sign(message: Uint8Array): Uint8Array };

/** The Ed25519 key in `path`; made when it is not there. `nameOf` gives the key its name: a log's is its origin. */
export async function openNoteSigner(path: string, nameOf: (publicKey: Uint8Array) => string): Promise<NoteSigner> {
  const privateKey = await openKey(path, "ed25519", () => generateKeyPairSync("ed25519").privateKey);
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  const publicKey = new Uint8Array(spki.subarray(-32));
  return {
    key: createNoteKey(nameOf(publicKey), "ed25519", publicKey),
    sign: (message) => new Uint8Array(sign(null, message, privateKey)),
  };
}

async function openKey(path: string, type: "ec" | "ed25519", generate: () => KeyObject): Promise<KeyObject> {
  const pem = await readFile(path, "utf8").catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (pem === undefined) {
    const made = generate();
    await writeDurably(path, made.export({ format: "pem", type: "pkcs8" }), 0o600);
    return made;
  }
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === type) return key;
  } catch (cause) {
    throw new OperatorError(
      `${path} is not a private key in PEM: restore it from a backup, or remove it to have another made`,
      { cause },
    );
  }
  throw new OperatorError(`${path} holds a key of another type than ${type}: is it in the right place?`);
}
