/** A GPU's report under a root of our own, each part of which a test may change before it is signed. */
import { sha256 } from "../packages/protocol/platform/node.ts";
import { concat, utf8 } from "../packages/protocol/src/bytes.ts";
import { integer, issue, newKey, octets, oid, pemOf, sequence, signBy } from "./own-certificates.ts";

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

const [rootKey, brom, gpu] = [newKey("P-384"), newKey("P-384"), newKey("P-384")];
export const OWN_GPU_NOW_SECONDS = 1_800_000_000;

const little = (value: number, width: number) => Uint8Array.from({ length: width }, (_, i) => (value >> (8 * i)) & 255);

/** The evidence, its chain, and the digest of the root that it ends at. */
export function ownHopper(changes: Partial<OwnHopper> = {}) {
  const own = { ...USUAL, ...changes };
  const period = { notBeforeSeconds: OWN_GPU_NOW_SECONDS - 100, notAfterSeconds: OWN_GPU_NOW_SECONDS + 100 };
  const root = issue({ subject: "Device root", key: rootKey, isCa: true, ...period });
  const issuer = issue({ subject: "BROM", key: brom, issuer: root, isCa: true, ...period });
  const dice = sequence(integer(1), sequence(), sequence(oid(own.fwidHash), octets(own.certifiedFwid)));
  const leaf = issue({
    subject: "FMC",
    key: gpu,
    issuer,
    isCa: false,
    extensions: [["2.23.133.5.4.1", dice]],
    ...period,
  });
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
    evidence: concat(signed, signBy(gpu, signed)),
    chain: utf8(pemOf(leaf, issuer, root)),
    root: sha256(root.certificate),
    nowSeconds: OWN_GPU_NOW_SECONDS,
  };
}
