/**
 * The ceremony whose common reference string all proofs rest on. Who verifies needs only its first points, which stand here;
 * who proves needs as many as the circuit has gates.
 */
import { parseHex } from "../bytes.ts";

/** Named by the SHA-256 of its G2 point as Barretenberg has it: by this, trust in it is stated and revoked. */
export const CEREMONY = {
  name: "Aztec Ignition",
  digest: "01797bfc4de5a96f0e516a9ea4537d18786dc30cb991aca4274c95822b69c32f",
} as const;

/** The generator of G1 and its first power: each 32 bytes of x and 32 of y, big-endian. */
const G1 = [
  "0000000000000000000000000000000000000000000000000000000000000001",
  "0000000000000000000000000000000000000000000000000000000000000002",
  "2d360628289ff943ff6bd1a87bbe4e62abe7fb61ba83effd266f22bdcf31e6f9",
  "26b92a79e563c3f48252cce7feeca2f0f8d33dcb4ef7b0643bf07bd405700aaa",
];
/** The first power in G2. */
const G2 = [
  "0118c4d5b837bcc2bc89b5b398b5974e9f5944073b32078b7e231fec938883b0",
  "260e01b251f6f1c7e7ff4e580791dee8ea51d87a358e038b4efe30fac09383c1",
  "22febda3c0c0632a56475b4214e5615e11e6dd3f96e6cea2854a87d4dacc5e55",
  "04fc6369f7110fe3d25156c1bb9a72859cf2a04641f99ba4ee413c80da6a5fe4",
];

/** What verifying takes of the ceremony. */
export function ceremonyPoints(): { g1: Uint8Array; g2: Uint8Array } {
  const bytesOf = (lines: string[]) => parseHex(lines.join("")) ?? new Uint8Array(0);
  return { g1: bytesOf(G1), g2: bytesOf(G2) };
}
