/** An attestation report of AMD SEV-SNP ("SEV Secure Nested Paging Firmware ABI Specification", table ATTESTATION_REPORT). */
import { concat } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";

const REPORT_SIZE_BYTES = 1184;
const SIGNED_SIZE_BYTES = 0x2a0;
/** ECDSA on P-384 with SHA-384. */
const ALGORITHM = 1;
const VERSIONS = [2, 3, 4, 5];

/** A report taken apart; nothing is verified yet. */
export type SnpReport = {
  version: number;
  policy: { debug: boolean; migrationAgent: boolean };
  /** The privilege level that asked for the report; more than 3 where the host did. */
  vmpl: number;
  /** Which key signed: 0 the chip's (VCEK), 1 the one loaded for a cloud provider (VLEK). */
  signingKey: number;
  reportData: Uint8Array;
  measurement: Uint8Array;
  hostData: Uint8Array;
  /** Security versions of the firmware's parts, a byte each. */
  reportedTcb: Uint8Array;
  chipId: Uint8Array;
  toBeSigned: Uint8Array;
  /** r ‖ s, big-endian. */
  signature: Uint8Array;
};

/** Takes a report apart. Throws Malformed: also where bytes that nobody signed are not zero. */
export function parseSnpReport(bytes: Uint8Array): SnpReport {
  if (bytes.length !== REPORT_SIZE_BYTES) throw new Malformed(`has ${bytes.length} bytes, not ${REPORT_SIZE_BYTES}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = view.getUint32(0, true);
  if (!VERSIONS.includes(version)) throw new Malformed(`is a report of version ${version}, not ${VERSIONS.join(", ")}`);
  if (view.getUint32(0x34, true) !== ALGORITHM) throw new Malformed("is not signed with ECDSA on P-384");
  const policy = view.getUint32(0x08, true);
  const part = (at: number, sizeBytes: number) => bytes.subarray(at, at + sizeBytes);
  return {
    version,
    policy: { debug: (policy & (1 << 19)) !== 0, migrationAgent: (policy & (1 << 18)) !== 0 },
    vmpl: view.getUint32(0x30, true),
    signingKey: (view.getUint32(0x48, true) >> 2) & 7,
    reportData: part(0x50, 64),
    measurement: part(0x90, 48),
    hostData: part(0xc0, 32),
    reportedTcb: part(0x180, 8),
    chipId: part(0x1a0, 64),
    toBeSigned: part(0, SIGNED_SIZE_BYTES),
    signature: parseSignature(part(SIGNED_SIZE_BYTES, REPORT_SIZE_BYTES - SIGNED_SIZE_BYTES)),
  };
}

/** Two little-endian integers in 72 bytes each, then zeros. */
function parseSignature(block: Uint8Array): Uint8Array {
  const unused = [block.subarray(48, 72), block.subarray(72 + 48)];
  if (unused.some((bytes) => bytes.some((byte) => byte !== 0)))
    throw new Malformed("has a signature that is too long, or bytes after it");
  return concat(block.slice(0, 48).reverse(), block.slice(72, 72 + 48).reverse());
}
