/** A TDX quote with collateral under a root of our own, each part of which a test may change before it is signed. */

import { sha256 } from "../packages/protocol/platform/node.ts";
import { base64, concat, hex, utf8 } from "../packages/protocol/src/bytes.ts";
import {
  authority,
  certificate,
  der,
  extension,
  integer,
  keyUsage,
  oid,
  revocationList,
  sequence,
  type VendorKey,
  vendorKey,
} from "./certificates.ts";

const SGX = "1.2.840.113741.1.13.1";
const FMSPC = Uint8Array.of(0xb0, 0xc0, 0x6f, 0, 0, 0);
const DAY_SECONDS = 86_400;
const ROOT = "Intel SGX Root CA";
/** When all of it is valid. */
export const OWN_NOW_SECONDS = 1_800_000_000;
const FROM_SECONDS = OWN_NOW_SECONDS - DAY_SECONDS;
const UNTIL_SECONDS = OWN_NOW_SECONDS + 20 * DAY_SECONDS;

export type OwnLevel = { tcb: Record<string, unknown>; tcbDate: string; tcbStatus: string; advisoryIDs?: string[] };
export type OwnTcbInfo = ReturnType<typeof tcbInfoOf>;
export type OwnQeIdentity = ReturnType<typeof qeIdentityOf>;

export type OwnTdx = {
  version: 4 | 5;
  /** Of version 5: 2 is the report of TDX 1.0, 3 that of 1.5. */
  bodyType: 2 | 3;
  teeTcbSvn: number[];
  tdAttributes: number[];
  mrServiceTd: Uint8Array;
  reportData: Uint8Array;
  /** What the platform's certificate certifies. */
  sgxSvn: number;
  pceSvn: number;
  qeSvn: number;
  qeAttributes: number;
  revokedByRoot: number[];
  revokedByPlatformCa: number[];
  tcbInfo: (usual: OwnTcbInfo) => Partial<OwnTcbInfo>;
  qeIdentity: (usual: OwnQeIdentity) => Partial<OwnQeIdentity>;
  /** Who signs TCB info and QE identity, by what name. */
  tcbSigner: string;
  pckIssuer: string;
  /** Whether another key than its issuer's signs the platform's certificate. */
  isPckForged: boolean;
};

const USUAL: OwnTdx = {
  version: 4,
  bodyType: 2,
  teeTcbSvn: [5, 1, 2],
  tdAttributes: [0, 0, 0, 0x10, 0, 0, 0, 0],
  mrServiceTd: new Uint8Array(48),
  reportData: Uint8Array.from({ length: 64 }, (_, i) => i),
  sgxSvn: 3,
  pceSvn: 11,
  qeSvn: 4,
  qeAttributes: 0x15,
  revokedByRoot: [],
  revokedByPlatformCa: [],
  tcbInfo: () => ({}),
  qeIdentity: () => ({}),
  tcbSigner: "Intel SGX TCB Signing",
  pckIssuer: "Intel SGX PCK Platform CA",
  isPckForged: false,
};

const keys = {
  root: vendorKey("es256"),
  ca: vendorKey("es256"),
  pck: vendorKey("es256"),
  tcb: vendorKey("es256"),
  ak: vendorKey("es256"),
};
export const PCK_SERIAL = 77;
export const PLATFORM_CA_SERIAL = 55;
export const TCB_SIGNER_SERIAL = 66;

/** PEM of certificates in DER. */
export function pemOf(...certificates: Uint8Array[]): string {
  return certificates
    .map((bytes) => `-----BEGIN CERTIFICATE-----\n${base64(bytes)}\n-----END CERTIFICATE-----\n`)
    .join("");
}

/** The evidence, its collateral, and the digest of the root that it ends at. */
export function ownTdx(changes: Partial<OwnTdx> = {}) {
  const own = { ...USUAL, ...changes };
  const made = (
    subject: string,
    key: VendorKey,
    issuer: string,
    issuerKey: VendorKey,
    serial: number,
    ...extensions: Uint8Array[]
  ) =>
    certificate({
      subject,
      key,
      issuer,
      issuerKey,
      serial,
      notBeforeSeconds: FROM_SECONDS,
      notAfterSeconds: UNTIL_SECONDS,
      extensions,
    });
  const device = keyUsage(0);
  const root = made(ROOT, keys.root, ROOT, keys.root, 1, ...authority());
  const ca = made(own.pckIssuer, keys.ca, ROOT, keys.root, PLATFORM_CA_SERIAL, ...authority());
  const sgx = extension(SGX, sgxExtensions(own));
  const pck = made(
    "Intel SGX PCK Certificate",
    keys.pck,
    own.pckIssuer,
    own.isPckForged ? keys.ak : keys.ca,
    PCK_SERIAL,
    device,
    sgx,
  );
  const tcb = made(own.tcbSigner, keys.tcb, ROOT, keys.root, TCB_SIGNER_SERIAL, device);
  return {
    evidence: quoteOf(own, pemOf(pck, ca, root)),
    collateral: collateralOf(own, pemOf(tcb, root)),
    root: sha256(root),
    nowSeconds: OWN_NOW_SECONDS,
  };
}

function sgxExtensions({ sgxSvn, pceSvn }: OwnTdx): Uint8Array {
  const pair = (name: string, value: Uint8Array) => sequence(oid(`${SGX}.${name}`), value);
  const components = Array.from({ length: 16 }, (_, i) => pair(`2.${i + 1}`, integer(sgxSvn)));
  return sequence(
    pair("1", octets(new Uint8Array(16))),
    pair("2", sequence(...components, pair("2.17", integer(pceSvn)), pair("2.18", octets(new Uint8Array(16))))),
    pair("3", octets(new Uint8Array(2))),
    pair("4", octets(FMSPC)),
    pair("5", der(0x0a, Uint8Array.of(1))),
  );
}

const octets = (value: Uint8Array) => der(0x04, value);
const little = (value: number, width: number) => Uint8Array.from({ length: width }, (_, i) => (value >> (8 * i)) & 255);
const padded = (bytes: ArrayLike<number>, length: number) => Uint8Array.from({ length }, (_, i) => bytes[i] ?? 0);
const certification = (type: number, value: Uint8Array) => concat(little(type, 2), little(value.length, 4), value);

function quoteOf(own: OwnTdx, pem: string): Uint8Array {
  const vendor = Uint8Array.from(Buffer.from("939a7233f79c4ca9940a0db3957f0607", "hex"));
  const header = concat(
    little(own.version, 2),
    little(2, 2),
    little(0x81, 4),
    new Uint8Array(4),
    vendor,
    new Uint8Array(20),
  );
  const measured = (byte: number) => new Uint8Array(48).fill(byte);
  const report = concat(
    padded(own.teeTcbSvn, 16),
    measured(1),
    new Uint8Array(48),
    new Uint8Array(8),
    padded(own.tdAttributes, 8),
    padded([0xe7, 0x02, 0x06], 8),
    ...[2, 3, 4, 5, 6, 7, 8, 9].map(measured),
    own.reportData,
  );
  const body = own.bodyType === 3 ? concat(report, padded([13, 1, 3], 16), own.mrServiceTd) : report;
  const typed = own.version === 5 ? concat(little(own.bodyType, 2), little(body.length, 4), body) : body;
  const signed = concat(header, typed);
  const authentication = Uint8Array.from({ length: 32 }, (_, i) => i);
  const key = keys.ak.spki.subarray(-64);
  const qeReport = qeReportOf(own, sha256(key, authentication));
  const qe = concat(
    qeReport,
    keys.pck.signRaw(qeReport),
    little(authentication.length, 2),
    authentication,
    certification(5, concat(utf8(pem), Uint8Array.of(0))),
  );
  const signature = concat(keys.ak.signRaw(signed), key, certification(6, qe));
  return concat(signed, little(signature.length, 4), signature);
}

function qeReportOf(own: OwnTdx, reportData: Uint8Array): Uint8Array {
  const report = new Uint8Array(384);
  report.set([own.qeAttributes], 48);
  report.fill(0xdc, 128, 160);
  report.set(little(2, 2), 256);
  report.set(little(own.qeSvn, 2), 258);
  report.set(reportData, 320);
  return report;
}

const timeOf = (seconds: number) => new Date(1000 * seconds).toISOString().replace(".000Z", "Z");
const current = () => ({
  issueDate: timeOf(OWN_NOW_SECONDS - DAY_SECONDS),
  nextUpdate: timeOf(OWN_NOW_SECONDS + 29 * DAY_SECONDS),
});
const TCB_DATE = "2024-03-13T00:00:00Z";

function tcbInfoOf() {
  const components = (...svns: number[]) => Array.from({ length: 16 }, (_, i) => ({ svn: svns[i] ?? 0 }));
  const level = (sgx: number, pcesvn: number, tdx: number, tcbStatus: string): OwnLevel => ({
    tcb: { sgxtcbcomponents: components(sgx, sgx), pcesvn, tdxtcbcomponents: components(tdx, 0, tdx) },
    tcbDate: TCB_DATE,
    tcbStatus,
  });
  const module = { mrsigner: "00".repeat(48), attributes: "00".repeat(8), attributesMask: "FF".repeat(8) };
  const moduleLevel = (isvsvn: number, tcbStatus: string): OwnLevel => ({
    tcb: { isvsvn },
    tcbDate: TCB_DATE,
    tcbStatus,
  });
  return {
    id: "TDX",
    version: 3,
    ...current(),
    fmspc: hex(FMSPC).toUpperCase(),
    pceId: "0000",
    tcbType: 0,
    tcbEvaluationDataNumber: 17,
    tdxModule: module,
    tdxModuleIdentities: [
      { id: "TDX_01", ...module, tcbLevels: [moduleLevel(5, "UpToDate"), moduleLevel(3, "OutOfDate")] },
    ],
    tcbLevels: [level(3, 11, 2, "UpToDate"), { ...level(2, 5, 1, "OutOfDate"), advisoryIDs: ["INTEL-SA-00837"] }],
  };
}

function qeIdentityOf() {
  const level = (isvsvn: number, tcbStatus: string): OwnLevel => ({ tcb: { isvsvn }, tcbDate: TCB_DATE, tcbStatus });
  return {
    id: "TD_QE",
    version: 2,
    ...current(),
    tcbEvaluationDataNumber: 17,
    miscselect: "00000000",
    miscselectMask: "FFFFFFFF",
    attributes: "11000000000000000000000000000000",
    attributesMask: "FBFFFFFFFFFFFFFF0000000000000000",
    mrsigner: "DC".repeat(32),
    isvprodid: 2,
    tcbLevels: [level(4, "UpToDate"), level(2, "OutOfDate")],
  };
}

function collateralOf(own: OwnTdx, chain: string): Uint8Array {
  const signed = (name: string, document: object) => {
    const text = JSON.stringify(document);
    return {
      [name]: text,
      [`${name}_signature`]: hex(keys.tcb.signRaw(utf8(text))),
      [`${name}_issuer_chain`]: chain,
    };
  };
  const list = (issuer: string, issuerKey: VendorKey, serials: number[]) =>
    hex(
      revocationList({
        issuer,
        issuerKey,
        serials,
        thisUpdateSeconds: FROM_SECONDS,
        nextUpdateSeconds: UNTIL_SECONDS,
      }),
    );
  return utf8(
    JSON.stringify({
      ...signed("tcb_info", { ...tcbInfoOf(), ...own.tcbInfo(tcbInfoOf()) }),
      ...signed("qe_identity", { ...qeIdentityOf(), ...own.qeIdentity(qeIdentityOf()) }),
      root_ca_crl: list(ROOT, keys.root, own.revokedByRoot),
      pck_crl: list(own.pckIssuer, keys.ca, own.revokedByPlatformCa),
    }),
  );
}
