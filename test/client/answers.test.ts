import { createKey, openKey, UnverifiedError } from "@tallystick/client";
import {
  encodeAnswer,
  encodeDelivery,
  floats,
  floatTensor,
  keyId,
  parseEntry,
  parseReceiptFile,
  signAuthorization,
  utf8,
  verifySigned,
} from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { fixedSigner } from "../fixed-keys.ts";
import { INPUTS, open } from "./open.ts";
import type { Served } from "./tiny-network.ts";

test("an answer comes with a receipt whose file verifies, opened by the half that only the asker has", async () => {
  const { client, model } = await open();
  const { outputs, receiptId, opening } = await client.infer(model, INPUTS);
  expect(outputs.map((output) => [...floats(output)])).toEqual([[2, 4]]);
  const states = async (file: Uint8Array) => {
    const verdict = await client.verify(file);
    expect(verdict.outcome).toBe("verified");
    return verdict.checks.filter(({ name }) => name.endsWith("opening")).map(({ state }) => state);
  };
  expect(await states(await client.receiptFile(receiptId, opening))).toEqual(["passed", "passed"]);
  expect(await states(await client.receiptFile(receiptId))).toEqual(["not_checked", "not_checked"]);
});

test("what is asked is signed: the revision, the commitment, the price, the traffic and the decision", async () => {
  const { network, client, model } = await open();
  const decision = new Uint8Array(16).fill(3);
  await client.infer(model, INPUTS);
  await client.infer(model, INPUTS, { maxPrice: 8n, traffic: "test", decision });
  const { revisionDigest: revision } = model;
  expect(network.asked).toMatchObject([
    { revision, maxPrice: 3n, traffic: "production", tier: "signed" },
    { revision, maxPrice: 8n, traffic: "test", decision },
  ]);
  expect(network.asked[0]).not.toHaveProperty("decision");
  expect(network.asked[0]?.request).not.toEqual(network.asked[1]?.request);
});

test("the tier is signed as it is asked for, and a proof is not asked for of a model that has no circuit", async () => {
  const { network, client, model } = await open();
  await client.infer(model, INPUTS, { tier: "reexecuted" });
  await expect(client.infer(model, INPUTS, { tier: "proved" })).rejects.toThrow(/example\/double has no circuit/);
  expect(network.asked).toMatchObject([{ tier: "reexecuted", openness: "lot", request: { alg: "sha256" } }]);
});

describe("an answer that is not the one signed for is never handed over", () => {
  const other = encodeAnswer([floatTensor("y", [1, 2], [2, 5])]);
  const wrongs: [string, RegExp, (served: Served) => Uint8Array | Promise<Uint8Array>][] = [
    [
      "a receipt for an authorization of somebody else",
      /not for the authorization that was sent/,
      async ({ asked, delivery, receiptThat }) => {
        const { signed } = await signAuthorization(fixedSigner("stranger"), asked);
        const receipt = await receiptThat((says) => ({ ...says, authorization: signed.bytes }));
        return encodeDelivery({ ...delivery, receipt });
      },
    ],
    [
      "another answer",
      /not the one that the receipt commits to/,
      ({ delivery }) => encodeDelivery({ ...delivery, answer: other }),
    ],
    [
      "the answer under another salt",
      /not the one that the receipt commits to/,
      ({ delivery }) => encodeDelivery({ ...delivery, salt: new Uint8Array(32) }),
    ],
    [
      "a receipt that commits to no answer",
      /not the one that the receipt commits to/,
      async ({ delivery, receiptThat }) =>
        encodeDelivery({ ...delivery, receipt: await receiptThat(({ response: _, ...says }) => says) }),
    ],
    [
      "units that are no step of the ladder",
      /the units 5 are no step of the ladder/,
      async ({ delivery, receiptThat }) =>
        encodeDelivery({ ...delivery, receipt: await receiptThat((says) => ({ ...says, units: 5 })) }),
    ],
    [
      "a price over the maximum",
      /price is over the maximum/,
      async ({ asked, delivery, receiptThat }) => {
        const receipt = await receiptThat((says) => ({ ...says, price: asked.maxPrice + 1n }));
        return encodeDelivery({ ...delivery, receipt });
      },
    ],
    [
      "the authorization itself in place of a receipt",
      /the receipt that came with the answer/,
      ({ authorization, delivery }) => encodeDelivery({ ...delivery, receipt: authorization }),
    ],
    [
      "another kind of entry in place of a receipt",
      /not for the authorization that was sent/,
      ({ delivery, network }) => encodeDelivery({ ...delivery, receipt: network.log.entries[0]! }),
    ],
    [
      "a receipt whose signature is not the node's",
      /not signed by the node's key/,
      ({ delivery }) =>
        encodeDelivery({ ...delivery, receipt: delivery.receipt.with(-1, (delivery.receipt.at(-1) ?? 0) ^ 1) }),
    ],
    ["bytes that are no delivery", /what the network delivered/, () => utf8("<html>")],
    ["nothing at all", /what the network delivered/, () => new Uint8Array(0)],
  ];
  test.each(wrongs)("%s", async (_, message, deliver) => {
    const { client, model } = await open({ deliver });
    const asking = client.infer(model, INPUTS);
    await expect(asking).rejects.toThrow(UnverifiedError);
    await expect(asking).rejects.toThrow(message);
  });
});

test("another good receipt in place of the one asked for is not taken", async () => {
  let [first, second] = ["none", "none"];
  const { network, client, model } = await open({
    answer: (path) => (path.endsWith(first) ? new Response(network.file(second)) : undefined),
  });
  second = (await client.infer(model, INPUTS)).receiptId;
  first = (await client.infer(model, INPUTS)).receiptId;
  await expect(client.receiptFile(second)).resolves.toBeInstanceOf(Uint8Array);
  await expect(client.receiptFile(first)).rejects.toThrow(`gave the receipt ${second}, not ${first}`);
  await expect(client.receiptFile(first)).rejects.toThrow(UnverifiedError);
});

test("a receipt file that is none is not taken for the user's fault", async () => {
  const { client } = await open({ answer: (path) => (path.includes("receipts") ? new Response("{}") : undefined) });
  await expect(client.receiptFile("0".repeat(64))).rejects.toThrow(UnverifiedError);
});

test("a receipt file is waited for until a checkpoint covers it, and not for ever", async () => {
  let [nowMs, requests, covered] = [Date.now(), 0, true];
  const { network, client, model } = await open(
    {
      answer: (path) => {
        if (!path.includes("receipts") || (covered && ++requests > 3)) return undefined;
        const { receipt, ...rest } = JSON.parse(network.file(path.split("/").at(-1) ?? ""));
        return Response.json({ ...rest, receipt: { entry: receipt.entry } });
      },
    },
    {
      nowMs: () => nowMs,
      sleep: async (durationMs) => {
        nowMs += durationMs;
      },
    },
  );
  const { receiptId } = await client.infer(model, INPUTS);
  expect(await client.verify(await client.receiptFile(receiptId))).toMatchObject({ outcome: "verified" });
  expect(requests).toBe(4);
  covered = false;
  const started = nowMs;
  expect(await client.verify(await client.receiptFile(receiptId))).toMatchObject({ outcome: "inconclusive" });
  expect(nowMs - started).toBeGreaterThan(10_000);
  expect(nowMs - started).toBeLessThan(11_000);
});

test("relying enrols the key as a relier's and signs for that receipt, both by that key", async () => {
  const { network, client, model } = await open();
  const { receiptId } = await client.infer(model, INPUTS);
  const { signer, pkcs8 } = await createKey();
  await client.rely(receiptId, signer, "a-relier");
  const [enrolment, reliance] = network.submitted.map(parseEntry);
  expect(enrolment).toMatchObject({ kind: "key", says: { action: "enrol", role: "relier", name: "a-relier" } });
  expect(reliance).toMatchObject({
    kind: "reliance",
    says: { receipt: parseReceiptFile(await client.receiptFile(receiptId)).id },
  });
  const again = await openKey(pkcs8);
  for (const { signed } of [enrolment!, reliance!]) {
    expect(signed.keyId).toEqual(keyId(signer.spki));
    expect(await verifySigned(signed, again.spki)).toBe(true);
  }
});
