/**
 * How up to date a TDX platform is: its microcode and firmware, its TDX module and its quoting enclave, each against
 * the levels that Intel signed (Intel PCS API version 4, "TCB info" and "enclave identity").
 */
import { equal, hex } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { Members, parseJson } from "./collateral.ts";
import { DerReader, parseOid, parseSmallInteger, TAG } from "./der.ts";
import { Refused } from "./inspection.ts";
import type { EnclaveReport, TdReport } from "./tdx-quote.ts";
import type { Certificate } from "./x509.ts";

/** Intel's words, from the best to the worst. */
const STATUSES = [
  "UpToDate",
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
] as const;
export type TcbStatus = (typeof STATUSES)[number];

/** How a part of the platform stands, and the advisories that say why. */
export type TcbStanding = { status: TcbStatus; advisories: string[] };

type TcbLevel = TcbStanding & { sgx: number[]; tdx: number[]; pce: number };
type EnclaveLevel = TcbStanding & { securityVersion: number };
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
  const info = new Members(parseJson(text), "TCB info");
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
      return { sgx, tdx, pce: tcb.count("pcesvn"), ...standing(level) };
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
  const identity = new Members(parseJson(text), "QE identity");
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

function standing(level: Members): TcbStanding {
  const status = STATUSES.find((known) => known === level.text("tcbStatus"));
  if (status === undefined) throw new Malformed("has a TCB status that is not one of Intel's");
  return { status, advisories: level.has("advisoryIDs") ? level.texts("advisoryIDs") : [] };
}

function enclaveLevels(document: Members): EnclaveLevel[] {
  return document
    .objects("tcbLevels")
    .map((level) => ({ securityVersion: level.object("tcb").count("isvsvn"), ...standing(level) }));
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
export function platformStanding(info: TcbInfo, platform: PckPlatform, report: TdReport): TcbStanding {
  if (!equal(info.fmspc, platform.fmspc) || !equal(info.pceId, platform.pceId))
    throw new Refused(
      "wrong_platform",
      `the TCB info is of FMSPC ${hex(info.fmspc)}, the certificate of ${hex(platform.fmspc)}`,
    );
  const tdx = [...report.teeTcbSvn];
  // A module with a version of its own is judged by its identity: the first two components are its own.
  const from = moduleVersion(report) === 0 ? 0 : 2;
  const reached = info.levels.find(
    (level) =>
      level.sgx.every((svn, i) => (platform.sgx[i] ?? 0) >= svn) &&
      platform.pce >= level.pce &&
      level.tdx.every((svn, i) => i < from || (tdx[i] ?? 0) >= svn),
  );
  return reached ?? noLevel("the platform");
}

const moduleVersion = (report: TdReport) => report.teeTcbSvn[1] ?? 0;

/** The TDX module: signed by whom Intel says, and the first level that its security version reaches. */
export function moduleStanding(info: TcbInfo, report: TdReport): TcbStanding {
  const version = moduleVersion(report);
  if (version === 0) {
    checkModule(info.firstModule, report);
    return { status: "UpToDate", advisories: [] }; // Its security version is a component of the platform's level.
  }
  const id = `TDX_${hex(Uint8Array.of(version))}`;
  const module = info.modules.find((known) => known.id.toLowerCase() === id.toLowerCase());
  if (module === undefined) throw new Refused("wrong_platform", `the TCB info has no TDX module ${id}`);
  checkModule(module, report);
  const securityVersion = report.teeTcbSvn[0] ?? 0;
  return module.levels.find((level) => securityVersion >= level.securityVersion) ?? noLevel(`the TDX module ${id}`);
}

function checkModule(module: ModuleIdentity, report: TdReport): void {
  if (!equal(module.mrSigner, report.mrSignerSeam))
    throw new Refused("wrong_platform", "Intel did not sign the TDX module");
  if (!agrees(report.seamAttributes, module.mask, module.attributes))
    throw new Refused("wrong_platform", "the TDX module has attributes that Intel does not vouch for");
}

/** The quoting enclave: the one of Intel's identity, and the first level that its security version reaches. */
export function qeStanding(identity: QeIdentity, qe: EnclaveReport): TcbStanding {
  const isIntels =
    equal(identity.mrSigner, qe.mrSigner) &&
    identity.productId === qe.productId &&
    agrees(qe.miscSelect, identity.miscSelectMask, identity.miscSelect) &&
    agrees(qe.attributes, identity.attributesMask, identity.attributes);
  if (!isIntels) throw new Refused("wrong_platform", "the quote is not by the quoting enclave of Intel's identity");
  const reached = identity.levels.find((level) => qe.securityVersion >= level.securityVersion);
  return reached ?? noLevel("the quoting enclave");
}

/** Whether `value`, where `mask` has ones, is `due`. */
function agrees(value: Uint8Array, mask: Uint8Array, due: Uint8Array): boolean {
  return (
    value.length === mask.length &&
    equal(
      value.map((byte, i) => byte & (mask[i] ?? 0)),
      due,
    )
  );
}

function noLevel(part: string): never {
  throw new Refused("out_of_date", `no TCB level is as old as ${part}`);
}

/** The worst of several standings, with the advisories of all. */
export function worstStanding(standings: TcbStanding[]): TcbStanding {
  const statuses = standings.map(({ status }) => status);
  const worst = STATUSES.findLast((status) => statuses.includes(status)) ?? "Revoked";
  // Old in one part and to be configured in another is both.
  const isBoth = worst === "OutOfDate" && statuses.some((status) => status.startsWith("Configuration"));
  const advisories = [...new Set(standings.flatMap((each) => each.advisories))];
  return { status: isBoth ? "OutOfDateConfigurationNeeded" : worst, advisories };
}
