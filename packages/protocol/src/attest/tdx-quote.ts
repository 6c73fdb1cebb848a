/**
 * Intel TDX quotes, versions 4 and 5, signed by ECDSA P-256 (Intel TDX DCAP Quoting Library API, appendix A).
 * Only the structure is read here; tdx.ts says what a quote is worth.
 */
import { Malformed } from "../cbor/bytes.ts";
import { ByteReader } from "./byte-reader.ts";

/** What the TDX module measured and reports of a TD (TDREPORT). */
export type TdReport = {
  /** Security versions of the TDX module and of what it loaded with. */
  teeTcbSvn: Uint8Array;
  mrSeam: Uint8Array;
  mrSignerSeam: Uint8Array;
  seamAttributes: Uint8Array;
  tdAttributes: Uint8Array;
  xfam: Uint8Array;
  mrTd: Uint8Array;
  mrConfigId: Uint8Array;
  mrOwner: Uint8Array;
  mrOwnerConfig: Uint8Array;
  rtmrs: [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  /** What the TD had bound: 64 bytes of its choice. */
  reportData: Uint8Array;
  /** The service TD that may move this one to another machine; zero where there is none. TDX 1.5. */
  mrServiceTd: Uint8Array;
};

/** What the CPU reports of the quoting enclave, as far as its identity rests on it. */
export type EnclaveReport = {
  miscSelect: Uint8Array;
  attributes: Uint8Array;
  mrSigner: Uint8Array;
  productId: number;
  securityVersion: number;
  reportData: Uint8Array;
};

export type TdxQuote = {
  version: 4 | 5;
  report: TdReport;
  /** Header and body, and the attestation key's signature over them (r ‖ s). */
  signed: Uint8Array;
  signature: Uint8Array;
  /** The attestation key: x ‖ y on P-256. */
  attestationKey: Uint8Array;
  qeReport: EnclaveReport;
  qeReportBytes: Uint8Array;
  qeReportSignature: Uint8Array;
  qeAuthenticationData: Uint8Array;
  /** PEM: the PCK certificate, its authority, the root. */
  pckChain: Uint8Array;
};

/** A quote has some 5 kB; more is not looked at. */
const QUOTE_SIZE_BYTES = 32_768;
const ECDSA_P256 = 2;
const TEE_TDX = 0x81;
/** What Intel's own quoting enclave says it is: 939a7233-f79c-4ca9-940a-0db3957f0607. */
const INTEL_QE = Uint8Array.from([
  0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07,
]);
const BODY_TDX_1_0 = 2;
const BODY_TDX_1_5 = 3;
const TD_REPORT_1_0_SIZE_BYTES = 584;
const TD_REPORT_1_5_SIZE_BYTES = 648;
const CERTIFICATION_PCK_CHAIN = 5;
const CERTIFICATION_QE_REPORT = 6;
const QE_REPORT_SIZE_BYTES = 384;

/** Reads a quote. Throws Malformed. */
export function parseTdxQuote(bytes: Uint8Array): TdxQuote {
  if (bytes.length > QUOTE_SIZE_BYTES) throw new Malformed(`is a quote of more than ${QUOTE_SIZE_BYTES} bytes`);
  const reader = new ByteReader(bytes);
  const version = readHeader(reader);
  const report = version === 4 ? readReport(reader.take(TD_REPORT_1_0_SIZE_BYTES)) : readTypedReport(reader);
  const signed = bytes.subarray(0, reader.offset);
  const signing = new ByteReader(reader.take(reader.uint(4)));
  // Drivers hand quotes out in buffers of a fixed size, so zeros may follow; nothing else may.
  if (reader.take(reader.left).some((byte) => byte !== 0)) throw new Malformed("has bytes after the quote's end");
  const signature = signing.take(64);
  const attestationKey = signing.take(64);
  const certification = readCertification(signing, CERTIFICATION_QE_REPORT);
  signing.finish();
  return { version, report, signed, signature, attestationKey, ...readQeCertification(certification) };
}

function readHeader(reader: ByteReader): 4 | 5 {
  const version = reader.uint(2);
  if (version !== 4 && version !== 5) throw new Malformed(`is a quote of version ${version}; 4 and 5 are read`);
  const keyType = reader.uint(2);
  if (keyType !== ECDSA_P256) throw new Malformed(`has an attestation key of type ${keyType}; 2 (ECDSA P-256) is read`);
  if (reader.uint(4) !== TEE_TDX) throw new Malformed("is not a quote of TDX");
  reader.take(4); // Reserved; QE and PCE versions in older quotes. The signature covers it.
  const vendor = reader.take(16);
  if (!INTEL_QE.every((byte, i) => byte === vendor[i])) throw new Malformed("is not by Intel's quoting enclave");
  reader.take(20); // The QE's own.
  return version;
}

/** Version 5 says the type and size of its body first. */
function readTypedReport(reader: ByteReader): TdReport {
  const type = reader.uint(2);
  const sizeBytes = reader.uint(4);
  const due =
    type === BODY_TDX_1_0 ? TD_REPORT_1_0_SIZE_BYTES : type === BODY_TDX_1_5 ? TD_REPORT_1_5_SIZE_BYTES : undefined;
  if (sizeBytes !== due) throw new Malformed(`has a body of type ${type} and ${sizeBytes} bytes, which is none of TDX`);
  return readReport(reader.take(sizeBytes));
}

function readReport(bytes: Uint8Array): TdReport {
  const reader = new ByteReader(bytes);
  const report = {
    teeTcbSvn: reader.take(16),
    mrSeam: reader.take(48),
    mrSignerSeam: reader.take(48),
    seamAttributes: reader.take(8),
    tdAttributes: reader.take(8),
    xfam: reader.take(8),
    mrTd: reader.take(48),
    mrConfigId: reader.take(48),
    mrOwner: reader.take(48),
    mrOwnerConfig: reader.take(48),
    rtmrs: [reader.take(48), reader.take(48), reader.take(48), reader.take(48)] satisfies TdReport["rtmrs"],
    reportData: reader.take(64),
  };
  if (reader.left === 0) return { ...report, mrServiceTd: new Uint8Array(48) };
  reader.take(16); // TEE_TCB_SVN_2: the module as updated since the TD began. The levels are of what it began with.
  return { ...report, mrServiceTd: reader.take(48) };
}

function readCertification(reader: ByteReader, type: number): Uint8Array {
  const found = reader.uint(2);
  if (found !== type) throw new Malformed(`has certification data of type ${found} where ${type} is due`);
  return reader.take(reader.uint(4));
}

function readQeCertification(bytes: Uint8Array) {
  const reader = new ByteReader(bytes);
  const qeReportBytes = reader.take(QE_REPORT_SIZE_BYTES);
  const qeReportSignature = reader.take(64);
  const qeAuthenticationData = reader.take(reader.uint(2));
  const pckChain = readCertification(reader, CERTIFICATION_PCK_CHAIN);
  reader.finish();
  const qeReport = readEnclaveReport(qeReportBytes);
  return { qeReport, qeReportBytes, qeReportSignature, qeAuthenticationData, pckChain: withoutNul(pckChain) };
}

/** The PEM of a quote is a C string. */
const withoutNul = (text: Uint8Array) => (text.at(-1) === 0 ? text.subarray(0, -1) : text);

/** An SGX REPORT body (Intel SDM volume 3D, REPORT). */
function readEnclaveReport(bytes: Uint8Array): EnclaveReport {
  const field = (at: number, length: number) => bytes.subarray(at, at + length);
  const number = (at: number) => new ByteReader(field(at, 2)).uint(2);
  return {
    miscSelect: field(16, 4),
    attributes: field(48, 16),
    mrSigner: field(128, 32),
    productId: number(256),
    securityVersion: number(258),
    reportData: field(320, 64),
  };
}
