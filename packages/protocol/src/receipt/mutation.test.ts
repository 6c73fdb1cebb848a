import { expect, test, vi } from "vitest";
import { issueReceipt } from "../../../../test/one-receipt.ts";
import { utf8 } from "../bytes.ts";
import { verifyReceiptFile } from "./verify.ts";

// Thousands of files that differ in a byte share most of their signatures: each is verified once.
vi.mock("#platform", async (original) => {
  const platform = await original<typeof import("#platform")>();
  const once = (verify: typeof platform.verifyEs256): typeof verify => {
    const known = new Map<string, Promise<boolean>>();
    return (...parts) => {
      const name = parts.map((part) => Buffer.from(part).toString("latin1")).join("\0");
      const found = known.get(name) ?? verify(...parts);
      known.set(name, found);
      return found;
    };
  };
  return { ...platform, verifyEs256: once(platform.verifyEs256), verifyEd25519: once(platform.verifyEd25519) };
});

test("a receipt file with any byte changed is failed: never verified, never inconclusive, never an exception", async () => {
  const { text, log } = await issueReceipt();
  const bytes = utf8(text);
  expect((await verifyReceiptFile(bytes, log.trust)).outcome).toBe("verified");
  const passed: string[] = [];
  const failures = new Set<string>();
  for (let at = 0; at < bytes.length; at++)
    for (const change of [0x01, 0x20]) {
      const verdict = await verifyReceiptFile(bytes.with(at, (bytes[at] ?? 0) ^ change), log.trust);
      if (verdict.outcome === "failed") failures.add(verdict.failure);
      else passed.push(`byte ${at} by ${change}: ${verdict.outcome}`);
    }
  expect(passed).toEqual([]);
  // What the changes break is seen as what it is, not as bad form alone.
  for (const failure of ["malformed", "wrong_id", "bad_signature", "wrong_opening", "not_in_log", "bad_checkpoint"])
    expect(failures).toContain(failure);
}, 240_000);
