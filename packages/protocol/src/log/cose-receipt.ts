/**
 * COSE Receipts of inclusion (RFC 9942 §5.2) over RFC9162_SHA256, in the one form Tallystick writes: a tagged COSE_Sign1,
 * protected header {1: -7, 4: key id, 395: 1}, one inclusion proof in the unprotected header, the root as detached payload.
 */

import { verifyEs256 } from "#platform";
import { equal } from "../bytes.ts";
import { CborReader, CborWriter, MAJOR, Malformed } from "../cbor/bytes.ts";
import { PROOF_HASHES } from "../limits.ts";
import { ES256, keyId, SIGN1_TAG, type Signer, sigStructure } from "../sign/cose.ts";
import { inclusionRanges, leafHash, rootByInclusion } from "./merkle.ts";

/** Labels of headers: the verifiable data structure, and its proofs. */
const VDS = 395;
const VDP = 396;
const RFC9162_SHA256 = 1;
const INCLUSION = 0; // Label -1 is the CBOR negative integer 0.

/** A path from a leaf to a root. Only the root is signed: size and index say how the path is walked. */
type InclusionProof = { size: number; index: number; path: Uint8Array[] };
/** A receipt taken apart; nothing is verified yet. */
export type CoseReceipt = InclusionProof & {
  /** SHA-256 of the signer's SPKI. */
  keyId: Uint8Array;
  signature: Uint8Array;
};

/** Signs `root`, to which `path` leads from leaf `index` of `size`. */
export async function signCoseReceipt(
  signer: Signer,
  { size, index, path, root }: InclusionProof & { root: Uint8Array },
): Promise<Uint8Array> {
  const isLeaf = Number.isSafeInteger(index) && index >= 0 && index < size;
  if (!isLeaf || path.length !== inclusionRanges(index, size).length)
    throw new Malformed(`has ${path.length} hashes, which are no path from leaf ${index} of ${size}`);
  if ([root, ...path].some(({ length }) => length !== 32)) throw new Malformed("has a hash that is not of 32 bytes");
  const kid = keyId(signer.spki);
  const signature = await signer.sign(sigStructure(protectedHeader(kid), root));
  return encodeCoseReceipt({ size, index, path, keyId: kid, signature });
}

/** The receipt's bytes. */
export function encodeCoseReceipt({ size, index, path, keyId: kid, signature }: CoseReceipt): Uint8Array {
  const proof = new CborWriter();
  proof.head(MAJOR.array, 3);
  proof.head(MAJOR.uint, size);
  proof.head(MAJOR.uint, index);
  proof.head(MAJOR.array, path.length);
  for (const hash of path) proof.bytes(hash);
  const writer = new CborWriter();
  writer.head(MAJOR.tag, SIGN1_TAG);
  writer.head(MAJOR.array, 4);
  writer.bytes(protectedHeader(kid));
  writer.head(MAJOR.map, 1);
  writer.head(MAJOR.uint, VDP);
  writer.head(MAJOR.map, 1);
  writer.head(MAJOR.negative, INCLUSION);
  writer.head(MAJOR.array, 1);
  writer.bytes(proof.finish());
  writer.null();
  writer.bytes(signature);
  return writer.finish();
}

function protectedHeader(kid: Uint8Array): Uint8Array {
  const writer = new CborWriter();
  writer.head(MAJOR.map, 3);
  writer.head(MAJOR.uint, 1);
  writer.head(MAJOR.negative, ES256);
  writer.head(MAJOR.uint, 4);
  writer.bytes(kid);
  writer.head(MAJOR.uint, VDS);
  writer.head(MAJOR.uint, RFC9162_SHA256);
  return writer.finish();
}

/** Takes a receipt apart. Throws Malformed where it is not in the one form. */
export function parseCoseReceipt(bytes: Uint8Array): CoseReceipt {
  const reader = new CborReader(bytes);
  if (reader.count(MAJOR.tag) !== SIGN1_TAG) throw new Malformed("is not a COSE_Sign1 (tag 18)");
  if (reader.count(MAJOR.array) !== 4) throw new Malformed("is not a COSE_Sign1 of four parts");
  const kid = parseHeader(reader.bytes());
  if (reader.count(MAJOR.map) !== 1 || reader.count(MAJOR.uint) !== VDP)
    throw new Malformed("has an unprotected header that is not its proofs (396)");
  if (reader.count(MAJOR.map) !== 1 || reader.count(MAJOR.negative) !== INCLUSION || reader.count(MAJOR.array) !== 1)
    throw new Malformed("has proofs that are not one of inclusion (-1)");
  const proof = parseProof(reader.bytes());
  reader.null();
  const signature = reader.bytes();
  reader.finish();
  if (signature.length !== 64) throw new Malformed(`has a signature of ${signature.length} bytes, not 64`);
  return { ...proof, keyId: kid, signature };
}

function parseHeader(header: Uint8Array): Uint8Array {
  const reader = new CborReader(header);
  const three = reader.count(MAJOR.map) === 3;
  if (!three || !reader.take(1) || reader.count(MAJOR.negative) !== ES256)
    throw new Malformed("is not signed with ES256");
  if (!reader.take(4)) throw new Malformed("has no key id in its protected header");
  const kid = reader.bytes();
  if (kid.length !== 32) throw new Malformed(`has a key id of ${kid.length} bytes, not 32`);
  if (reader.count(MAJOR.uint) !== VDS || !reader.take(RFC9162_SHA256))
    throw new Malformed("is not a receipt over RFC9162_SHA256 (395: 1)");
  reader.finish();
  return kid;
}

function parseProof(proof: Uint8Array): InclusionProof {
  const reader = new CborReader(proof);
  if (reader.count(MAJOR.array) !== 3) throw new Malformed("has a proof that is not size, index and path");
  const size = reader.count(MAJOR.uint);
  const index = reader.count(MAJOR.uint);
  const count = reader.count(MAJOR.array);
  if (count > PROOF_HASHES) throw new Malformed(`has a path of ${count} hashes; at most ${PROOF_HASHES} are allowed`);
  const path = Array.from({ length: count }, () => reader.bytes());
  if (path.some(({ length }) => length !== 32)) throw new Malformed("has a path with a hash that is not of 32 bytes");
  reader.finish();
  return { size, index, path };
}

/**
 * Whether the key of `spki` signed a root to which the receipt's path leads from `entry`. That the entry is in that tree
 * is proved; that the tree has the size the receipt says is not, since RFC 9942 signs the root alone.
 */
export async function verifyCoseReceipt(receipt: CoseReceipt, entry: Uint8Array, spki: Uint8Array): Promise<boolean> {
  const root = rootByInclusion(leafHash(entry), receipt.index, receipt.size, receipt.path);
  if (root === undefined || !equal(receipt.keyId, keyId(spki))) return false;
  return verifyEs256(spki, sigStructure(protectedHeader(receipt.keyId), root), receipt.signature);
}
