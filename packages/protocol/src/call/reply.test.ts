import { expect, test } from "vitest";
import { concat } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { encodeNodeRecord, encodeNodeReply, NodeRecordReader, type NodeReply, parseNodeReply } from "./reply.ts";

const times = { queueMs: 1, loadMs: 2, serveMs: 3 };
const receipt = { id: new Uint8Array(32).fill(1), index: 7, bytes: Uint8Array.of(1, 2, 3) };
const disclosure = Uint8Array.of(0x7b, 0x7d);
const answer = { bytes: Uint8Array.of(4, 5), salt: new Uint8Array(32).fill(6), body: disclosure };
const refusal = { code: "node_failed", message: "it fell over", param: "seed" };
const REPLIES: NodeReply[] = [
  { outcome: "answered", times, receipt, answer, disclosure },
  { outcome: "unanswered", times, receipt, refusal, disclosure },
  { outcome: "not_taken", times, refusal },
  { outcome: "unknown", times, refusal },
];

test("each way that a dispatch ends comes back as it was said", () => {
  for (const reply of REPLIES) expect(parseNodeReply(encodeNodeReply(reply))).toEqual(reply);
});

test("a reply that says both that it was not taken up and that there is a receipt is refused", () => {
  const both = { ...REPLIES[2], receipt } as NodeReply;
  expect(() => parseNodeReply(encodeNodeReply(both))).toThrow(Malformed);
  const neither = { outcome: "answered", times, receipt } as unknown as NodeReply;
  expect(() => parseNodeReply(encodeNodeReply(neither))).toThrow(Malformed);
});

test("records come out whole and in order, wherever the bytes were cut", () => {
  const records = [
    { kind: "frame", bytes: Uint8Array.of(9) },
    { kind: "frame", bytes: new Uint8Array(0) },
    { kind: "reply", bytes: Uint8Array.from({ length: 300 }, (_, i) => i % 256) },
  ] as const;
  const wire = concat(...records.map(encodeNodeRecord));
  for (const step of [1, 2, 3, 5, 7, 64, wire.length]) {
    const reader = new NodeRecordReader();
    const found = [];
    for (let at = 0; at < wire.length; at += step) found.push(...reader.push(wire.subarray(at, at + step)));
    expect(found.map(({ kind, bytes }) => ({ kind, bytes: [...bytes] }))).toEqual(
      records.map(({ kind, bytes }) => ({ kind, bytes: [...bytes] })),
    );
  }
});

test("a record of an unknown kind, or one longer than any reply, is refused before it is kept", () => {
  expect(() => [...new NodeRecordReader().push(Uint8Array.of(3, 0, 0, 0, 0))]).toThrow(Malformed);
  expect(() => [...new NodeRecordReader().push(Uint8Array.of(1, 0xff, 0, 0, 0))]).toThrow(Malformed);
});
