/** The keys of a simulated network, by their labels. */
import {
  cosignatureMessage,
  createNoteKey,
  encodeCosignature,
  type NoteKey,
  type NoteSignature,
  type Signer,
  sha256,
  utf8,
} from "@tallystick/protocol";

/** The log's origin. The host cannot exist (RFC 2606): nobody's log can be mistaken for a simulated one. */
export const ORIGIN = "simulated.invalid/tallystick";

export type Keyring = {
  /** The P-256 key of a label: the same one each time. */
  signerOf(label: string): Signer;
  /** The Ed25519 key by which the log signs and cosigns its checkpoints. */
  publicKey: Uint8Array;
  signNote(message: Uint8Array): Uint8Array;
};

/** Keys whose signatures are zeros: for a log that is folded and never audited, since a fold checks none. */
export const UNSIGNED: Keyring = {
  signerOf: (label) => ({ spki: pointlessSpki(label), sign: async () => new Uint8Array(64) }),
  publicKey: sha256(utf8("tallystick simulation: log")),
  signNote: () => new Uint8Array(64),
};

const P256_SPKI_HEAD = Uint8Array.from([
  0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
  0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
]);

/** 91 bytes of the form of a P-256 key, whose point is on no curve. */
function pointlessSpki(label: string): Uint8Array {
  const spki = new Uint8Array(P256_SPKI_HEAD.length + 64);
  spki.set(P256_SPKI_HEAD);
  spki.set(sha256(utf8(`x ${label}`)), P256_SPKI_HEAD.length);
  spki.set(sha256(utf8(`y ${label}`)), P256_SPKI_HEAD.length + 32);
  return spki;
}

/** The log's key of notes. */
export function noteKeyOf({ publicKey }: Keyring): NoteKey {
  return createNoteKey(ORIGIN, "ed25519", publicKey);
}

/** The log's signature of a checkpoint's text, and its cosignature at `timeSeconds`. */
export function signCheckpoint(keyring: Keyring, text: string, timeSeconds: number): NoteSignature[] {
  const { id } = noteKeyOf(keyring);
  const cosigner = createNoteKey(ORIGIN, "cosignature", keyring.publicKey);
  const cosignature = keyring.signNote(cosignatureMessage(timeSeconds, text));
  return [
    { name: ORIGIN, id, signature: keyring.signNote(utf8(text)) },
    { name: ORIGIN, id: cosigner.id, signature: encodeCosignature(timeSeconds, cosignature) },
  ];
}
