/**
 * Appraising an Intel TDX quote (docs/spec/attestation.md): the attestation key signed it, the quoting enclave vouches for
 * that key, Intel's certificate of the platform vouches for the enclave, and Intel's collateral says that all of it is up
 * to date. Everything is judged at the time that is given; nothing is fetched.
 */
import { sha256, verifyEs256 } from "#platform";
import { concat, equal, hex, parseHex, parseUtf8 } from "../bytes.ts";
import {
  type Appraisal,
  type AttestationCheck,
  checkBinding,
  conclude,
  type Expected,
  judge,
  measurementOf,
  type Registers,
} from "./appraisal.ts";
import { assembleChain, type Chain, notAfterOf } from "./chain.ts";
import { parseCollateral, type SignedText } from "./collateral.ts";
import { checkPinnedChain } from "./pinned-chain.ts";
import {
  moduleStanding,
  parsePckPlatform,
  parseQeIdentity,
  parseTcbInfo,
  platformStanding,
  qeStanding,
} from "./tcb.ts";
import { type Standing, worstOf } from "./tcb-status.ts";
import { parseTdxQuote, type TdReport, type TdxQuote } from "./tdx-quote.ts";
import { type Certificate, parseCertificate, parseCrl, parsePemChain } from "./x509.ts";

/** Whose key may sign what: Intel's root stands over more than one kind of key. */
const PCK_NAMES = [["Intel SGX PCK Certificate"], ["Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA"]];
const TCB_NAMES = [["Intel SGX TCB Signing"]];

/** Appraises a quote at `nowSeconds` by Intel's `collateral`, the JSON of `parseCollateral`; `root` trusts another root than Intel's. */
export function appraiseTdx(given: {
  evidence: Uint8Array;
  collateral: Uint8Array;
  root?: Uint8Array;
  nowSeconds: number;
  expected: Expected;
}): Promise<Appraisal> {
  return conclude("tdx", async (checks) => {
    const { nowSeconds, root, expected } = given;
    const quote = parseTdxQuote(given.evidence);
    const { tcbInfo, qeIdentity, rootCrl, pckCrl } = parseCollateral(given.collateral);
    const crls = [parseCrl(rootCrl), parseCrl(pckCrl)];
    const anchor = { technology: "tdx" as const, nowSeconds, crls, ...(root && { root }) };

    const pck = chainOf(quote.pckChain);
    checks.push(...(await checkPinnedChain("PCK", pck, anchor, PCK_NAMES)));
    checks.push(...(await checkSignatures(quote, pck.leaf)));
    const infoSigner = chainOf(tcbInfo.chain);
    checks.push(...(await checkPinnedChain("TCB info", infoSigner, anchor, TCB_NAMES)));
    checks.push(await checkDocument("TCB info", tcbInfo, infoSigner.leaf));
    const identitySigner = chainOf(qeIdentity.chain);
    checks.push(...(await checkPinnedChain("QE identity", identitySigner, anchor, TCB_NAMES)));
    checks.push(await checkDocument("QE identity", qeIdentity, identitySigner.leaf));

    const info = parseTcbInfo(tcbInfo.text);
    const identity = parseQeIdentity(qeIdentity.text);
    checks.push(checkPeriod("TCB info", info, nowSeconds), checkPeriod("QE identity", identity, nowSeconds));
    const { report } = quote;
    const standings = [
      platformStanding(info, parsePckPlatform(pck.leaf), report),
      moduleStanding(info, report),
      qeStanding(identity, quote.qeReport),
    ];
    checks.push(...checkStandings(standings), checkDebug(report), checkBinding(expected.reportData, report.reportData));
    const registers = registersOf(report);
    const ends = [pck, infoSigner, identitySigner].map((chain) => notAfterOf(chain, crls));
    return {
      registers,
      measurement: measurementOf(registers),
      reportData: report.reportData,
      root: sha256(pck.root.bytes),
      notAfterSeconds: Math.min(...ends, info.nextUpdateSeconds, identity.nextUpdateSeconds),
    };
  });
}

function chainOf(pem: Uint8Array): Chain {
  return assembleChain(parsePemChain(parseUtf8(pem) ?? "").map(parseCertificate));
}

/** From the platform's certificate down to the quote: two signatures, and the hash that ties them. */
async function checkSignatures(quote: TdxQuote, pck: Certificate): Promise<AttestationCheck[]> {
  const byPlatform = await verifyEs256(pck.spki, quote.qeReportBytes, quote.qeReportSignature);
  const due = concat(sha256(quote.attestationKey, quote.qeAuthenticationData), new Uint8Array(32));
  const isReported = equal(quote.qeReport.reportData, due);
  const byKey = await verifyEs256(spkiOf(quote.attestationKey), quote.signed, quote.signature);
  return [
    judge(
      "QE report signature",
      "bad_signature",
      !byPlatform && "the platform's key did not sign it",
      "by the platform",
    ),
    judge("attestation key", "wrong_binding", !isReported && "the quoting enclave reports another", "the QE's own"),
    judge(
      "quote signature",
      "bad_signature",
      !byKey && "the attestation key did not sign it",
      "by the attestation key",
    ),
  ];
}

/** The DER before the 64 bytes of an uncompressed P-256 key (RFC 5480 §2). */
const P256_SPKI = parseHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004") ?? new Uint8Array(0);
const spkiOf = (key: Uint8Array) => concat(P256_SPKI, key);

/** The signature is over the text as it came. */
async function checkDocument(name: string, signed: SignedText, signer: Certificate): Promise<AttestationCheck> {
  const holds = await verifyEs256(signer.spki, signed.bytes, signed.signature);
  return judge(`${name}: signature`, "bad_signature", !holds && "Intel did not sign it", "by Intel");
}

type Period = { issuedSeconds: number; nextUpdateSeconds: number };

function checkPeriod(name: string, { issuedSeconds, nextUpdateSeconds }: Period, nowSeconds: number): AttestationCheck {
  const early = nowSeconds < issuedSeconds && "it is of a later time";
  const late = nowSeconds > nextUpdateSeconds && "a newer one is due";
  return judge(`${name}: validity`, "not_valid_now", early || late, "current at the time of appraisal");
}

const PARTS = ["platform", "TDX module", "quoting enclave"];

function checkStandings(standings: Standing[]): AttestationCheck[] {
  const checks = standings.map((standing, i) => {
    const name = PARTS[i] ?? "part";
    if (!standing.ok) return judge(name, standing.failure, standing.fault, "");
    return judge(name, "out_of_date", undefined, `reaches a TCB level that is ${standing.status}`);
  });
  const { status, advisories } = worstOf(standings);
  if (status === "UpToDate") return [...checks, judge("TCB status", "out_of_date", undefined, status)];
  const why = advisories.length === 0 ? "" : `: ${advisories.join(", ")}`;
  return [...checks, judge("TCB status", status === "Revoked" ? "revoked" : "out_of_date", `${status}${why}`, "")];
}

/** The first byte of the attributes is the group that makes a TD untrusted; its first bit is debug. */
function checkDebug({ tdAttributes }: TdReport): AttestationCheck {
  const fault = tdAttributes[0] !== 0 && `the TD may be looked into: its attributes are ${hex(tdAttributes)}`;
  return judge("debug", "debug", fault, "nobody may look into the TD");
}

/** What makes the TD what it is. The TDX module is judged by its TCB level instead. */
function registersOf(report: TdReport): Registers {
  const { mrTd, rtmrs, mrConfigId, mrOwner, mrOwnerConfig, tdAttributes, mrServiceTd } = report;
  return new Map([mrTd, ...rtmrs, mrConfigId, mrOwner, mrOwnerConfig, tdAttributes, mrServiceTd].entries());
}
