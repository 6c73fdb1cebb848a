import type { Check, Verdict, VerifiedReceipt } from "@tallystick/protocol";
import { trustInLog, utf8, verifyReceiptFile } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { fixedNoteSigner } from "../../../test/fixed-keys.ts";
import { ORIGIN_IN_MEMORY } from "../../../test/log-in-memory.ts";
import { issueReceipt } from "../../../test/one-receipt.ts";
import { noVerdictHtml, verdictHtml } from "./verdict.ts";

const toneOf = (markup: string) => /class="verdict (\w+)"/.exec(markup)?.[1];

async function verifiedReceipt(): Promise<Extract<Verdict<VerifiedReceipt>, { outcome: "verified" }>> {
  const { text, log } = await issueReceipt();
  const verdict = await verifyReceiptFile(utf8(text), trustInLog(log.key));
  if (verdict.outcome !== "verified") throw new Error(JSON.stringify(verdict));
  return verdict;
}

test("a receipt that holds is not green while one check is not made", async () => {
  const verdict = await verifiedReceipt();
  const open = verdict.checks.filter(({ state }) => state === "not_checked").length;
  expect(open).toBeGreaterThan(0);
  const { markup } = verdictHtml(verdict, "own");
  expect(toneOf(markup)).toBe("partial");
  expect(markup).toContain(`as far as it was checked: ${open} checks not made`);
});

test("only a receipt of which every check passed is green", async () => {
  const verdict = await verifiedReceipt();
  const checks = verdict.checks.filter(({ state }) => state === "passed");
  expect(toneOf(verdictHtml({ ...verdict, checks }, "own").markup)).toBe("complete");
});

test("every check is shown with its outcome in words, and what is known or lacking", async () => {
  const verdict = await verifiedReceipt();
  const { markup } = verdictHtml(verdict, "page");
  for (const { name, detail, state } of verdict.checks) {
    expect(markup).toContain(`${name} <span class="state">${state.replace("_", " ")}</span>`);
    expect(markup).toContain(detail.replaceAll('"', "&quot;").replaceAll("'", "&#39;"));
  }
});

test("whose word the key of the log is stands beside the verdict", async () => {
  const verdict = await verifiedReceipt();
  expect(verdictHtml(verdict, "page").markup).toContain("came from this same server");
  expect(verdictHtml(verdict, "own").markup).toContain("with the key you gave");
});

test("a failure names the check and shows nothing of what the receipt says", () => {
  const failed: Check = { name: "terms", state: "failed", failure: "broken_terms", detail: "over the price" };
  const { markup } = verdictHtml({ outcome: "failed", failure: "broken_terms", checks: [failed] }, "page");
  expect(toneOf(markup)).toBe("broken");
  expect(markup).toContain("Verification failed: broken terms");
  expect(markup).toContain("<code>broken_terms</code>");
  expect(markup).not.toContain("<dl");
});

test("a hostile detail or file name stays text", () => {
  const hostile: Check = { name: "form", state: "not_checked", detail: "<img src=x onerror=alert(1)>" };
  expect(verdictHtml({ outcome: "inconclusive", checks: [hostile] }, "page").markup).not.toContain("<img");
  expect(noVerdictHtml("<img src=x>").markup).not.toContain("<img");
});

test("a receipt that could not be tied to a log is neither green nor failed", async () => {
  const { text } = await issueReceipt();
  const verdict = await verifyReceiptFile(utf8(text), undefined);
  expect(toneOf(verdictHtml(verdict, "own").markup)).toBe("open");
});

test("a log that another key signed fails, and its checkpoint is what failed", async () => {
  const { text } = await issueReceipt();
  const { key } = fixedNoteSigner(ORIGIN_IN_MEMORY, "somebody else");
  const { markup } = verdictHtml(await verifyReceiptFile(utf8(text), trustInLog(key)), "own");
  expect(toneOf(markup)).toBe("broken");
  expect(markup).toContain("Verification failed: bad checkpoint");
});
