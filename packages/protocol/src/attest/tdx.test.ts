import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  OWN_NOW_SECONDS,
  type OwnLevel,
  type OwnTdx,
  ownTdx,
  PCK_SERIAL,
  PLATFORM_CA_SERIAL,
  TCB_SIGNER_SERIAL,
} from "../../../../test/own-tdx.ts";
import { RUNS } from "../../../../test/runs.ts";
import { vectorsOf } from "../../../../test/vectors-dir.ts";
import { hex, parseHex, parseUtf8, utf8 } from "../bytes.ts";
import { isJsonObject } from "../json/canonical.ts";
import type { Appraisal } from "./appraisal.ts";
import { findRoot } from "./roots.ts";
import { appraiseTdx } from "./tdx.ts";
import { parseTdxQuote } from "./tdx-quote.ts";

type Given = Parameters<typeof appraiseTdx>[0];

/** The first check that failed, with its code. */
function faultOf(appraisal: Appraisal): string {
  const failed = appraisal.checks.find(({ state }) => state === "failed");
  return appraisal.outcome === "passed" ? "passed" : `${failed?.name}: ${appraisal.failure}`;
}

const flipped = (bytes: Uint8Array, at: number, by = 1) => bytes.map((byte, i) => (i === at ? byte ^ by : byte));
const secondsOf = (time: string) => Date.parse(time) / 1000;

/** `collateral` with one member changed. */
function withMember(collateral: Uint8Array, name: string, change: (value: string) => string): Uint8Array {
  const document: unknown = JSON.parse(parseUtf8(collateral) ?? "");
  if (!isJsonObject(document)) throw new Error("the collateral is an object");
  const value = document[name];
  if (typeof value !== "string") throw new Error(`the collateral has ${name}`);
  return utf8(JSON.stringify({ ...document, [name]: change(value) }));
}

function memberOf(collateral: Uint8Array, name: string): string {
  let found = "";
  withMember(collateral, name, (value) => {
    found = value;
    return value;
  });
  return found;
}

const vectors = vectorsOf("attestation");

describe.skipIf(vectors === undefined)(
  `Intel's own evidence${vectors === undefined ? " (skipped: no vectors)" : ""}`,
  () => {
    const read = (name: string) => new Uint8Array(vectors === undefined ? [] : readFileSync(join(vectors, name)));
    const good = (): Given => ({
      evidence: read("tdx_quote.bin"),
      collateral: read("tdx_quote_collateral.json"),
      nowSeconds: secondsOf("2025-06-19T11:16:00Z"),
      expected: {},
    });
    const outdated = (): Given => ({
      evidence: read("tdx_quote_outdated.bin"),
      collateral: read("tdx_quote_outdated_collateral.json"),
      nowSeconds: secondsOf("2026-02-20T00:00:00Z"),
      expected: {},
    });
    const appraise = async (changes: Partial<Given>, base = good()) =>
      faultOf(await appraiseTdx({ ...base, ...changes }));

    test("a real quote of version 4 is UpToDate at its own time, with the registers that it has", async () => {
      const appraisal = await appraiseTdx(good());
      if (appraisal.outcome !== "passed") throw new Error(faultOf(appraisal));
      expect(appraisal.checks.filter(({ state }) => state !== "passed").map(({ name }) => name)).toEqual(["binding"]);
      expect(findRoot("tdx", appraisal.root)?.name).toBe("Intel SGX Root CA");
      expect(hex(appraisal.registers.get(0) ?? new Uint8Array())).toMatch(/^91eb2b44d141d4ec/);
      expect(hex(appraisal.reportData)).toMatch(/^9a9d48e7f6799642/);
      expect(new Date(1000 * appraisal.notAfterSeconds).toISOString()).toBe("2025-07-19T10:00:35.000Z");
    });

    test("a real quote of version 5 with the report of TDX 1.5 is read, and no TCB level is as old as its platform", async () => {
      const quote = parseTdxQuote(outdated().evidence);
      expect([quote.version, hex(quote.report.teeTcbSvn)]).toEqual([5, "07010300000000000000000000000000"]);
      expect(await appraise({}, outdated())).toBe("platform: out_of_date");
    });

    test("only the report data that was expected is accepted", async () => {
      const reportData = parseTdxQuote(good().evidence).report.reportData;
      expect(await appraise({ expected: { reportData } })).toBe("passed");
      expect(await appraise({ expected: { reportData: flipped(reportData, 63) } })).toBe("binding: wrong_binding");
      expect(await appraise({ expected: { reportData: reportData.subarray(0, 32) } })).toBe("binding: wrong_binding");
      expect(await appraise({ expected: { reportData: new Uint8Array(0) } })).toBe("binding: wrong_binding");
    });

    test("a byte changed in any field of the quote is refused by the check that is there for it", async () => {
      const BODY: [name: string, length: number][] = [
        ["TEE_TCB_SVN", 16],
        ["MRSEAM", 48],
        ["MRSIGNERSEAM", 48],
        ["SEAMATTRIBUTES", 8],
        ["TDATTRIBUTES", 8],
        ["XFAM", 8],
        ...["MRTD", "MRCONFIGID", "MROWNER", "MROWNERCONFIG", "RTMR0", "RTMR1", "RTMR2", "RTMR3"].map(
          (name): [string, number] => [name, 48],
        ),
        ["REPORTDATA", 64],
      ];
      const PEM_AT = 770 + 384 + 64 + 2 + 32 + 6;
      const fields: [name: string, at: number, fault: string][] = [
        ["version", 0, "form: malformed"],
        ["key type", 2, "form: malformed"],
        ["TEE", 4, "form: malformed"],
        ["reserved", 8, "quote signature: bad_signature"],
        ["vendor", 12, "form: malformed"],
        ["user data", 28, "quote signature: bad_signature"],
        ...BODY.flatMap(([name, length], i): [string, number, string][] => {
          const from = 48 + BODY.slice(0, i).reduce((sum, [, before]) => sum + before, 0);
          const fault = "quote signature: bad_signature";
          return [
            [name, from, fault],
            [`${name}, last byte`, from + length - 1, fault],
          ];
        }),
        ["signature length", 632, "form: malformed"],
        ["signature r", 636, "quote signature: bad_signature"],
        ["signature s", 699, "quote signature: bad_signature"],
        ["attestation key", 700, "attestation key: wrong_binding"],
        ["certification type", 764, "form: malformed"],
        ["certification length", 766, "form: malformed"],
        ["QE report CPUSVN", 770, "QE report signature: bad_signature"],
        ["QE report data", 770 + 320, "QE report signature: bad_signature"],
        ["QE report signature", 770 + 384, "QE report signature: bad_signature"],
        ["QE authentication length", 770 + 448, "form: malformed"],
        ["QE authentication", 770 + 450, "attestation key: wrong_binding"],
        ["inner certification type", 770 + 482, "form: malformed"],
        ["inner certification length", 770 + 484, "form: malformed"],
        ["PEM label", PEM_AT + 8, "form: malformed"],
        ["padding", 5005, "form: malformed"],
      ];
      for (const [name, at, fault] of fields) {
        const found = await appraise({ evidence: flipped(good().evidence, at) });
        expect(`${name}: ${found}`).toBe(`${name}: ${fault}`);
      }
    });

    test("no byte of the quote can be changed and the quote still pass, but for white space in its PEM", async () => {
      const { evidence } = good();
      const { pckChain } = parseTdxQuote(evidence);
      const isSpace = (at: number) => evidence.subarray(at, at + 1).every((byte) => byte === 10);
      for (let at = 0; at < evidence.length; at += 61) {
        if (at >= pckChain.byteOffset && isSpace(at)) continue;
        expect(`${at}: ${await appraise({ evidence: flipped(evidence, at, 0x80) })}`).not.toBe(`${at}: passed`);
      }
    });

    test("a character changed in any member of the collateral is refused by the check that is there for it", async () => {
      const later = (text: string) => text.replace('"nextUpdate":"2025', '"nextUpdate":"2026');
      const digit = (at: number) => (text: string) =>
        `${text.slice(0, at)}${text[at] === "0" ? "1" : "0"}${text.slice(at + 1)}`;
      const members: [name: string, change: (text: string) => string, fault: string][] = [
        ["tcb_info", later, "TCB info: signature: bad_signature"],
        ["tcb_info", (text) => `${text} `, "TCB info: signature: bad_signature"],
        ["tcb_info", () => "", "TCB info: signature: bad_signature"],
        ["tcb_info_signature", digit(0), "TCB info: signature: bad_signature"],
        ["tcb_info_signature", (text) => text.slice(2), "TCB info: signature: bad_signature"],
        ["tcb_info_signature", () => "zz", "form: malformed"],
        ["tcb_info_issuer_chain", (text) => text.replace("MIICjTCC", "MIICjDCC"), "form: malformed"],
        ["qe_identity", later, "QE identity: signature: bad_signature"],
        ["qe_identity_signature", digit(127), "QE identity: signature: bad_signature"],
        ["qe_identity_issuer_chain", () => "", "form: malformed"],
        ["root_ca_crl", digit(560), "PCK: certificate revocation: bad_signature"],
        ["pck_crl", digit(5300), "PCK: certificate revocation: bad_signature"],
        ["pck_crl", () => "", "form: malformed"],
      ];
      for (const [name, change, fault] of members) {
        const found = await appraise({ collateral: withMember(good().collateral, name, change) });
        expect(`${name}: ${found}`).toBe(`${name}: ${fault}`);
      }
    });

    test("evidence spliced from two machines, two quotes or two times is refused", async () => {
      const [a, b] = [good(), outdated()];
      expect(await appraise({ collateral: b.collateral, nowSeconds: b.nowSeconds })).toBe("platform: wrong_platform");
      expect(await appraise({ collateral: b.collateral })).toBe("PCK: certificate revocation: not_valid_now");
      // The signature block of one quote under the body of another.
      const spliced = new Uint8Array([
        ...a.evidence.subarray(0, 632),
        ...b.evidence.subarray(b.evidence.length - 4304),
      ]);
      expect(await appraise({ evidence: spliced }, b)).toBe("quote signature: bad_signature");
      for (const name of ["tcb_info", "qe_identity"]) {
        const text = memberOf(b.collateral, name);
        expect(await appraise({ collateral: withMember(a.collateral, name, () => text) })).toContain("bad_signature");
        const signature = memberOf(b.collateral, `${name}_signature`);
        const whole = withMember(
          withMember(a.collateral, name, () => text),
          `${name}_signature`,
          () => signature,
        );
        expect(await appraise({ collateral: whole })).toContain(": not_valid_now");
      }
      // QE identity, which Intel signed as well, in the place of TCB info.
      const swapped = ["tcb_info", "tcb_info_signature"].reduce(
        (collateral, name) =>
          withMember(collateral, name, () => memberOf(a.collateral, name.replace("tcb_info", "qe_identity"))),
        a.collateral,
      );
      expect(await appraise({ collateral: swapped })).toBe("form: malformed");
    });

    test("another root, a swapped intermediate and a chain that lacks one are refused; the order does not matter", async () => {
      expect(await appraise({ root: new Uint8Array(32) })).toBe("PCK: root: unknown_root");
      const own = ownTdx();
      expect(await appraise({ evidence: own.evidence, collateral: own.collateral })).toBe("PCK: root: unknown_root");
      const [a, b] = [good(), outdated()].map(({ evidence }) => parseUtf8(parseTdxQuote(evidence).pckChain) ?? "");
      const certificates = (pem = "") => pem.split(/(?<=-----END CERTIFICATE-----\n)/);
      const [leaf = "", ca = "", root = ""] = certificates(a);
      const [otherLeaf = ""] = certificates(b);
      const chains: [string[], string][] = [
        [[leaf, ca, root], "passed"],
        [[root, leaf, ca], "passed"],
        [[leaf, ca, ca, root], "passed"],
        [[leaf, otherLeaf, root], "form: malformed"],
        [[otherLeaf, ca, root], "PCK: certificate validity: not_valid_now"],
        [[leaf, ca], "form: malformed"],
        [[leaf, root], "form: malformed"],
        [[ca, root], "form: malformed"],
      ];
      for (const [chain, fault] of chains)
        expect(await appraise({ evidence: withChain(good().evidence, chain.join("")) })).toBe(fault);
    });

    test("each end of what has a time is met to the second", async () => {
      const { collateral } = good();
      const later = (one: string, two: string) => Math.max(secondsOf(one), secondsOf(two));
      const issued = later(
        /"issueDate":"([^"]+)"/.exec(memberOf(collateral, "tcb_info"))?.[1] ?? "",
        /"issueDate":"([^"]+)"/.exec(memberOf(collateral, "qe_identity"))?.[1] ?? "",
      );
      const ends = secondsOf("2025-07-19T10:00:35Z");
      const sweep: [number, string][] = [
        [issued - 1, "QE identity: validity: not_valid_now"],
        [issued, "passed"],
        [ends, "passed"],
        [ends + 1, "PCK: certificate revocation: not_valid_now"],
        [secondsOf("2025-06-19T10:16:02Z"), "TCB info: validity: not_valid_now"],
        [secondsOf("2040-01-01T00:00:00Z"), "PCK: certificate validity: not_valid_now"],
        [0, "PCK: certificate validity: not_valid_now"],
      ];
      for (const [nowSeconds, fault] of sweep)
        expect(`${nowSeconds}: ${await appraise({ nowSeconds })}`).toBe(`${nowSeconds}: ${fault}`);
    });

    test("whatever is done to the bytes, appraising says so and throws nothing", async () => {
      const { evidence, collateral } = good();
      const change = fc.tuple(fc.nat(1e6), fc.integer({ min: 1, max: 255 }));
      await fc.assert(
        fc.asyncProperty(
          fc.array(change, { minLength: 1, maxLength: 4 }),
          fc.nat(1e6),
          fc.nat(3),
          async (changes, cut, part) => {
            const bytes = Uint8Array.from(part % 2 === 0 ? evidence : collateral);
            for (const [at, by] of changes) bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ by;
            const broken = part < 2 ? bytes : bytes.subarray(0, cut % bytes.length);
            await appraise(part % 2 === 0 ? { evidence: broken } : { collateral: broken });
          },
        ),
        { ...RUNS, seed: 5 },
      );
    });
  },
);

/** A quote of version 4 with another chain inside. */
function withChain(evidence: Uint8Array, pem: string): Uint8Array {
  const bytes = Buffer.from(evidence);
  const inner = Buffer.from(`${pem}\0`);
  const head = bytes.subarray(0, 770 + 482 + 2);
  const quote = Buffer.concat([head, Buffer.alloc(4), inner]);
  quote.writeUInt32LE(inner.length, 770 + 484);
  quote.writeUInt32LE(quote.length - 770, 766);
  quote.writeUInt32LE(quote.length - 636, 632);
  return new Uint8Array(quote);
}

describe("evidence under a root of our own", () => {
  const appraise = async (changes: Partial<OwnTdx>) => faultOf(await appraiseTdx({ ...ownTdx(changes), expected: {} }));

  test("quotes of version 4, and of version 5 with either report, built by the specification, pass and have one measurement", async () => {
    const measurements = [];
    for (const form of [{ version: 4 }, { version: 5, bodyType: 2 }, { version: 5, bodyType: 3 }] as const) {
      const appraisal = await appraiseTdx({ ...ownTdx(form), expected: { reportData: ownReportData() } });
      if (appraisal.outcome !== "passed") throw new Error(faultOf(appraisal));
      measurements.push(hex(appraisal.measurement));
    }
    expect(new Set(measurements).size).toBe(1);
    expect(hex(parseTdxQuote(ownTdx({ version: 5, bodyType: 3 }).evidence).report.mrServiceTd)).toBe("00".repeat(48));
  });

  const ownReportData = () => Uint8Array.from({ length: 64 }, (_, i) => i);

  test("a service TD that may move the machine is another measurement", async () => {
    const form = { version: 5, bodyType: 3, mrServiceTd: new Uint8Array(48).fill(1) } as const;
    const [bound, free] = [
      await appraiseTdx({ ...ownTdx(form), expected: {} }),
      await appraiseTdx({ ...ownTdx(), expected: {} }),
    ];
    if (bound.outcome !== "passed" || free.outcome !== "passed") throw new Error("both are genuine");
    expect(hex(bound.measurement)).not.toBe(hex(free.measurement));
  });

  test("a body of version 5 with a type or a size of something else is malformed", async () => {
    const { evidence, ...rest } = ownTdx({ version: 5, bodyType: 3 });
    for (const [at, by] of [
      [48, 1],
      [48, 2],
      [50, 8],
      [53, 1],
    ] as const)
      expect(faultOf(await appraiseTdx({ ...rest, evidence: flipped(evidence, at, by), expected: {} }))).toBe(
        "form: malformed",
      );
  });

  test.each([
    ["the platform", { revokedByPlatformCa: [PCK_SERIAL] }, "PCK: certificate revocation: revoked"],
    ["the platforms' authority", { revokedByRoot: [PLATFORM_CA_SERIAL] }, "PCK: certificate revocation: revoked"],
    ["who signs the TCB info", { revokedByRoot: [TCB_SIGNER_SERIAL] }, "TCB info: certificate revocation: revoked"],
    ["somebody else", { revokedByRoot: [3], revokedByPlatformCa: [PLATFORM_CA_SERIAL] }, "passed"],
  ])("a certificate on its issuer's list is refused: %s", async (_, changes, fault) => {
    expect(await appraise(changes)).toBe(fault);
  });

  test("a list of another authority does not stand in for the one that is missing", async () => {
    const { collateral, ...rest } = ownTdx();
    const swapped = withMember(collateral, "pck_crl", () => memberOf(collateral, "root_ca_crl"));
    expect(faultOf(await appraiseTdx({ ...rest, collateral: swapped, expected: {} }))).toBe(
      "PCK: certificate revocation: bad_chain",
    );
  });

  test("an authority of the same name with another key is not the platforms' authority", async () => {
    expect(await appraise({ isPckForged: true })).toBe("PCK: certificate signatures: bad_signature");
  });

  test("a debug TD is refused, and every other attribute that makes it untrusted", async () => {
    for (let bit = 0; bit < 8; bit++)
      expect(await appraise({ tdAttributes: [1 << bit, 0, 0, 0x10] })).toBe("debug: debug");
  });

  test("the authority of platforms cannot sign TCB info, nor another name be the platforms' authority", async () => {
    expect(await appraise({ tcbSigner: "Intel SGX PCK Certificate" })).toBe("TCB info: names: bad_chain");
    expect(await appraise({ pckIssuer: "Intel SGX PCK Processor CA" })).toBe("passed");
    expect(await appraise({ pckIssuer: "Intel SGX TCB Signing" })).toBe("PCK: names: bad_chain");
  });

  test.each<[string, Partial<OwnTdx>, string]>([
    ["as new as the newest level", {}, "passed"],
    ["old microcode", { sgxSvn: 2 }, "TCB status: out_of_date"],
    ["microcode older than every level", { sgxSvn: 1 }, "platform: out_of_date"],
    ["an old PCE", { pceSvn: 10 }, "TCB status: out_of_date"],
    ["a PCE older than every level", { pceSvn: 4 }, "platform: out_of_date"],
    ["an old TDX component", { teeTcbSvn: [5, 1, 1] }, "TCB status: out_of_date"],
    ["a TDX component older than every level", { teeTcbSvn: [5, 1, 0] }, "platform: out_of_date"],
    ["an old TDX module", { teeTcbSvn: [4, 1, 2] }, "TCB status: out_of_date"],
    ["a TDX module older than every level", { teeTcbSvn: [2, 1, 2] }, "TDX module: out_of_date"],
    ["a TDX module that Intel does not list", { teeTcbSvn: [5, 9, 2] }, "TDX module: wrong_platform"],
    ["a first TDX module", { teeTcbSvn: [2, 0, 2] }, "passed"],
    ["an old first TDX module", { teeTcbSvn: [1, 0, 2] }, "TCB status: out_of_date"],
    ["an old quoting enclave", { qeSvn: 3 }, "TCB status: out_of_date"],
    ["a quoting enclave older than every level", { qeSvn: 1 }, "quoting enclave: out_of_date"],
    ["a quoting enclave in debug mode", { qeAttributes: 0x17 }, "quoting enclave: wrong_platform"],
    [
      "another signer of the quoting enclave",
      { qeIdentity: () => ({ mrsigner: "00".repeat(32) }) },
      "quoting enclave: wrong_platform",
    ],
    ["another product of the signer", { qeIdentity: () => ({ isvprodid: 1 }) }, "quoting enclave: wrong_platform"],
    ["another family of platforms", { tcbInfo: () => ({ fmspc: "90C06F000000" }) }, "platform: wrong_platform"],
    ["TCB info of SGX", { tcbInfo: () => ({ id: "SGX" }) }, "form: malformed"],
    ["TCB info of an older form", { tcbInfo: () => ({ version: 2 }) }, "form: malformed"],
    ["an identity of SGX's enclave", { qeIdentity: () => ({ id: "QE" }) }, "form: malformed"],
    ["no level at all", { tcbInfo: () => ({ tcbLevels: [] }) }, "platform: out_of_date"],
    [
      "a level without its sixteen components",
      {
        tcbInfo: ({ tcbLevels }) => ({
          tcbLevels: tcbLevels.map((level) => ({ ...level, tcb: { ...level.tcb, sgxtcbcomponents: [{ svn: 0 }] } })),
        }),
      },
      "form: malformed",
    ],
    [
      "a TDX module of another signer",
      {
        tcbInfo: ({ tdxModuleIdentities }) => ({
          tdxModuleIdentities: tdxModuleIdentities.map((module) => ({ ...module, mrsigner: "11".repeat(48) })),
        }),
      },
      "TDX module: wrong_platform",
    ],
  ])("the platform is judged by all its parts: %s", async (_, changes, fault) => {
    expect(await appraise(changes)).toBe(fault);
  });

  const standing = (levels: OwnLevel[], tcbStatus: string) => levels.map((level) => ({ ...level, tcbStatus }));

  test.each<[string, Partial<OwnTdx>]>([
    ["platform", { tcbInfo: ({ tcbLevels }) => ({ tcbLevels: standing(tcbLevels, "Revoked") }) }],
    [
      "TDX module",
      {
        tcbInfo: ({ tdxModuleIdentities }) => ({
          tdxModuleIdentities: tdxModuleIdentities.map((module) => ({
            ...module,
            tcbLevels: standing(module.tcbLevels, "Revoked"),
          })),
        }),
      },
    ],
    ["quoting enclave", { qeIdentity: ({ tcbLevels }) => ({ tcbLevels: standing(tcbLevels, "Revoked") }) }],
  ])("a level that Intel revoked is refused as revoked: of the %s", async (_, changes) => {
    expect(await appraise(changes)).toBe("TCB status: revoked");
  });

  test("the advisories of an old level are named", async () => {
    const appraisal = await appraiseTdx({ ...ownTdx({ sgxSvn: 2 }), expected: {} });
    expect(appraisal.checks.find(({ name }) => name === "TCB status")?.detail).toBe("OutOfDate: INTEL-SA-00837");
  });

  test("a document that Intel dated wrongly is not current at any time", async () => {
    for (const time of ["2027-01-14T08:00:00", "2027-13-14T08:00:00Z", "never"])
      expect(await appraise({ tcbInfo: () => ({ nextUpdate: time }) })).toBe("form: malformed");
    expect(OWN_NOW_SECONDS).toBe(secondsOf("2027-01-15T08:00:00Z"));
  });

  test("TEE and vendor of the quote are Intel's TDX whoever signs it", async () => {
    const { evidence, ...rest } = ownTdx();
    expect(parseHex("81")).toEqual(evidence.subarray(4, 5));
    expect(faultOf(await appraiseTdx({ ...rest, evidence: flipped(evidence, 4, 0x81), expected: {} }))).toBe(
      "form: malformed",
    );
  });
});
