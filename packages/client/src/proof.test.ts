/** A proof is checked where the requester is: in Node and in a browser, by the same code, without a network. */
import { existsSync } from "node:fs";
import {
  answerOf,
  base64,
  CIRCUIT_PATH,
  commitInput,
  parseProofEvidence,
  quantise,
  writeCircuitFile,
} from "@tallystick/protocol";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  CRS_FOLDER,
  CRS_SUITE,
  callOf,
  fixtureRevision,
  PROGRAMS_FOLDER,
  PROVING_TIMEOUT_MS,
  WEIGHTS_SALT,
} from "../../../test/proving.ts";
import { openProver, type Prover } from "../../server/src/proving/prover.ts";
import { openProofVerifier } from "./proof.ts";

const CHROMIUM = "/usr/bin/chromium";

describe.skipIf(CRS_FOLDER === undefined)(CRS_SUITE, { timeout: PROVING_TIMEOUT_MS }, () => {
  let prover: Prover;
  let question: Awaited<ReturnType<typeof ask>>;

  beforeAll(async () => {
    prover = await openProver({ folder: PROGRAMS_FOLDER, crsPath: CRS_FOLDER });
    question = await ask(prover);
  }, PROVING_TIMEOUT_MS);
  afterAll(async () => prover?.[Symbol.asyncDispose]());

  test("every check passes, the proof's own among them, and no network is asked", async () => {
    const fetching = vi.spyOn(globalThis, "fetch");
    await using verifier = await openProofVerifier();
    const checks = await verifier.verify(question);
    expect(checks.map(({ name, state }) => `${name}: ${state}`)).toEqual([
      "circuit: passed",
      "proved receipt: passed",
      "proved input: passed",
      "proved weights: passed",
      "proved answer: passed",
      "proof: passed",
    ]);
    expect(fetching).not.toHaveBeenCalled();
  });

  test("a proof or a key with a bit changed does not pass", async () => {
    await using verifier = await openProofVerifier();
    const { evidence, verificationKey } = question;
    const changed = evidence.with(evidence.length - 1, (evidence.at(-1) ?? 0) ^ 1);
    expect((await verifier.verify({ ...question, evidence: changed })).at(-1)).toMatchObject({
      name: "proof",
      state: "failed",
      failure: "bad_proof",
    });
    const otherKey = verificationKey.with(100, (verificationKey[100] ?? 0) ^ 1);
    expect((await verifier.verify({ ...question, verificationKey: otherKey })).at(-1)).toMatchObject({
      state: "failed",
      detail: "the verification key is not the revision's",
    });
  });

  test.skipIf(!existsSync(CHROMIUM))("a browser verifies it, with nothing but the page's own script", async () => {
    const { evidence, receiptId, verificationKey } = question;
    const { outputFiles } = await build({
      stdin: { contents: BROWSER_SCRIPT, resolveDir: import.meta.dirname, loader: "ts" },
      bundle: true,
      write: false,
      format: "iife",
      platform: "browser",
      conditions: ["@tallystick/source", "browser"],
      mainFields: ["browser", "module", "main"],
      logLevel: "error",
    });
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
    try {
      const page = await browser.newPage();
      const asked: string[] = [];
      // A secure context with no server behind it: whatever else is asked for is refused and noted.
      await page.route("**/*", (route) => {
        const url = route.request().url();
        if (url === "https://page.example/") return route.fulfill({ contentType: "text/html", body: "<p>a page" });
        asked.push(url);
        return route.abort();
      });
      await page.goto("https://page.example/");
      await page.addScriptTag({ content: outputFiles[0]?.text ?? "" });
      const manifest = JSON.stringify(question.manifest, (_, value) =>
        value instanceof Uint8Array ? { base64: base64(value) } : value,
      );
      const given = {
        evidence: base64(evidence),
        receiptId: base64(receiptId),
        request: base64(question.request.digest),
        circuit: base64(question.circuit),
        verificationKey: base64(verificationKey),
        manifest,
      };
      const say = (one: typeof given) =>
        page.evaluate((value) => Reflect.apply(Reflect.get(globalThis, "verifyProof"), undefined, [value]), one);
      expect(await say(given)).toContain("proof: passed");
      const changed = evidence.with(evidence.length - 1, (evidence.at(-1) ?? 0) ^ 1);
      expect(await say({ ...given, evidence: base64(changed) })).toContain("proof: failed");
      expect(asked).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});

const BROWSER_SCRIPT = `
import { parseBase64 } from "@tallystick/protocol";
import { openProofVerifier } from "./proof.ts";
globalThis.verifyProof = async ({ evidence, receiptId, request, circuit, verificationKey, manifest }) => {
  const verifier = await openProofVerifier();
  const checks = await verifier.verify({
    evidence: parseBase64(evidence),
    receiptId: parseBase64(receiptId),
    request: { alg: "poseidon2", digest: parseBase64(request) },
    circuit: parseBase64(circuit),
    verificationKey: parseBase64(verificationKey),
    manifest: JSON.parse(manifest, (_, value) => (value?.base64 === undefined ? value : parseBase64(value.base64))),
  });
  await verifier[Symbol.asyncDispose]();
  return checks.map(({ name, state }) => name + ": " + state);
};
`;

/** What a requester has who asked the fixture for one answer, and the proof of it. */
async function ask(prover: Prover) {
  const revision = await fixtureRevision(prover, "logreg30");
  const { circuit, manifest } = revision;
  const call = callOf(revision, 1);
  const [evidence = new Uint8Array(0)] = await prover.prove(revision, WEIGHTS_SALT, [call]);
  const outcome = await prover.verify(revision, evidence);
  if (outcome.outcome !== "passed") throw new Error(outcome.reason);
  const outputs = parseProofEvidence(evidence).calls[0]?.outputs ?? [];
  return {
    evidence,
    receiptId: call.receiptId,
    request: {
      alg: "poseidon2" as const,
      digest: commitInput(circuit, quantise(circuit, call.input).values, call.salt),
    },
    manifest,
    circuit: revision.files.get(CIRCUIT_PATH) ?? writeCircuitFile(circuit),
    opened: { input: call.input, salt: call.salt, answer: answerOf(circuit, "y", outputs) },
    verificationKey: outcome.verificationKey,
  };
}
