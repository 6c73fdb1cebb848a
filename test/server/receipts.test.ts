import { copyFile, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  commit,
  encodeAnswer,
  encodeCall,
  hex,
  parseAuthorization,
  parseBase64,
  parseEntry,
  parseNoteKey,
  parsePolicy,
  parseReceiptFile,
  signedId,
  trustInLog,
  utf8,
  verifyReceiptFile,
} from "@tallystick/protocol";
import { expect, test } from "vitest";
import { closeDatabase, openDatabase } from "../../packages/server/src/platform/database.ts";
import { creditInput, startNetwork, type TestNetwork, tensorOf } from "../network.ts";
import { entriesAt } from "./entries.ts";
import { openRequester, postDispatch } from "./requester.ts";

const CREDIT = "statlog/credit-default";
const NEVER_MS = 3_600_000;

async function receiptFile(network: TestNetwork, id: string): Promise<Uint8Array> {
  const answer = await network.fetch(`/v1/receipts/${id}`);
  expect(answer.status).toBe(200);
  return new Uint8Array(await answer.arrayBuffer());
}

const outcomeOf = async (file: Uint8Array, network: TestNetwork) =>
  (await verifyReceiptFile(file, network.trust)).outcome;

test("a receipt says what its answer came with, and verifies for those who trust the log's key", async () => {
  await using network = await startNetwork();
  await using other = await startNetwork();
  const requester = await openRequester(network, { inputs: [tensorOf(creditInput())] });
  const { receiptId = "", delivery } = await postDispatch(network, await requester.dispatch());
  await network.idle();
  const file = await receiptFile(network, receiptId);
  expect(hex(parseReceiptFile(file).parts.receipt.bytes)).toBe(hex(delivery?.receipt ?? new Uint8Array(0)));
  const verdict = await verifyReceiptFile(file, network.trust);
  expect(verdict).toMatchObject({ outcome: "verified", value: { grant: { custody: "account" } } });
  expect(verdict.outcome === "verified" && hex(verdict.value.id)).toBe(receiptId);
  expect(await outcomeOf(file, other)).toBe("failed");
});

test("a receipt is served at once; before the checkpoint over it, it is inconclusive, and says what is lacking", async () => {
  await using network = await startNetwork();
  const requester = await openRequester(network, { inputs: [tensorOf(creditInput())] });
  await network.stop();
  await using patient = await startNetwork({ data: network.data, publishIntervalMs: NEVER_MS });
  expect((await postDispatch(patient, await requester.dispatch())).status).toBe(200);
  await patient.idle(); // The first checkpoint after a start comes at once, the next one not before its time.
  const { receiptId = "" } = await postDispatch(patient, await requester.dispatch());
  const verdict = await verifyReceiptFile(await receiptFile(patient, receiptId), patient.trust);
  expect(verdict.outcome).toBe("inconclusive");
  expect(verdict.checks.find(({ name }) => name === "inclusion")).toMatchObject({
    state: "not_checked",
    detail: expect.stringMatching(/no checkpoint covers receipt yet: fetch the receipt again/),
  });
  await patient.idle();
  expect(await outcomeOf(await receiptFile(patient, receiptId), patient)).toBe("verified");
});

test("with any character of its file changed, a receipt fails", async () => {
  await using network = await startNetwork();
  const { receiptId = "" } = await network.infer(CREDIT, [creditInput()]);
  await network.idle();
  const file = await receiptFile(network, receiptId);
  // A line by a key that nobody asks for may say anything (C2SP signed-note): a changed key id makes one of any line.
  const lines = [
    ...Buffer.from(file)
      .toString("latin1")
      .matchAll(/\u00e2\u0080\u0094 .*?\\n/g),
  ];
  const isInLine = (at: number) => lines.some(({ index, 0: { length } }) => index <= at && at < index + length);
  const { policy } = (await (await network.fetch("/v1/log")).json()) as { policy: string };
  const trust = trustInLog(parseNoteKey(network.logVkey), parsePolicy(utf8(policy)));
  expect((await verifyReceiptFile(file, trust)).outcome).toBe("verified");
  expect(lines.length).toBe(24); // Six proofs, each with the log's two lines and two witnesses'.
  for (let at = 0; at < file.length; at += 13) {
    const changed = file.map((byte, i) => (i === at ? (byte === 0x41 ? 0x42 : 0x41) : byte));
    if (isInLine(at)) continue;
    const { outcome } = await verifyReceiptFile(changed, trust);
    expect(outcome, `character ${at}: ${String.fromCharCode(file[at] ?? 0)}`).not.toBe("verified");
  }
});

test("an opening is for the API key that asked, alone; it opens both commitments, outlives a restart, and can be destroyed", async () => {
  await using network = await startNetwork();
  const { receiptId = "", body } = await network.infer(CREDIT, [creditInput(4321)]);
  const { receiptId: kept = "" } = await network.infer(CREDIT, [creditInput(1234)]);
  const other = await newAccount(network, "another");
  const opening = (key: string, id = receiptId, method = "GET") =>
    network.fetch(`/v1/receipts/${id}/opening`, { method, headers: { authorization: `Bearer ${key}` } });

  expect((await opening(other)).status).toBe(404);
  expect((await opening(other, receiptId, "DELETE")).status).toBe(404);
  for (const _ of ["fresh", "after a restart"]) {
    const answer = await opening(network.apiKey);
    expect(answer.status).toBe(200);
    const { requestSalt, responseSalt } = (await answer.json()) as { requestSalt: string; responseSalt: string };
    const entry = parseEntry(parseReceiptFile(await receiptFile(network, receiptId)).parts.receipt.bytes);
    if (entry.kind !== "receipt") throw new Error(`an entry of kind ${entry.kind}`);
    const { request } = parseAuthorization(entry.says.authorization).says;
    const call = encodeCall({ operation: "infer", inputs: [tensorOf(creditInput(4321))], outputs: [] });
    expect(commit("request", parseBase64(requestSalt) ?? new Uint8Array(0), call)).toEqual(request);
    const [output] = (body as { outputs: Parameters<typeof tensorOf>[0][] }).outputs;
    const answered = encodeAnswer(output === undefined ? [] : [tensorOf(output)]);
    expect(commit("response", parseBase64(responseSalt) ?? new Uint8Array(0), answered)).toEqual(entry.says.response);
    await network.restart();
  }

  const before = await openingsOf(network);
  expect(await opening(network.apiKey, receiptId, "DELETE").then((answer) => answer.json())).toEqual({
    id: receiptId,
    destroyed: true,
  });
  expect((await opening(network.apiKey)).status).toBe(404);
  expect((await opening(network.apiKey, receiptId, "DELETE")).status).toBe(404);
  expect((await opening(network.apiKey, kept)).status).toBe(200);
  const after = await openingsOf(network);
  const gone = before.rows.filter((row) => !after.rows.includes(row));
  expect(gone).toHaveLength(1);
  expect(before.files).toContain(gone[0]);
  expect(after.files, "nothing of it is left in the database's files").not.toContain(gone[0]);
  await network.restart();
  expect((await opening(network.apiKey)).status).toBe(404);
});

/** The sealed rows of openings and the bytes of the files they are in, read from a copy: the gateway has its own locked. */
async function openingsOf(network: TestNetwork): Promise<{ rows: string[]; files: string }> {
  const copy = await mkdtemp(join(tmpdir(), "openings-"));
  const names = (await readdir(network.data)).filter((name) => /^gateway\.sqlite(-wal)?$/.test(name));
  for (const name of names) await copyFile(join(network.data, name), join(copy, name));
  const files = await Promise.all(names.map((name) => readFile(join(copy, name), "latin1")));
  const database = openDatabase(join(copy, "gateway.sqlite"));
  const rows = database.prepare("SELECT sealed FROM openings").all([]) as { sealed: ArrayBuffer }[];
  closeDatabase(database);
  await rm(copy, { recursive: true });
  return { rows: rows.map(({ sealed }) => Buffer.from(sealed).toString("latin1")), files: files.join() };
}

async function newAccount(network: TestNetwork, name: string): Promise<string> {
  const token = (await readFile(join(network.data, "keys", "admin-token"), "utf8")).trim();
  const init = { method: "POST", headers: { authorization: `Bearer ${token}` }, body: JSON.stringify({ name }) };
  const answer = await network.fetch("/v1/accounts", init);
  expect(answer.status).toBe(201);
  return ((await answer.json()) as { apiKey: string }).apiKey;
}

test("nothing of a request or an answer gets into the log: not eight bytes in a row, in any of their forms", async () => {
  await using network = await startNetwork({ models: ["credit-default", "prompt-injection"] });
  const text = "Zaphod Beeblebrox, 42 Betelgeuse Way, owes 31337 and asks for another loan of 27182";
  const texts = { name: "text", datatype: "BYTES", shape: [1], data: [text] };
  const numbers = { ...creditInput(), data: Array.from({ length: 52 }, (_, i) => Math.fround(Math.sin(i + 1) * 1000)) };
  const id = "my own reference 8134";
  const secrets: Uint8Array[] = [utf8(text), utf8(id), utf8(network.apiKey), utf8("a customer called Trillian")];
  await newAccount(network, "a customer called Trillian");
  for (const [model, input] of [
    ["guardrail/prompt-injection", texts],
    [CREDIT, numbers],
  ] as const) {
    const { status, body } = await network.infer(model, [input], { id });
    expect(status).toBe(200);
    const { outputs } = body as { outputs: (typeof numbers)[] };
    for (const output of outputs)
      if (output.datatype === "FP32") secrets.push(tensorOf(output).data, utf8(JSON.stringify(output.data)));
  }
  secrets.push(tensorOf(numbers).data, utf8(JSON.stringify(numbers.data)));
  const said = new Set(secrets.flatMap(windows));
  expect(said.size).toBeGreaterThan(300);
  await network.idle();
  const entries = await entriesAt(network.url);
  expect(entries.filter((entry) => parseEntry(entry).kind === "receipt")).toHaveLength(2);
  for (const [index, entry] of entries.entries()) {
    const found = windows(entry).find((window) => said.has(window));
    expect(found, `entry ${index}, of kind ${parseEntry(entry).kind}`).toBe(undefined);
  }
  expect(windows(utf8(text)).every((window) => said.has(window))).toBe(true);
});

/** Every run of eight bytes. */
function windows(bytes: Uint8Array): string[] {
  const text = Buffer.from(bytes).toString("latin1");
  return Array.from({ length: Math.max(0, text.length - 7) }, (_, i) => text.slice(i, i + 8));
}

test("the same request twice leaves nothing in the log that says so", async () => {
  await using network = await startNetwork();
  const ids = [await network.infer(CREDIT, [creditInput()]), await network.infer(CREDIT, [creditInput()])].map(
    ({ receiptId }) => receiptId ?? "",
  );
  await network.idle();
  const digests = new Set<string>();
  for (const id of ids) {
    const entry = parseEntry(parseReceiptFile(await receiptFile(network, id)).parts.receipt.bytes);
    if (entry.kind !== "receipt") throw new Error(`an entry of kind ${entry.kind}`);
    const { signed, says } = parseAuthorization(entry.says.authorization);
    expect(hex(signedId(signed))).toBe(id);
    digests.add(hex(says.request.digest)).add(hex(entry.says.response?.digest ?? new Uint8Array(0)));
  }
  expect(digests.size).toBe(4);
});
