/** Evidence of Nitro and SEV-SNP of our own making, under roots of our own, for what no vendor would sign. */
import { CborWriter, MAJOR } from "../packages/protocol/src/cbor/bytes.ts";
import { sigStructure } from "../packages/protocol/src/sign/cose.ts";
import { authority, certificate, der, extension, integer, keyUsage, vendorKey } from "./certificates.ts";

/** Seconds at which all of it is valid. */
export const NOW_SECONDS = 1_500;

const keys = { root: vendorKey("es384"), issuing: vendorKey("es384"), leaf: vendorKey("es384") };

/** A chain that ends at a root of ours, root first. */
const bundle = [
  certificate({ subject: "nitro", key: keys.root, issuer: "nitro", issuerKey: keys.root, extensions: authority() }),
  certificate({
    subject: "instance",
    key: keys.issuing,
    issuer: "nitro",
    issuerKey: keys.root,
    extensions: authority(0),
  }),
];
const leaf = certificate({
  subject: "enclave",
  key: keys.leaf,
  issuer: "instance",
  issuerKey: keys.issuing,
  notAfterSeconds: 1_800,
  extensions: [keyUsage(0)],
});
export const nitroRoot = bundle[0] ?? new Uint8Array(0);

type Item = Uint8Array | string | number | null | Item[] | Map<string | number, Item>;

function write(writer: CborWriter, item: Item): void {
  if (item === null) writer.null();
  else if (typeof item === "number") writer.head(MAJOR.uint, item);
  else if (typeof item === "string") writer.text(item);
  else if (item instanceof Uint8Array) writer.bytes(item);
  else if (Array.isArray(item)) {
    writer.head(MAJOR.array, item.length);
    for (const inner of item) write(writer, inner);
  } else {
    writer.head(MAJOR.map, item.size);
    for (const [key, value] of item) {
      write(writer, key);
      write(writer, value);
    }
  }
}

export const encodeItem = (item: Item): Uint8Array => {
  const writer = new CborWriter();
  write(writer, item);
  return writer.finish();
};

const registersOf = (byte: number) =>
  new Map<number, Item>(
    [0, 1, 2, 3].map((number) => [number, new Uint8Array(48).fill(number === 3 ? 0 : byte + number)]),
  );

/** The payload of a document of our own; `changes` replaces members, and takes away those that are undefined. */
export function nitroPayload(changes: Record<string, Item | undefined> = {}): Uint8Array {
  const members: Record<string, Item | undefined> = {
    module_id: "i-0-enc0",
    digest: "SHA384",
    timestamp: NOW_SECONDS * 1000,
    pcrs: registersOf(1),
    certificate: leaf,
    cabundle: bundle,
    public_key: null,
    user_data: new Uint8Array(64).fill(7),
    nonce: null,
    ...changes,
  };
  return encodeItem(
    new Map(Object.entries(members).flatMap(([name, item]) => (item === undefined ? [] : [[name, item] as const]))),
  );
}

/** A document over that payload. */
export const nitroDocument = (changes: Record<string, Item | undefined> = {}, header?: Uint8Array): Uint8Array =>
  signedDocument(nitroPayload(changes), header);

/** A COSE_Sign1 by our leaf over any payload. */
export function signedDocument(
  payload: Uint8Array,
  header: Uint8Array = Uint8Array.of(0xa1, 0x01, 0x38, 0x22),
): Uint8Array {
  return encodeItem([header, new Map(), payload, keys.leaf.signRaw(sigStructure(header, payload))]);
}

const amd = {
  root: vendorKey("ps384"),
  ask: vendorKey("ps384"),
  asvk: vendorKey("ps384"),
  chip: vendorKey("es384"),
  cloud: vendorKey("es384"),
};
const OID = "1.3.6.1.4.1.3704.1";
const authorityOf = (subject: string, key = amd.ask) =>
  certificate({
    subject,
    key,
    issuer: "ARK",
    issuerKey: amd.root,
    serial: key === amd.ask ? 2 : 3,
    extensions: authority(0),
  });
export const snpRoot = certificate({
  subject: "ARK",
  key: amd.root,
  issuer: "ARK",
  issuerKey: amd.root,
  extensions: authority(),
});
export const snpRootKey = amd.root;
const ask = authorityOf("SEV");
const asvk = authorityOf("SEV-VLEK", amd.asvk);

export const CHIP_ID = new Uint8Array(64).map((_, i) => i + 1);
/** Of Milan and Genoa: boot loader, TEE, four reserved, SNP firmware, microcode. Of Turin: FMC, boot loader, TEE, SNP firmware … */
export const TCB = Uint8Array.of(3, 1, 0, 0, 0, 0, 8, 115);
export const TURIN_TCB = Uint8Array.of(1, 3, 1, 8, 0, 0, 0, 115);

const versions = ([bootLoader = 0, tee = 0, firmware = 0, microcode = 0]: number[]) => [
  extension(`${OID}.3.1`, integer(bootLoader)),
  extension(`${OID}.3.2`, integer(tee)),
  extension(`${OID}.3.3`, integer(firmware)),
  extension(`${OID}.3.8`, integer(microcode)),
];
const product = (name: string) => extension(`${OID}.2`, der(0x16, Buffer.from(name)));
const common = { key: amd.chip, issuer: "SEV", issuerKey: amd.ask, serial: 0 };

/** The certificates of one kind of key, its own first. */
export const snpCertificates = {
  vcek: [
    certificate({
      ...common,
      subject: "SEV-VCEK",
      extensions: [product("Milan-B0"), ...versions([3, 1, 8, 115]), extension(`${OID}.4`, CHIP_ID)],
    }),
    ask,
    snpRoot,
  ],
  turin: [
    certificate({
      ...common,
      subject: "SEV-VCEK",
      extensions: [
        product("Turin-B1"),
        ...versions([3, 1, 8, 115]),
        extension(`${OID}.3.9`, integer(1)),
        extension(`${OID}.4`, CHIP_ID.subarray(0, 8)),
      ],
    }),
    ask,
    snpRoot,
  ],
  vlek: [
    certificate({
      subject: "SEV-VLEK",
      key: amd.cloud,
      issuer: "SEV-VLEK",
      issuerKey: amd.asvk,
      serial: 0,
      extensions: [
        product("Milan"),
        ...versions([3, 1, 8, 115]),
        extension(`${OID}.5`, der(0x16, Buffer.from("CN=cloud"))),
      ],
    }),
    asvk,
    snpRoot,
  ],
};

/** A report of our own, signed by the chip's key or the cloud's. */
export function snpReport(
  changes: { at: number; bytes: Uint8Array }[] = [],
  signer: "chip" | "cloud" = "chip",
): Uint8Array {
  const report = new Uint8Array(1184);
  const put = (at: number, ...bytes: number[]) => report.set(bytes, at);
  put(0x00, 2);
  put(0x08, 0, 0, 3);
  put(0x34, 1);
  put(0x48, signer === "chip" ? 0 : 4);
  report.fill(7, 0x50, 0x50 + 64);
  report.fill(9, 0x90, 0x90 + 48);
  report.set(TCB, 0x180);
  report.set(CHIP_ID, 0x1a0);
  for (const { at, bytes } of changes) report.set(bytes, at);
  const signature = amd[signer].signRaw(report.subarray(0, 0x2a0));
  report.set(signature.slice(0, 48).reverse(), 0x2a0);
  report.set(signature.slice(48).reverse(), 0x2a0 + 72);
  return report;
}
