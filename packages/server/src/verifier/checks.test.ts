import { sha256, utf8 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { createTestClock } from "../../../../test/network.ts";
import { createChecks } from "./checks.ts";

test("what checks that wait have in memory is bounded with all that opens their receipts, the evidence too", () => {
  const checks = createChecks(createTestClock());
  const evidence = new Uint8Array(32 * 1024 * 1024);
  const none = new Uint8Array(0);
  const salt = new Uint8Array(32);
  const opening = { requestSalt: salt, call: none, responseSalt: salt, answer: none, evidence };
  const ask = (number: number) =>
    checks.add(salt, `payer ${number}`, { receipt: sha256(utf8(`${number}`)), index: number, check: salt, opening });
  for (const number of [1, 2, 3, 4]) ask(number);
  expect(() => ask(5)).toThrow("too many checks wait");
  expect(checks.take(salt)).toHaveLength(4);
  ask(5);
});
