/** The protocol as a browser runs it: WebCrypto and a hash in JavaScript under the same code. */
import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { sha256 } from "#platform";
import { fixedSigner } from "../../../test/fixed-keys.ts";
import {
  NOW_SECONDS,
  nitroDocument,
  nitroRoot,
  snpCertificates,
  snpReport,
  snpRoot,
} from "../../../test/hardware-evidence.ts";
import { jsonOf, readVectors, type Vector } from "../../../test/vectors.ts";
import { appraiseNitro } from "./attest/nitro.ts";
import { appraiseSnp } from "./attest/snp.ts";
import { hex, parseHex, utf8 } from "./bytes.ts";
import { parseAuthorization, parseEntry, signEntry } from "./entry/entry.ts";
import { parseNoteKey } from "./log/note.ts";
import { parseLogProof, proves } from "./log/proof.ts";
import { trustInLog } from "./log/trust.ts";
import { verifyReceiptFile } from "./receipt/verify.ts";
import { signedId, verifySigned } from "./sign/cose.ts";

// What a bundler for browsers takes for `#platform` by the conditions of package.json.
vi.mock("#platform", () => import("../platform/web.ts"));

const bytesOf = (text: string) => parseHex(text) ?? new Uint8Array(0);

test("the platform under this file is the browser's, as package.json says it must be", async () => {
  expect(sha256).toBe((await import("../platform/web.ts")).sha256);
  const { imports } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  expect(imports["#platform"].default).toBe("./dist/platform/web.js");
});

type EntryVector = Vector & {
  kind: string;
  hex: string;
  spki: string;
  signedId: string;
  says: object;
  failure?: string;
};

test.each(readVectors<EntryVector>("entry/valid.json"))(
  "$desc: a $kind is read and holds in a browser",
  async (vector) => {
    const bytes = bytesOf(vector.hex);
    const { says, signed } = vector.kind === "authorization" ? parseAuthorization(bytes) : parseEntry(bytes);
    expect(jsonOf(says)).toEqual(vector.says);
    expect(hex(signedId(signed))).toBe(vector.signedId);
    expect(await verifySigned(signed, bytesOf(vector.spki))).toBe(true);
  },
);

const badlySigned = readVectors<EntryVector>("entry/invalid.json").filter(({ failure }) => failure === "bad_signature");

test.each(badlySigned)("$desc: refused in a browser", async (vector) => {
  expect(await verifySigned(parseEntry(bytesOf(vector.hex)).signed, bytesOf(vector.spki))).toBe(false);
});

test("an entry that is signed in a browser is read there", async () => {
  const signer = fixedSigner("relier");
  const entry = await signEntry(signer, "reliance", { version: 1, receipt: new Uint8Array(32) });
  expect(parseEntry(entry.signed.bytes)).toEqual(entry);
  expect(await verifySigned(entry.signed, signer.spki)).toBe(true);
});

test("hardware evidence is appraised in a browser as anywhere: ECDSA on P-384, RSA-PSS, what binds it, what does not hold", async () => {
  const reportData = new Uint8Array(64).fill(7);
  const given = { nowSeconds: NOW_SECONDS, expected: { reportData } };
  const nitro = (evidence: Uint8Array) => appraiseNitro({ ...given, evidence, root: sha256(nitroRoot) });
  const certificates = snpCertificates.vcek;
  const snp = (evidence: Uint8Array) => appraiseSnp({ ...given, evidence, certificates, root: sha256(snpRoot) });
  expect((await nitro(nitroDocument())).outcome).toBe("passed");
  expect((await snp(snpReport())).outcome).toBe("passed");
  const document = nitroDocument();
  const changed = document.with(-1, (document.at(-1) ?? 0) ^ 1);
  expect(await nitro(changed)).toMatchObject({ outcome: "failed", failure: "bad_signature" });
  expect(await snp(snpReport().with(0x90, 0))).toMatchObject({ outcome: "failed", failure: "bad_signature" });
});

type ProofVector = Vector & { proof: string; entry: string; failure?: string };
const proofs = readVectors<ProofVector>("log/proofs.json").filter(({ failure }) => failure !== "malformed");

test.each(proofs)("$desc: proved in a browser as anywhere", ({ proof, entry, wantErr }) => {
  expect(proves(parseLogProof(proof), bytesOf(entry))).toBe(!wantErr);
});

type ReceiptVector = Vector & { outcome: string; failure?: string; vkey: string; file: string };

test.each(readVectors<ReceiptVector>("receipt/files.json"))("$desc: $outcome in a browser", async (vector) => {
  const verdict = await verifyReceiptFile(utf8(vector.file), trustInLog(parseNoteKey(vector.vkey)));
  expect(verdict.outcome).toBe(vector.outcome);
  expect(verdict.outcome === "failed" ? verdict.failure : undefined).toBe(vector.failure);
});
