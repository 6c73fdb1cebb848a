/** A GPU's report under a root of our own, each part of which a test may change before it is signed. */
import { sha256 } from "../packages/protocol/platform/node.ts";
import { concat, utf8 } from "../packages/protocol/src/bytes.ts";
import {
  authority,
  certificate,
  der,
  extension,
  integer,
  keyUsage,
  oid,
  sequence,
  type VendorKey,
  vendorKey,
} from "./certificates.ts";

export type OwnHopper = {
  fwid: Uint8Array;
  /** The firmware in the GPU's certificate, and the hash that names it. */
  certifiedFwid: Uint8Array;
  fwidHash: string;
  nonce: Uint8Array;
  measurements: Uint8Array[];
};

const USUAL: OwnHopper = {
  fwid: new Uint8Array(48).fill(7),
  certifiedFwid: new Uint8Array(48).fill(7),
  fwidHash: "2.16.840.1.101.3.4.2.2",
  nonce: new Uint8Array(32).fill(9),
  measurements: [1, 2, 3].map((byte) => new Uint8Array(48).fill(byte)),
};

const [rootKey, brom, gpu] = [vendorKey("es384"), vendorKey("es384"), vendorKey("es384")];
export const OWN_GPU_NOW_SECONDS = 1_800_000_000;

const little = (value: number, width: number) => Uint8Array.from({ length: width }, (_, i) => (value >> (8 * i)) & 255);

/** The evidence, its chain, and the digest of the root that it ends at. */
export function ownHopper(changes: Partial<OwnHopper> = {}) {
  const own = { ...USUAL, ...changes };
  const made = (subject: string, key: VendorKey, issuer: string, issuerKey: VendorKey, ...extensions: Uint8Array[]) =>
    certificate({
      subject,
      key,
      issuer,
      issuerKey,
      notBeforeSeconds: OWN_GPU_NOW_SECONDS - 100,
      notAfterSeconds: OWN_GPU_NOW_SECONDS + 100,
      extensions,
    });
  const root = made("Device root", rootKey, "Device root", rootKey, ...authority());
  const issuer = made("BROM", brom, "Device root", rootKey, ...authority());
  const dice = sequence(integer(1), sequence(), sequence(oid(own.fwidHash), der(0x04, own.certifiedFwid)));
  const leaf = made("FMC", gpu, "BROM", brom, keyUsage(0), extension("2.23.133.5.4.1", dice));
  const request = concat(Uint8Array.of(0x11, 0xe0, 1, 0xff), own.nonce, Uint8Array.of(0));
  const record = concat(
    ...own.measurements.map((value, i) =>
      concat(Uint8Array.of(i + 1, 1), little(value.length + 3, 2), Uint8Array.of(1), little(value.length, 2), value),
    ),
  );
  const field = (type: number, value: Uint8Array) => concat(little(type, 2), little(value.length, 2), value);
  const opaque = concat(field(3, utf8("550.90.07\0")), field(20, own.fwid));
  const head = concat(Uint8Array.of(0x11, 0x60, 0, 0, own.measurements.length), little(record.length, 3), record);
  const signed = concat(request, head, new Uint8Array(32).fill(3), little(opaque.length, 2), opaque);
  return {
    evidence: concat(signed, gpu.signRaw(signed)),
    certificates: [leaf, issuer, root],
    root: sha256(root),
    nowSeconds: OWN_GPU_NOW_SECONDS,
  };
}
