import { expect, test } from "vitest";
import { Malformed } from "../cbor/bytes.ts";
import { encodeDelivery, encodeDispatch, parseDelivery, parseDispatch } from "./dispatch.ts";

const salt = new Uint8Array(32).fill(3);
const dispatch = { authorization: Uint8Array.of(1), salt, call: Uint8Array.of(2, 2) };
const delivery = { receipt: Uint8Array.of(1), answer: Uint8Array.of(2, 2), salt };

test("what the SDK sends is what the gateway reads, and what it answers is what the SDK reads", () => {
  expect(parseDispatch(encodeDispatch(dispatch))).toEqual(dispatch);
  expect(parseDelivery(encodeDelivery(delivery))).toEqual(delivery);
});

test("how an answer travels, and whom the gateway asked before, is told beside what is signed, and bounded", () => {
  const attempt = { at: "node-0a", outcome: "unavailable", ms: 12 };
  const stream = { usage: "in_frame", sealIntervalMs: 60_000 } as const;
  const told = { ...dispatch, stream, attempts: [attempt] };
  expect(parseDispatch(encodeDispatch(told))).toEqual(told);
  const refused = [
    { stream: { ...stream, sealIntervalMs: 60_001 } },
    { attempts: Array.from({ length: 9 }, () => attempt) },
    { attempts: [{ ...attempt, at: "Node A" }] },
    { attempts: [{ ...attempt, outcome: "a".repeat(33) }] },
    { attempts: [{ ...attempt, ms: -1 }] },
  ];
  for (const change of refused) expect(() => encodeDispatch({ ...dispatch, ...change })).toThrow(Malformed);
});

test("a dispatch that ends early, goes on or is of another version is malformed", () => {
  const bytes = encodeDispatch(dispatch);
  for (let length = 0; length < bytes.length; length++)
    expect(() => parseDispatch(bytes.subarray(0, length))).toThrow(Malformed);
  expect(() => parseDispatch(new Uint8Array([...bytes, 0]))).toThrow(Malformed);
  expect(() => parseDispatch(bytes.with(2, 2))).toThrow("is not of version 1");
});

test("no part of a dispatch or a delivery is over its limit", () => {
  expect(() => encodeDispatch({ ...dispatch, authorization: new Uint8Array(385) })).toThrow(Malformed);
  expect(() => encodeDispatch({ ...dispatch, salt: new Uint8Array(31) })).toThrow(Malformed);
  expect(() => encodeDelivery({ ...delivery, receipt: new Uint8Array(1025) })).toThrow(Malformed);
});
