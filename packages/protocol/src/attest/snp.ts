/**
 * Appraising a report of AMD SEV-SNP: signed by the chip's key (VCEK) or one that AMD loads for a cloud provider (VLEK),
 * whose certificate names the chip and the firmware's versions ("Versioned Chip Endorsement Key Certificate and KDS
 * Interface Specification"), under ASK or ASVK and the pinned ARK of the product.
 */
import { sha256, verifySignature } from "#platform";
import { equal, hex, parseUtf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import {
  type Appraisal,
  type AttestationCheck,
  checkBinding,
  conclude,
  type Expected,
  judge,
  measurementOf,
} from "./appraisal.ts";
import { assembleChain, checkChain, notAfterOf } from "./chain.ts";
import { parseElement, parseSmallInteger, TAG } from "./der.ts";
import { checkRoot } from "./roots.ts";
import { parseSnpReport, type SnpReport } from "./snp-report.ts";
import { type Certificate, parseCertificate, parseCrl } from "./x509.ts";

const OID = "1.3.6.1.4.1.3704.1";
const PRODUCT = `${OID}.2`;
const CHIP_ID = `${OID}.4`;
const CLOUD_PROVIDER = `${OID}.5`;
/** IA5String. */
const IA5_STRING = 0x16;

/** Which extension vouches for which byte of the reported TCB. */
const TCB_OF_OLDER = [
  ["boot loader", `${OID}.3.1`, 0],
  ["trusted execution environment", `${OID}.3.2`, 1],
  ["SNP firmware", `${OID}.3.3`, 6],
  ["microcode", `${OID}.3.8`, 7],
] as const;
const TCB_OF_TURIN = [
  ["FMC", `${OID}.3.9`, 0],
  ["boot loader", `${OID}.3.1`, 1],
  ["trusted execution environment", `${OID}.3.2`, 2],
  ["SNP firmware", `${OID}.3.3`, 3],
  ["microcode", `${OID}.3.8`, 7],
] as const;

/** Appraises a report at `nowSeconds` by its certificates, in DER and any order; `root` trusts another root than AMD's. */
export function appraiseSnp(given: {
  evidence: Uint8Array;
  certificates: readonly Uint8Array[];
  crls?: readonly Uint8Array[];
  root?: Uint8Array;
  nowSeconds: number;
  expected: Expected;
}): Promise<Appraisal> {
  return conclude("snp", async (checks) => {
    const { nowSeconds } = given;
    const crls = (given.crls ?? []).map(parseCrl);
    const report = parseSnpReport(given.evidence);
    const chain = assembleChain(given.certificates.map(parseCertificate));
    checks.push(checkRoot("snp", chain.root.bytes, given.root));
    checks.push(...(await checkChain({ ...chain, nowSeconds, crls })));
    const holds = await verifySignature("es384", chain.leaf.spki, report.toBeSigned, report.signature);
    checks.push(judge("signature", "bad_signature", !holds && "the report's signature does not hold", "by the leaf"));
    checks.push(checkChip(report, chain.leaf), checkTcb(report, chain.leaf), checkDebug(report), checkLevel(report));
    checks.push(checkMigration(report), checkBinding(given.expected.reportData, report.reportData));
    // No list of AMD's says which versions are too old, as Intel's does: what is said is that the chip reports them truly.
    checks.push({ name: "firmware age", state: "not_checked", detail: "AMD signs no list of outdated versions" });
    const registers = new Map([
      [0, report.measurement],
      [1, report.hostData],
    ]);
    return {
      registers,
      measurement: measurementOf(registers),
      reportData: report.reportData,
      root: sha256(chain.root.bytes),
      notAfterSeconds: notAfterOf(chain, crls),
    };
  });
}

/** Whether the certificate is of the kind of key that signed, and of the chip that the report names. */
function checkChip({ signingKey, chipId }: SnpReport, { extensions }: Certificate): AttestationCheck {
  const id = extensions.get(CHIP_ID)?.value;
  const isProvider = extensions.has(CLOUD_PROVIDER);
  if ((id === undefined) !== isProvider || signingKey !== (isProvider ? 1 : 0))
    return judge("chip", "wrong_platform", "the report is by another kind of key than the certificate's", "");
  if (id === undefined)
    return { name: "chip", state: "not_checked", detail: "a VLEK's certificate names a provider, not a chip" };
  // Turin's have eight bytes, and zeros after them in the report.
  const isSame =
    id.length >= 8 &&
    equal(chipId.subarray(0, id.length), id) &&
    chipId.subarray(id.length).every((byte) => byte === 0);
  return judge(
    "chip",
    "wrong_platform",
    !isSame && "the certificate is of another chip",
    "the certificate names the chip",
  );
}

function checkTcb({ reportedTcb }: SnpReport, leaf: Certificate): AttestationCheck {
  const rows = productOf(leaf).startsWith("Turin") ? TCB_OF_TURIN : TCB_OF_OLDER;
  const other = rows.find(([, oid, at]) => versionOf(leaf, oid) !== reportedTcb[at]);
  const fault = other && `the certificate is of another version of the ${other[0]} than the report`;
  return judge("firmware", "wrong_platform", fault, `reports TCB ${hex(reportedTcb)}, for which its key was made`);
}

function productOf({ extensions }: Certificate): string {
  const extension = extensions.get(PRODUCT);
  if (extension === undefined) throw new Malformed("has a certificate that names no product");
  return parseUtf8(parseElement(extension.value, IA5_STRING).value) ?? "";
}

function versionOf({ extensions }: Certificate, oid: string): number | undefined {
  const extension = extensions.get(oid);
  return extension && parseSmallInteger(parseElement(extension.value, TAG.integer).value);
}

function checkDebug({ policy }: SnpReport): AttestationCheck {
  return judge("debug", "debug", policy.debug && "the guest's policy allows debugging", "not in debug mode");
}

/** A less privileged layer, or the host, may ask for reports too: what it says of report data is not the guest's word. */
function checkLevel({ vmpl }: SnpReport): AttestationCheck {
  const fault = vmpl !== 0 && `the report was asked for at VMPL ${vmpl}`;
  return judge("privilege level", "wrong_platform", fault, "asked for at VMPL 0");
}

function checkMigration({ policy }: SnpReport): AttestationCheck {
  const fault = policy.migrationAgent && "a migration agent may move the guest elsewhere";
  return judge("migration", "wrong_platform", fault, "the guest stays on its chip");
}
