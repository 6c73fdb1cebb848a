import { expect, test } from "vitest";
import { utf8 } from "../bytes.ts";
import { commitField } from "../call/call.ts";
import type { ReceiptPayload } from "../entry/payload.ts";
import { encodeJson, type JsonObject } from "../json/canonical.ts";
import { disclosureFault } from "./disclosed.ts";

const responseSalt = new Uint8Array(32).fill(3);
const digest = new Uint8Array(32);
const evidence = { attempts: [{ at: "node-a", outcome: "unreachable", ms: 12 }] };
const bare: ReceiptPayload = {
  version: 1,
  authorization: new Uint8Array(1),
  status: "ok",
  profile: { runtime: "relay@1", binary: digest, exactness: "tolerant" },
  response: { alg: "sha256", digest },
  units: 1,
  price: 0n,
  provenance: "relayed",
  sequence: 0,
};
const receipt: ReceiptPayload = {
  ...bare,
  evidence: commitField("evidence", responseSalt, encodeJson(evidence)),
  upstream: {
    name: "acme",
    model: commitField("upstream model", responseSalt, utf8("qwen3-8b")),
    responseId: commitField("upstream response id", responseSalt, utf8("chatcmpl-1")),
  },
};

test("what a member tells of evidence and upstream is what its receipt commits to; it may keep any of it to itself", () => {
  const upstream = { model: "qwen3-8b", response_id: "chatcmpl-1" };
  for (const told of [{}, { evidence }, { upstream }, { upstream: { model: "qwen3-8b" } }, { evidence, upstream }])
    expect(disclosureFault(receipt, { responseSalt, ...told })).toBeUndefined();
  expect(disclosureFault(bare, { responseSalt })).toBeUndefined();
});

test.each<[string, { evidence?: JsonObject; upstream?: JsonObject }, RegExp]>([
  ["other evidence", { evidence: { attempts: [] } }, /the evidence that came with the answer is not the one/],
  ["another model", { upstream: { model: "qwen3-32b" } }, /upstream model/],
  ["a model that is a number", { upstream: { model: 3 } }, /upstream model/],
  ["a model in the place of the response's id", { upstream: { response_id: "qwen3-8b" } }, /upstream response id/],
  ["a fingerprint that nothing commits to", { upstream: { system_fingerprint: "fp_1" } }, /upstream fingerprint/],
  ["something else of the upstream", { upstream: { region: "ch" } }, /no region/],
])("%s is no part of the receipt", (_, told, fault) => {
  expect(disclosureFault(receipt, { responseSalt, ...told })).toMatch(fault);
  expect(disclosureFault(receipt, { responseSalt: digest, ...told })).toBeDefined();
});

test("what a receipt does not commit to is not told beside it", () => {
  expect(disclosureFault(bare, { responseSalt, evidence })).toMatch(/evidence/);
  expect(disclosureFault(bare, { responseSalt, upstream: { model: "qwen3-8b" } })).toMatch(/model/);
});
