/**
 * The common reference string that proofs rest on: powers of a secret that many people made together and each forgot their
 * part of (Aztec Ignition). There is no other here: who makes one alone can forge, so a folder with another is refused.
 */
import { open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { CEREMONY, hex, sha256 } from "@tallystick/protocol";
import { OperatorError } from "../platform/errors.ts";

/** SHA-256 of its first points, which every longer file begins with. */
const FIRST_POINTS = { count: 32_769, digest: "d769ac6c98f8fab858a7e9967f2b7f181d8ad9fdcdf55438c915696febf0e99c" };
const POINT_SIZE_BYTES = 64;

export type Crs = {
  folder: string;
  /** The most gates that can be proved with what is here; undefined where bb has yet to fetch it. */
  gates: number | undefined;
};

/** The CRS in `folder`. Throws an OperatorError where what lies there is not the ceremony's. */
export async function openCrs(folder: string): Promise<Crs> {
  const path = join(folder, "bn254_g1.dat");
  const sizeBytes = await stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
  if (sizeBytes === undefined) return { folder, gates: undefined };
  const g2 = await readFile(join(folder, "bn254_g2.dat")).catch(() => new Uint8Array(0));
  const points = Math.floor(sizeBytes / POINT_SIZE_BYTES);
  if (hex(sha256(g2)) !== CEREMONY.digest || hex(sha256(await readFirst(path))) !== FIRST_POINTS.digest)
    throw new OperatorError(
      `the CRS in ${folder} is not of the ${CEREMONY.name} ceremony: give its bn254_g1.dat and bn254_g2.dat with CRS_PATH, or an empty folder to have them fetched`,
    );
  // A program of 2^n gates takes one point more.
  return { folder, gates: 2 ** Math.floor(Math.log2(points - 1)) };
}

async function readFirst(path: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(FIRST_POINTS.count * POINT_SIZE_BYTES);
  const file = await open(path, "r");
  try {
    await file.read(bytes, 0, bytes.length, 0);
  } finally {
    await file.close();
  }
  return bytes;
}
