import fc from "fast-check";
import { expect, test } from "vitest";
import { fixedNoteSigner, type NoteSigner } from "../../../../test/fixed-keys.ts";
import { handOver } from "../../../../test/handovers.ts";
import { utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { HANDOVER_SIZE_BYTES } from "../limits.ts";
import { encodeHandover, handoverText, parseHandover, verifyHandover } from "./handover.ts";
import { encodeNote, encodeNoteKey } from "./note.ts";

const ORIGIN = "log.example/tallystick";
const before = fixedNoteSigner(ORIGIN, "before");
const after = fixedNoteSigner(ORIGIN, "after");
const stranger = fixedNoteSigner(ORIGIN, "stranger");
const [from, to] = [before, after].map(({ key }) => encodeNoteKey(key));

test("a handover is four lines: its header, the old key, the new one, the size", () => {
  expect(handoverText({ from: before.key, to: after.key, size: 17 })).toBe(
    `tallystick/log-key/v1\n${from}\n${to}\n17\n`,
  );
});

test("a handover that both keys signed holds, and is the same after it was written and read", async () => {
  const handover = handOver(before, after, 17);
  expect(await verifyHandover(handover)).toBe(true);
  expect(parseHandover(encodeHandover(handover))).toEqual(handover);
});

test.each<[string, NoteSigner[]]>([
  ["the old key alone", [before]],
  ["the new key alone", [after]],
  ["the old key twice", [before, before]],
  ["the old key and a stranger", [before, stranger]],
  ["the new key and a stranger", [stranger, after]],
  ["a stranger", [stranger]],
])("a handover that is signed by %s does not hold", async (_, signers) => {
  expect(await verifyHandover(handOver(before, after, 17, signers))).toBe(false);
});

test("a handover of which any byte is changed does not hold", async () => {
  const bytes = encodeHandover(handOver(before, after, 17));
  const holds = async (changed: Uint8Array) => {
    try {
      return await verifyHandover(parseHandover(changed));
    } catch (error) {
      expect(error).toBeInstanceOf(Malformed);
      return false;
    }
  };
  for (let at = 0; at < bytes.length; at++)
    for (const change of [0x01, 0x20])
      expect(await holds(bytes.with(at, (bytes[at] ?? 0) ^ change)), `byte ${at}`).toBe(false);
});

const SIGNED = encodeNote({ text: "x\n", signatures: [before.sign("x\n")] }).slice(2);
const textOf = (...lines: string[]) => `${lines.join("\n")}\n${SIGNED}`;
const ANOTHER = encodeNoteKey(fixedNoteSigner("another.example").key);
test.each([
  ["another header", textOf("tallystick/log-key/v2", from ?? "", to ?? "", "17")],
  ["three lines", textOf("tallystick/log-key/v1", from ?? "", to ?? "")],
  ["five lines", textOf("tallystick/log-key/v1", from ?? "", to ?? "", "17", "18")],
  ["a size with a leading zero", textOf("tallystick/log-key/v1", from ?? "", to ?? "", "017")],
  ["a size below zero", textOf("tallystick/log-key/v1", from ?? "", to ?? "", "-1")],
  ["a size that cannot be counted", textOf("tallystick/log-key/v1", from ?? "", to ?? "", "9007199254740993")],
  ["a key that is none", textOf("tallystick/log-key/v1", "key", to ?? "", "17")],
  ["one key twice", textOf("tallystick/log-key/v1", from ?? "", from ?? "", "17")],
  ["keys of two origins", textOf("tallystick/log-key/v1", from ?? "", ANOTHER, "17")],
  ["no signature", `tallystick/log-key/v1\n${from}\n${to}\n17\n\n`],
  ["too many bytes", textOf("tallystick/log-key/v1", from ?? "", to ?? "", "1".repeat(HANDOVER_SIZE_BYTES))],
])("a handover with %s is malformed", (_, text) => {
  expect(() => parseHandover(utf8(text))).toThrow(Malformed);
});

test("whatever bytes there are, they are a handover or malformed", () => {
  const mutated = fc.tuple(fc.nat(400), fc.uint8Array({ maxLength: 4 })).map(([at, bytes]) => {
    const whole = encodeHandover(handOver(before, after, 17));
    return new Uint8Array([...whole.subarray(0, at), ...bytes, ...whole.subarray(at + 1)]);
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), mutated), (bytes) => {
      try {
        expect(encodeHandover(parseHandover(bytes))).toEqual(bytes);
      } catch (error) {
        if (!(error instanceof Malformed)) throw error;
      }
    }),
    { numRuns: 200 },
  );
});
