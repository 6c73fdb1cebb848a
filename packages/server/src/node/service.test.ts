import {
  applyEntry,
  commit,
  commitField,
  createFold,
  type Dispatch,
  encodeCall,
  encodeJson,
  floatTensor,
  hex,
  parseAnswer,
  parseEntry,
  sha256,
  signedId,
  utf8,
  verifySigned,
} from "@tallystick/protocol";
import { expect, test } from "vitest";
import { fixedSigner } from "../../../../test/fixed-keys.ts";
import { issueReceipt, NOON_SECONDS, OPENING } from "../../../../test/one-receipt.ts";
import { createSystemRandom } from "../platform/random.ts";
import { NO_GENERATOR } from "./generation.ts";
import { createNode, type Engine } from "./service.ts";

const OUTPUT = floatTensor("y", [1, 2], [2, 5]);
const ENGINE: Engine = {
  ...NO_GENERATOR,
  prepare: async () => {},
  run: async () => ({ kind: "answered", outputs: [OUTPUT], unitCount: 1 }),
  profile: () => ({ runtime: "onnxruntime-web@1.2.3", binary: sha256(utf8("engine")), exactness: "exact" }),
};

/** A receipt of a session that may spend credits: its model is priced. */
function issuePaying({ says = {}, ...changes }: Parameters<typeof issueReceipt>[0] = {}) {
  return issueReceipt({ ...changes, says: { grant: (grant) => ({ ...grant, paymentClass: "credits" }), ...says } });
}

/** A node as it is when it runs elsewhere than the gateway: it is given bytes, and a log to append to. */
async function openNode(changes: Parameters<typeof issueReceipt>[0] = {}) {
  const { entries, authorization } = await issuePaying(changes);
  const fold = createFold();
  for (const part of ["gateway", "node", "publisher", "model", "grant"] as const) applyEntry(fold, entries[part]);
  const appended: Uint8Array[] = [];
  const node = createNode({
    signer: fixedSigner("node"),
    engine: ENGINE,
    fold,
    clock: { nowMs: () => NOON_SECONDS * 1000 },
    random: createSystemRandom(),
    deadlineMs: 1_000,
    generationDeadlineMs: 1_000,
    files: async () => new Map(),
    checkRoom: () => {},
    append: async (entry) => fold.size + appended.push(entry) - 1,
  });
  const { salt, bytes: call } = OPENING.request;
  const dispatch: Dispatch = { authorization: authorization.signed.bytes, salt, call };
  return { node, dispatch, appended, id: hex(signedId(authorization.signed)) };
}

test("a dispatch in bytes alone is checked whole, answered and signed for", async () => {
  const { node, dispatch, appended, id } = await openNode();
  const served = await node.serve(dispatch);
  if (!served.ok) throw served.refusal;
  expect(hex(served.id)).toBe(id);
  expect(parseAnswer(served.answer)).toEqual([OUTPUT]);
  expect(appended).toEqual([served.receipt]);
  const receipt = parseEntry(served.receipt);
  expect(await verifySigned(receipt.signed, fixedSigner("node").spki)).toBe(true);
  expect(receipt.says).toMatchObject({ status: "ok", response: commit("response", served.salt, served.answer) });
});

test("a dispatch that was taken up is not taken up again", async () => {
  const { node, dispatch, appended } = await openNode();
  const [first, second] = await Promise.allSettled([node.serve(dispatch), node.serve(dispatch)]);
  expect(first.status).toBe("fulfilled");
  expect(second).toMatchObject({ status: "rejected", reason: { code: "conflict" } });
  await expect(node.serve(dispatch)).rejects.toMatchObject({ code: "conflict" });
  expect(appended).toHaveLength(1);
});

test("a dispatch for which nothing was signed may come again, whatever broke", async () => {
  const { node, dispatch, appended } = await openNode();
  const streamed = { ...dispatch, stream: { usage: "in_frame" } } as const;
  const options = { sink: () => {}, signal: new AbortController().signal };
  await expect(node.stream(streamed, options)).rejects.toMatchObject({ code: "invalid_request" });
  expect((await node.serve(dispatch)).ok).toBe(true);
  expect(appended).toHaveLength(1);
});

const otherCall = encodeCall({ operation: "infer", inputs: [floatTensor("x", [1, 2], [7, 7])], outputs: [] });

test.each<[string, Partial<Dispatch>, Parameters<typeof issueReceipt>[0], object]>([
  ["no authorization", { authorization: new Uint8Array(9) }, {}, { code: "invalid_request" }],
  ["a signature by another key", {}, { signers: { authorization: fixedSigner("node") } }, { code: "forbidden" }],
  [
    "an unknown session",
    {},
    { says: { authorization: (says) => ({ ...says, session: sha256(utf8("none")) }) } },
    { code: "forbidden" },
  ],
  [
    "an authorization that has expired",
    {},
    { says: { authorization: (says) => ({ ...says, expiry: NOON_SECONDS - 1 }) } },
    { code: "expired" },
  ],
  ["another call than was authorised", { call: otherCall }, {}, { code: "invalid_request" }],
  ["another salt", { salt: new Uint8Array(32) }, {}, { code: "invalid_request" }],
])("%s: refused, and nothing is signed", async (_, changed, changes, refusal) => {
  const { node, dispatch, appended } = await openNode(changes);
  await expect(node.serve({ ...dispatch, ...changed })).rejects.toMatchObject(refusal);
  expect(appended).toEqual([]);
});

test("what was checked of other bytes is no check of these", async () => {
  const { node, dispatch, appended } = await openNode();
  const { authorization } = await issuePaying();
  const checked = { authorization, call: { operation: "infer" as const, inputs: [], outputs: [] } };
  await expect(node.serve(dispatch, checked)).rejects.toThrow("what was checked is what is dispatched");
  expect(appended).toEqual([]);
});

test("the nodes that were tried before are in the evidence that the receipt commits to", async () => {
  const { node, dispatch } = await openNode();
  const attempts = [{ at: "ab12", outcome: "draining", ms: 3 }];
  const served = await node.serve({ ...dispatch, attempts });
  if (!served.ok) throw served.refusal;
  expect(served.disclosure).toEqual({ evidence: { attempts } });
  const receipt = parseEntry(served.receipt);
  expect(receipt.says).toMatchObject({ evidence: commitField("evidence", served.salt, encodeJson({ attempts })) });
});

test("a call in tensors whose units come to more than was authorised is answered by nobody, and costs nothing", async () => {
  const { node, dispatch, appended } = await openNode({
    says: {
      model: (says) => ({ ...says, price: 0n, unitPrice: 10_000_000n }),
      authorization: (says) => ({ ...says, maxPrice: 9n }),
    },
  });
  const served = await node.serve(dispatch);
  expect(served).toMatchObject({ ok: false, refusal: { code: "price_over_maximum" } });
  const [entry = new Uint8Array(0)] = appended;
  expect(parseEntry(entry).says).toMatchObject({ status: "failed", price: 0n });
});
