import { expect, test } from "vitest";
import { commit, commitField } from "../call/call.ts";
import { Malformed } from "../cbor/bytes.ts";
import type { AuthorizationPayload, ReceiptPayload } from "../entry/payload.ts";
import {
  checkRequestMessage,
  encodeLotOpening,
  LOT_OPENING_SIZE_BYTES,
  type LotOpening,
  lotOpeningFault,
  parseLotOpening,
} from "./lot-opening.ts";

const fill = (value: number, length = 32) => new Uint8Array(length).fill(value);
const OPENING: LotOpening = { requestSalt: fill(1), call: fill(2, 5), responseSalt: fill(3), answer: fill(4, 7) };
const ASKED: AuthorizationPayload = {
  ...{ version: 1, session: fill(5), nonce: 0, revision: fill(6), tier: "signed", maxPrice: 0n, expiry: 1 },
  ...{ openness: "lot", traffic: "production" },
  request: commit("request", OPENING.requestSalt, OPENING.call),
};
const RECEIPT: ReceiptPayload = {
  ...{ version: 1, authorization: fill(0, 9), status: "ok", units: 1, price: 0n, provenance: "executed", sequence: 0 },
  profile: { runtime: "judge", binary: fill(7), exactness: "exact" },
  response: commit("response", OPENING.responseSalt, OPENING.answer),
};

test("an opening has one spelling, and is read back as it was", () => {
  expect(parseLotOpening(encodeLotOpening(OPENING))).toEqual(OPENING);
  expect(() => parseLotOpening(new Uint8Array(LOT_OPENING_SIZE_BYTES + 1))).toThrow(Malformed);
  expect(() => parseLotOpening(encodeLotOpening(OPENING).subarray(0, -1))).toThrow(Malformed);
});

test("an opening opens a receipt whole or not at all: one byte of any part closes it", () => {
  expect(lotOpeningFault(RECEIPT, ASKED, OPENING)).toBeUndefined();
  for (const part of ["requestSalt", "call", "responseSalt", "answer"] as const) {
    const changed = { ...OPENING, [part]: OPENING[part].with(0, 9) };
    expect(lotOpeningFault(RECEIPT, ASKED, changed)).toMatch(/not the one/);
  }
});

test("evidence is opened where there is some, and no other is taken for it", () => {
  const evidence = fill(8, 3);
  const receipt = { ...RECEIPT, evidence: commitField("evidence", OPENING.responseSalt, evidence) };
  expect(lotOpeningFault(receipt, ASKED, { ...OPENING, evidence })).toBeUndefined();
  expect(lotOpeningFault(receipt, ASKED, OPENING)).toBeUndefined();
  expect(lotOpeningFault(receipt, ASKED, { ...OPENING, evidence: fill(9, 3) })).toMatch(/evidence/);
  expect(lotOpeningFault(RECEIPT, ASKED, { ...OPENING, evidence })).toMatch(/evidence/);
});

test("a receipt without an answer, or of another commitment, is not opened", () => {
  expect(lotOpeningFault({ ...RECEIPT, status: "failed" }, ASKED, OPENING)).toMatch(/answer/);
  const { response: _, ...without } = RECEIPT;
  expect(lotOpeningFault(without, ASKED, OPENING)).toMatch(/answer/);
  const poseidon: AuthorizationPayload = { ...ASKED, request: { ...ASKED.request, alg: "poseidon2" } };
  expect(lotOpeningFault(RECEIPT, poseidon, OPENING)).toMatch(/call/);
});

test("a check is asked for of one receipt and one verifier", () => {
  const message = (receipt: number, verifier: number) =>
    Buffer.from(checkRequestMessage({ receipt: fill(receipt), verifier: fill(verifier) })).toString("hex");
  expect(new Set([message(1, 2), message(2, 1), message(1, 1)]).size).toBe(3);
  expect(message(1, 2)).toMatch(/^74616c6c79737469636b20636865636b20763100a3/);
});
