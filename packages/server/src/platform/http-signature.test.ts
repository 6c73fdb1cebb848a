import { keyId, utf8 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { fixedSigner } from "../../../../test/fixed-keys.ts";
import { checkRequest, type Reader, type RequestToSign, signRequest } from "./http-signature.ts";

const gateway = fixedSigner("gateway");
const node = fixedSigner("node");
const NOW = 1_800_000_000;
const REQUEST: RequestToSign = {
  method: "POST",
  path: "/v1/dispatch",
  body: utf8("the call"),
  to: keyId(node.spki),
  nowSeconds: NOW,
};
const READER: Reader = { to: keyId(node.spki), nowSeconds: NOW + 3, findKey: () => gateway.spki };

/** What the reader says of a signed request in which something is another. */
async function check(changes: Partial<RequestToSign> = {}, reader: Partial<Reader> = {}, headers = {}) {
  const signed: Record<string, string> = { ...(await signRequest(gateway, REQUEST)), ...headers };
  const request = { ...REQUEST, ...changes };
  const by = await checkRequest({ ...request, header: (name) => signed[name] }, { ...READER, ...reader });
  by.checkBody(request.body);
  return by.keyId;
}

test("a request that is signed for its reader says by which key", async () => {
  expect(await check()).toEqual(keyId(gateway.spki));
});

test("another method, path or body than was signed is refused", async () => {
  await expect(check({ method: "PUT" })).rejects.toMatchObject({ code: "unauthenticated" });
  await expect(check({ path: "/v1/dispatch/cancel" })).rejects.toThrow(/not signed by the key/);
  await expect(check({ body: utf8("another") })).rejects.toThrow(/another body/);
});

test("what was signed for one node is refused by another, with the header changed as well", async () => {
  const other = keyId(gateway.spki);
  await expect(check({}, { to: other })).rejects.toThrow(/for another role/);
  const headers = { "tallystick-to": Buffer.from(other).toString("hex") };
  await expect(check({}, { to: other }, headers)).rejects.toThrow(/not signed by the key/);
});

test("a request that is older than a minute, or from a minute ahead, is refused", async () => {
  expect(await check({}, { nowSeconds: NOW + 60 })).toBeDefined();
  await expect(check({}, { nowSeconds: NOW + 61 })).rejects.toThrow(/set the clocks/);
  await expect(check({}, { nowSeconds: NOW - 61 })).rejects.toThrow(/set the clocks/);
});

test("a key that may not ask is refused, and so is another key under the id of one that may", async () => {
  await expect(check({}, { findKey: () => undefined })).rejects.toThrow(/may not ask/);
  await expect(check({}, { findKey: () => node.spki })).rejects.toThrow(/may not ask/);
});

test("a request that covers less than all its parts is refused", async () => {
  const { "signature-input": input = "" } = await signRequest(gateway, REQUEST);
  await expect(check({}, {}, { "signature-input": input.replace(' "content-digest"', "") })).rejects.toThrow(/form/);
  await expect(check({}, {}, { "signature-input": "" })).rejects.toThrow(/form/);
  await expect(check({}, {}, { signature: "tallystick=:AAAA:" })).rejects.toThrow(/not signed/);
});
