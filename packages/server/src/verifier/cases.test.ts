import {
  applyEntry,
  commit,
  commitField,
  createFold,
  encodeJson,
  type LotOpening,
  sha256,
  utf8,
} from "@tallystick/protocol";
import { expect, test } from "vitest";
import { MANIFEST } from "../../../../test/one-receipt.ts";
import { JUDGE, UsageLog } from "../../../../test/usage-log.ts";
import { type Case, caseOf, claimOf } from "./cases.ts";

const salt = sha256(utf8("salt"));
const evidence = encodeJson({ attempts: [], tokens: [[1, 2]] });
const opening: LotOpening = { requestSalt: salt, call: utf8("a call"), responseSalt: salt, answer: utf8("an answer") };

const looked = (engine: Case["manifest"]["engine"]): Case => ({
  ...{ id: salt, node: salt, manifest: { ...MANIFEST, engine }, isEngineKnown: true },
  asked: {
    ...{ version: 1, session: salt, nonce: 0, revision: salt, request: commit("request", salt, opening.call) },
    ...{ tier: "signed", maxPrice: 0n, expiry: 0, openness: "lot", traffic: "production" },
  },
  receipt: {
    ...{ version: 1, authorization: salt, status: "ok", response: commit("response", salt, opening.answer) },
    profile: { runtime: "node-llama-cpp@3.0.0", binary: salt, exactness: "tolerant" },
    ...{ units: 1, price: 0n, provenance: "executed", sequence: 0 },
    evidence: commitField("evidence", salt, evidence),
  },
});

test("whoever opens a receipt of an engine that is not exact opens its tokens too, or opens nothing", () => {
  expect(claimOf(looked("llama"), { ...opening, evidence })).toMatchObject({ ok: true, claim: { evidence: {} } });
  expect(claimOf(looked("llama"), opening)).toEqual({ ok: false, fault: expect.stringMatching(/evidence/) });
  expect(claimOf(looked("judge"), opening)).toMatchObject({ ok: true });
});

test("an engine is known from the first check that a verifier made with it, until it is revoked", async () => {
  const log = await UsageLog.open();
  await log.enrol("verifier", "verifier");
  const profile = { runtime: "onnxruntime-web@9.9.9", binary: JUDGE, exactness: "exact" } as const;
  const [named, checked] = [await log.call({ receipt: { profile } }), await log.call()];
  const bytes = log.entries.at(-2)?.signed.bytes ?? new Uint8Array(0);
  const isKnown = () => {
    const fold = createFold();
    for (const entry of log.entries) applyEntry(fold, entry);
    return caseOf(fold, named, bytes).isEngineKnown;
  };
  expect(isKnown()).toBe(false);
  await log.verify("verifier", checked);
  expect(isKnown()).toBe(true);
  await log.revoke("judge", JUDGE);
  expect(isKnown()).toBe(false);
});
