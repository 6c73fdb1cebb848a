/**
 * How up to date a TDX platform is: its microcode and firmware, its TDX module and its quoting enclave, each against
 * the levels that Intel signed (Intel PCS API version 4, "TCB info" and "enclave identity").
 */
import { equal, hex } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { findJson } from "../json/canonical.ts";
import { Members } from "./collateral.ts";
import { DerReader, parseOid, parseSmallInteger, TAG } from "./der.ts";
import { type LevelStatus, type Standing, standingAt, TCB_STATUSES, unfit } from "./tcb-status.ts";
import type { EnclaveReport, TdReport } from "./tdx-quote.ts";
import type { Certificate } from "./x509.ts";

type TcbLevel = LevelStatus & { sgx: number[]; tdx: number[]; pce: number };
type EnclaveLevel = LevelStatus & { securityVersion: number };
/** What signed a TDX module; `mask` says which attributes count. */
type ModuleIdentity = { id: string; mrSigner: Uint8Array; attributes: Uint8Array; mask: Uint8Array };

export type TcbInfo = {
  issuedSeconds: number;
  nextUpdateSeconds: number;
  fmspc: Uint8Array;
  pceId: Uint8Array;
  levels: TcbLevel[];
  /** The first TDX modules had no version of their own. */
  firstModule: ModuleIdentity;
  modules: (ModuleIdentity & { levels: EnclaveLevel[] })[];
};

export type QeIdentity = {
  issuedSeconds: number;
  nextUpdateSeconds: number;
  miscSelect: Uint8Array;
  miscSelectMask: Uint8Array;
  attributes: Uint8Array;
  attributesMask: Uint8Array;
  mrSigner: Uint8Array;
  productId: number;
  levels: EnclaveLevel[];
};

/** Which platform a PCK certificate is for, and which security versions it certifies. */
export type PckPlatform = { fmspc: Uint8Array; pceId: Uint8Array; sgx: number[]; pce: number };

const COMPONENTS = 16;

/** Reads TCB info of TDX, version 3. Throws Malformed. */
export function parseTcbInfo(text: string): TcbInfo {
  const info = new Members(findJson(text), "TCB info");
  if (info.text("id") !== "TDX" || info.count("version") !== 3 || info.count("tcbType") !== 0)
    throw new Malformed("has TCB info that is not of TDX in version 3");
  return {
    ...period(info),
    fmspc: info.hex("fmspc"),
    pceId: info.hex("pceId"),
    levels: info.objects("tcbLevels").map((level) => {
      const tcb = level.object("tcb");
      const components = (name: string) => tcb.objects(name).map((component) => component.count("svn"));
      const [sgx, tdx] = [components("sgxtcbcomponents"), components("tdxtcbcomponents")];
      if (sgx.length !== COMPONENTS || tdx.length !== COMPONENTS)
        throw new Malformed("has a level of other than 16 SVNs");
      return { sgx, tdx, pce: tcb.count("pcesvn"), ...levelStatus(level) };
    }),
    firstModule: moduleIdentity(info.object("tdxModule"), ""),
    modules: (info.has("tdxModuleIdentities") ? info.objects("tdxModuleIdentities") : []).map((module) => ({
      ...moduleIdentity(module, module.text("id")),
      levels: enclaveLevels(module),
    })),
  };
}

/** Reads the identity of the quoting enclave for TDX, version 2. Throws Malformed. */
export function parseQeIdentity(text: string): QeIdentity {
  const identity = new Members(findJson(text), "QE identity");
  if (identity.text("id") !== "TD_QE" || identity.count("version") !== 2)
    throw new Malformed("has a QE identity that is not of TDX in version 2");
  return {
    ...period(identity),
    miscSelect: identity.hex("miscselect"),
    miscSelectMask: identity.hex("miscselectMask"),
    attributes: identity.hex("attributes"),
    attributesMask: identity.hex("attributesMask"),
    mrSigner: identity.hex("mrsigner"),
    productId: identity.count("isvprodid"),
    levels: enclaveLevels(identity),
  };
}

function period(document: Members) {
  return { issuedSeconds: document.seconds("issueDate"), nextUpdateSeconds: document.seconds("nextUpdate") };
}

function levelStatus(level: Members): LevelStatus {
  const status = TCB_STATUSES.find((known) => known === level.text("tcbStatus"));
  if (status === undefined) throw new Malformed("has a TCB status that is not one of Intel's");
  return { status, advisories: level.has("advisoryIDs") ? level.texts("advisoryIDs") : [] };
}

function enclaveLevels(document: Members): EnclaveLevel[] {
  return document
    .objects("tcbLevels")
    .map((level) => ({ securityVersion: level.object("tcb").count("isvsvn"), ...levelStatus(level) }));
}

function moduleIdentity(module: Members, id: string): ModuleIdentity {
  return {
    id,
    mrSigner: module.hex("mrsigner"),
    attributes: module.hex("attributes"),
    mask: module.hex("attributesMask"),
  };
}

const SGX_EXTENSIONS = "1.2.840.113741.1.13.1";

/** The platform in the SGX extensions of a PCK certificate (Intel SGX PCK Certificate and CRL Profile, §1.3.5). Throws Malformed. */
export function parsePckPlatform({ extensions }: Certificate): PckPlatform {
  const extension = extensions.get(SGX_EXTENSIONS);
  if (extension === undefined) throw new Malformed("has no SGX extensions in its PCK certificate");
  const members = readOids(new DerReader(extension.value));
  const tcb = readOids(get(members, `${SGX_EXTENSIONS}.2`));
  const svn = (number: number) =>
    parseSmallInteger(get(tcb, `${SGX_EXTENSIONS}.2.${number}`).expect(TAG.integer).value);
  return {
    fmspc: get(members, `${SGX_EXTENSIONS}.4`).expect(TAG.octetString).value,
    pceId: get(members, `${SGX_EXTENSIONS}.3`).expect(TAG.octetString).value,
    sgx: Array.from({ length: COMPONENTS }, (_, i) => svn(i + 1)),
    pce: svn(COMPONENTS + 1),
  };
}

/** A sequence of pairs: an object identifier, and what it names. */
function readOids(reader: DerReader): Map<string, DerReader> {
  const pairs = reader.enter();
  const found = new Map<string, DerReader>();
  while (pairs.peek() !== undefined) {
    const pair = pairs.enter();
    const name = parseOid(pair.expect(TAG.oid).value);
    if (found.has(name)) throw new Malformed(`has ${name} twice`);
    found.set(name, pair);
  }
  reader.finish();
  return found;
}

function get(members: Map<string, DerReader>, oid: string): DerReader {
  const reader = members.get(oid);
  if (reader === undefined) throw new Malformed(`has no ${oid} in its SGX extensions`);
  return reader;
}

/** Microcode, firmware and PCE: the first level that the platform reaches in every component. */
export function platformStanding(info: TcbInfo, platform: PckPlatform, report: TdReport): Standing {
  if (!equal(info.fmspc, platform.fmspc) || !equal(info.pceId, platform.pceId))
    return unfit(`the TCB info is of FMSPC ${hex(info.fmspc)}, the platform's certificate of ${hex(platform.fmspc)}`);
  // A module with a version of its own is judged by its identity: the first two components are its own.
  const from = moduleVersion(report) === 0 ? 0 : 2;
  const reached = info.levels.find(
    (level) =>
      level.sgx.every((svn, i) => (platform.sgx[i] ?? 0) >= svn) &&
      platform.pce >= level.pce &&
      level.tdx.every((svn, i) => i < from || (report.teeTcbSvn[i] ?? 0) >= svn),
  );
  return standingAt(reached, "the platform");
}

const moduleVersion = (report: TdReport) => report.teeTcbSvn[1] ?? 0;

/** The TDX module: signed by whom Intel says, and the first level that its security version reaches. */
export function moduleStanding(info: TcbInfo, report: TdReport): Standing {
  const version = moduleVersion(report);
  const id = `TDX_${hex(Uint8Array.of(version))}`;
  // The first modules had no version: theirs is a component of the platform's level.
  const levels = version === 0 ? [{ securityVersion: 0, status: "UpToDate" as const, advisories: [] }] : undefined;
  const module = levels
    ? { ...info.firstModule, levels }
    : info.modules.find((known) => known.id.toLowerCase() === id.toLowerCase());
  if (module === undefined) return unfit(`Intel's TCB info has no TDX module ${id}`);
  if (!equal(module.mrSigner, report.mrSignerSeam)) return unfit("Intel did not sign the TDX module");
  if (!agrees(report.seamAttributes, module.mask, module.attributes))
    return unfit("the TDX module has attributes that Intel does not vouch for");
  const securityVersion = report.teeTcbSvn[0] ?? 0;
  const reached = module.levels.find((level) => securityVersion >= level.securityVersion);
  return standingAt(reached, `the TDX module ${id}`);
}

/** The quoting enclave: the one of Intel's identity, and the first level that its security version reaches. */
export function qeStanding(identity: QeIdentity, qe: EnclaveReport): Standing {
  const isIntels =
    equal(identity.mrSigner, qe.mrSigner) &&
    identity.productId === qe.productId &&
    agrees(qe.miscSelect, identity.miscSelectMask, identity.miscSelect) &&
    agrees(qe.attributes, identity.attributesMask, identity.attributes);
  if (!isIntels) return unfit("the quote is by another quoting enclave than that of Intel's identity");
  const reached = identity.levels.find((level) => qe.securityVersion >= level.securityVersion);
  return standingAt(reached, "the quoting enclave");
}

/** Whether `value`, where `mask` has ones, is `due`. */
function agrees(value: Uint8Array, mask: Uint8Array, due: Uint8Array): boolean {
  const masked = value.map((byte, i) => byte & (mask[i] ?? 0));
  return value.length === mask.length && equal(masked, due);
}
