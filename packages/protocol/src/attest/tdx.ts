/**
 * Appraising an Intel TDX quote (docs/spec/attestation.md): the attestation key signed it, the quoting enclave vouches for
 * that key, Intel's certificate of the platform vouches for the enclave, and Intel's collateral says that all of it is up
 * to date. Everything is judged at the time that is given; nothing is fetched.
 */
import { sha256, verifyEs256 } from "#platform";
import { concat, equal, hex, parseHex } from "../bytes.ts";
import { type Appraisal, type Attested, type Expected, measurementOf, type Registers } from "./appraisal.ts";
import { notAfterOf } from "./chain.ts";
import { type Collateral, parseCollateral, type SignedText } from "./collateral.ts";
import { type Inspection, inspect, Refused } from "./inspection.ts";
import { inspectChain } from "./pinned-chain.ts";
import {
  moduleStanding,
  parsePckPlatform,
  parseQeIdentity,
  parseTcbInfo,
  platformStanding,
  qeStanding,
  type TcbStanding,
  worstStanding,
} from "./tcb.ts";
import { parseTdxQuote, type TdReport, type TdxQuote } from "./tdx-quote.ts";
import { type Certificate, type Crl, parseCrl } from "./x509.ts";

/** SHA-256 of the certificate of Intel SGX Root CA, valid until 2049-12-31. */
export const INTEL_SGX_ROOT = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3";

export type TdxEvidence = {
  /** The quote, version 4 or 5. */
  evidence: Uint8Array;
  /** Intel's collateral: the JSON of `parseCollateral`. */
  collateral: Uint8Array;
  nowSeconds: number;
  /** SHA-256 of the root's certificate, where it is to be another than Intel's. */
  root?: Uint8Array;
  expected: Pick<Expected, "reportData">;
};

/** What a TDX quote is worth at a time. Never throws, whatever the bytes are. */
export function appraiseTdx(given: TdxEvidence): Promise<Appraisal> {
  return inspect("tdx", (inspection) => appraise(given, inspection));
}

/** Whose key may sign what: Intel's root signs nothing else by these names. */
const PCK_SUBJECTS = [["Intel SGX PCK Certificate"], ["Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA"]];
const TCB_SUBJECTS = [["Intel SGX TCB Signing"]];

async function appraise(given: TdxEvidence, inspection: Inspection): Promise<Attested> {
  const quote = await inspection.step("quote", "is well formed", () => parseTdxQuote(given.evidence));
  const collateral = await inspection.step("collateral", "is well formed", () => parseCollateral(given.collateral));
  const crls = await inspection.step("revocation lists", "are well formed", () => parseCrls(collateral));
  const root = given.root ?? parseHex(INTEL_SGX_ROOT) ?? new Uint8Array();
  const anchor = { root, nowSeconds: given.nowSeconds, crls };
  const pck = await inspectChain(inspection, { name: "PCK", pem: quote.pckChain, subjects: PCK_SUBJECTS, ...anchor });
  await checkSignatures(inspection, quote, pck.leaf);

  const { tcbInfo, qeIdentity } = collateral;
  const ends = [notAfterOf(pck, crls)];
  const read = async <T extends Period>(name: string, signed: SignedText, parse: (text: string) => T): Promise<T> => {
    const signer = await inspectChain(inspection, { name, pem: signed.chain, subjects: TCB_SUBJECTS, ...anchor });
    const document = await inspection.step(name, "is signed by Intel and current", () =>
      parseSigned(signed, signer.leaf, given.nowSeconds, parse),
    );
    ends.push(notAfterOf(signer, crls), document.nextUpdateSeconds);
    return document;
  };
  const info = await read("TCB info", tcbInfo, parseTcbInfo);
  const identity = await read("QE identity", qeIdentity, parseQeIdentity);

  const standings = [
    await inspection.step("platform", "reaches a TCB level", () =>
      platformStanding(info, parsePckPlatform(pck.leaf), quote.report),
    ),
    await inspection.step("TDX module", "reaches a TCB level", () => moduleStanding(info, quote.report)),
    await inspection.step("quoting enclave", "reaches a TCB level", () => qeStanding(identity, quote.qeReport)),
  ];
  await inspection.step("TCB status", "UpToDate", () => checkStanding(worstStanding(standings)));
  await inspection.step("debug", "nobody can look into the TD", () => checkDebug(quote.report));
  checkReportData(inspection, quote.report.reportData, given.expected.reportData);
  const registers = registersOf(quote.report);
  return {
    registers,
    measurement: measurementOf(registers),
    reportData: quote.report.reportData,
    root,
    notAfterSeconds: Math.min(...ends),
  };
}

function parseCrls({ rootCrl, pckCrl }: Collateral): Crl[] {
  return [parseCrl(rootCrl), parseCrl(pckCrl)];
}

/** From the platform's certificate down to the quote: each signature, and the hash that ties two of them. */
async function checkSignatures(inspection: Inspection, quote: TdxQuote, pck: Certificate): Promise<void> {
  await inspection.step("QE report signature", "is by the platform's key", async () => {
    if (!(await verifyEs256(pck.spki, quote.qeReportBytes, quote.qeReportSignature)))
      throw new Refused("bad_signature", "the platform's key did not sign the quoting enclave's report");
  });
  await inspection.step("attestation key", "is the one that the quoting enclave reports", () => {
    const due = concat(sha256(quote.attestationKey, quote.qeAuthenticationData), new Uint8Array(32));
    if (!equal(quote.qeReport.reportData, due))
      throw new Refused("wrong_binding", "the quoting enclave reports another attestation key");
  });
  await inspection.step("quote signature", "is by the attestation key", async () => {
    if (!(await verifyEs256(spkiOf(quote.attestationKey), quote.signed, quote.signature)))
      throw new Refused("bad_signature", "the attestation key did not sign the quote");
  });
}

/** The DER before the 64 bytes of an uncompressed P-256 key (RFC 5480 §2). */
const P256_SPKI = parseHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004") ?? new Uint8Array();
const spkiOf = (key: Uint8Array) => concat(P256_SPKI, key);

type Period = { issuedSeconds: number; nextUpdateSeconds: number };

/** Reads what Intel signed, after the signature over its exact bytes. */
async function parseSigned<T extends Period>(
  { bytes, text, signature }: SignedText,
  signer: Certificate,
  nowSeconds: number,
  parse: (text: string) => T,
): Promise<T> {
  if (!(await verifyEs256(signer.spki, bytes, signature))) throw new Refused("bad_signature", "Intel did not sign it");
  const document = parse(text);
  if (nowSeconds < document.issuedSeconds) throw new Refused("not_valid_now", "it is of a later time");
  if (nowSeconds > document.nextUpdateSeconds) throw new Refused("not_valid_now", "a newer one is due");
  return document;
}

function checkStanding({ status, advisories }: TcbStanding): void {
  if (status === "UpToDate") return;
  const why = advisories.length === 0 ? "" : `: ${advisories.join(", ")}`;
  throw new Refused(status === "Revoked" ? "revoked" : "out_of_date", `${status}${why}`);
}

/** The first byte of the attributes is the group that makes a TD untrusted; its first bit is debug. */
function checkDebug({ tdAttributes }: TdReport): void {
  if (tdAttributes[0] !== 0) throw new Refused("debug", `the TD has the attributes ${hex(tdAttributes)}`);
}

function checkReportData(inspection: Inspection, reportData: Uint8Array, due: Uint8Array | undefined): void {
  const name = "report data";
  if (due === undefined) inspection.notChecked(name, "nothing was expected of it");
  else {
    const isDue = reportData.every((byte, i) => byte === (due[i] ?? 0)) && due.length <= reportData.length;
    const detail = isDue ? "is the expected one" : "binds something else than expected";
    inspection.add([
      { name, detail, ...(isDue ? { state: "passed" } : { state: "failed", failure: "wrong_binding" }) },
    ]);
  }
}

/** What makes the TD what it is; the TDX module is judged by its TCB level instead. */
function registersOf(report: TdReport): Registers {
  const { mrTd, rtmrs, mrConfigId, mrOwner, mrOwnerConfig, tdAttributes, mrServiceTd } = report;
  return new Map([mrTd, ...rtmrs, mrConfigId, mrOwner, mrOwnerConfig, tdAttributes, mrServiceTd].entries());
}
