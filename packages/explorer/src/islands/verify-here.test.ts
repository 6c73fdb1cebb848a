import { join } from "node:path";
import { encodeNoteKey, hex, signedId, utf8 } from "@tallystick/protocol";
import { build } from "esbuild";
import { beforeAll, expect, test } from "vitest";
import { issueReceipt, type OneReceipt } from "../../../../test/one-receipt.ts";

type Island = typeof import("./verify-here.ts");
let island: Island;
let one: OneReceipt;
let id: string;

/** The module as a browser gets it: bundled for one, on WebCrypto and the hash in JavaScript. */
beforeAll(async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(import.meta.dirname, "verify-here.ts")],
    outdir: "unused",
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "browser",
    conditions: ["@tallystick/source"],
  });
  const inputs = Object.keys(metafile.inputs);
  expect(inputs.some((path) => path.endsWith("protocol/platform/web.ts"))).toBe(true);
  expect(inputs.some((path) => path.endsWith("protocol/platform/node.ts"))).toBe(false);
  const [output] = outputFiles;
  island = await import(`data:text/javascript;base64,${Buffer.from(output?.contents ?? []).toString("base64")}`);
  one = await issueReceipt();
  id = hex(signedId(one.authorization.signed));
});

function logKey() {
  const key = island.readLogKey(encodeNoteKey(one.log.key));
  if (typeof key === "string") throw new Error(key);
  return key;
}

test("a browser's cryptography verifies what Node signed", async () => {
  expect(await island.whyNotHere()).toBeUndefined();
  const verdict = await island.verifyHere(utf8(one.text), logKey(), id);
  expect(verdict.outcome).toBe("verified");
  expect(verdict.checks[0]).toMatchObject({ name: "asked for", state: "passed" });
});

test("a good receipt is refused where another one was asked for", async () => {
  const verdict = await island.verifyHere(utf8(one.text), logKey(), "0".repeat(64));
  expect(verdict).toMatchObject({ outcome: "failed", failure: "wrong_id" });
  expect(verdict.checks[0]).toMatchObject({ name: "asked for", state: "failed" });
});

test("another receipt than asked for fails even before a checkpoint covers it", async () => {
  const { receipt, ...rest } = JSON.parse(one.text);
  const unproved = utf8(JSON.stringify({ ...rest, receipt: { entry: receipt.entry } }));
  expect(await island.verifyHere(unproved, logKey(), id)).toMatchObject({ outcome: "inconclusive" });
  expect(await island.verifyHere(unproved, logKey(), "0".repeat(64))).toMatchObject({ outcome: "failed" });
});

test("a byte changed anywhere in a receipt file does not pass", async () => {
  const bytes = utf8(one.text);
  for (let at = 7; at < bytes.length; at += 97) {
    const changed = bytes.slice();
    changed[at] = (bytes[at] ?? 0) ^ 1;
    const { outcome } = await island.verifyHere(changed, logKey(), id);
    expect(outcome, `byte ${at}`).toBe("failed");
  }
});

test("a log key that is not one is refused in words", () => {
  for (const vkey of [
    "",
    "log.example",
    `${encodeNoteKey(one.log.key)}A`,
    encodeNoteKey(one.log.key).replace("+", "++"),
  ])
    expect(island.readLogKey(vkey)).toMatch(
      /^The key of the log is a vkey|^The key of the log is not|^The key of the log is a key name/,
    );
  expect(island.readLogKey(` ${encodeNoteKey(one.log.key)}\n`)).toEqual(one.log.key);
});

test("an id is found where a person pastes it, alone or at the end of an address", () => {
  expect(island.receiptIdIn(`  ${id.toUpperCase()} `)).toBe(id);
  expect(island.receiptIdIn(`https://example.com/v1/receipts/${id}`)).toBe(id);
  for (const text of ["", id.slice(1), `${id}0`, `${id}/opening`, "receipt"])
    expect(island.receiptIdIn(text)).toBeUndefined();
});
