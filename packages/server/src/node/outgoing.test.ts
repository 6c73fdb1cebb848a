import { extendStream, openStream, utf8 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { fixedSigner } from "../../../../test/fixed-keys.ts";
import { createOutgoing } from "./outgoing.ts";

const RECEIPT_ID = new Uint8Array(32).fill(1);
const SALT = new Uint8Array(32).fill(2);

/** A stream whose reader takes so many frames and is gone. */
function open(taken: number) {
  const read: string[] = [];
  const sink = (frame: Uint8Array) => {
    if (read.length >= taken) throw new Error("nobody reads this stream any more");
    read.push(new TextDecoder().decode(frame));
  };
  const parts = { sink, receiptId: RECEIPT_ID, salt: SALT, signer: fixedSigner("node"), sealIntervalMs: undefined };
  return { outgoing: createOutgoing({ ...parts, clock: { nowMs: () => 0 } }), read };
}

test.each([1, 2, 3])(
  "a reader that goes away after frame %i of what ends a stream changes nothing of its chain",
  async (taken) => {
    const { outgoing, read } = open(taken);
    await outgoing.send(["data: 1\n\n"]);
    const state = await outgoing.end(["data: 2\n\n", "data: 3\n\n"], "data: {}\n\n");
    await outgoing.conclude("data: {}\n\n", "}", { id: "x" }, ["data: [DONE]\n\n"]);
    const frames = ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n", "data: {}\n\n"].map(utf8);
    expect(state).toEqual(frames.reduce(extendStream, openStream(RECEIPT_ID, SALT)));
    expect(read).toHaveLength(taken);
  },
);

test("a reader that goes away before the answer is whole is told of, so that the engine can stop", async () => {
  const { outgoing } = open(1);
  await outgoing.send(["data: 1\n\n"]);
  expect(() => outgoing.send(["data: 2\n\n"])).toThrow("nobody reads");
});
