/** The daemon is killed between a try and the next: what was sent again is served once, and paid for once. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hex, parseAuthorization, parseEntry, signedId } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyModels, creditInput, tensorOf } from "../network.ts";
import { type Daemon, type Ready, startDaemon } from "./daemon.ts";
import { entriesAt, standstill } from "./entries.ts";
import { changeModel, PRICED } from "./refusals.ts";
import { openRequester, postDispatch, type Reached } from "./requester.ts";

const KEYS = 60;
/** As many are answered before it is killed. */
const ANSWERED = 20;
const LANES = 8;
const PRICE = 100;
const INPUT = { name: "features", datatype: "FP32", shape: [1, 30], data: Array.from({ length: 30 }, () => 1) };

let root: string;
let models: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "retried-"));
  models = await copyModels(["breast-cancer", "credit-default"], join(root, "models"));
  await changeModel(models, "breast-cancer", { price: String(PRICE) });
});
afterAll(() => rm(root, { recursive: true, force: true }));

const kill = (daemon: Daemon) => process.kill(-(daemon.process.pid ?? 0), "SIGKILL");

type Told = { status: number; receiptId: string | null; isReplayed: boolean };

/** A paid call under a key of its own, by which the log tells it from others, too; undefined where the connection broke. */
async function call({ url, apiKey }: Ready, number: number): Promise<Told | undefined> {
  const decision = number.toString(16).padStart(32, "0");
  const headers = { authorization: `Bearer ${apiKey}`, "idempotency-key": `order-${number}` };
  const body = JSON.stringify({ inputs: [INPUT], parameters: { max_price: String(PRICE), decision } });
  try {
    const answer = await fetch(`${url}/v2/models/${PRICED}/infer`, { method: "POST", headers, body });
    await answer.arrayBuffer();
    const isReplayed = answer.headers.has("idempotent-replayed");
    return { status: answer.status, receiptId: answer.headers.get("x-receipt-id"), isReplayed };
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** How many receipts the log has of each call. */
async function receiptsByCall(url: string): Promise<Map<number, string[]>> {
  const receipts = new Map<number, string[]>();
  for (const entry of (await entriesAt(url)).map(parseEntry)) {
    if (entry.kind !== "receipt") continue;
    const { says, signed } = parseAuthorization(entry.says.authorization);
    const number = Number(`0x${hex(says.decision ?? new Uint8Array(1))}`);
    receipts.set(number, [...(receipts.get(number) ?? []), hex(signedId(signed))]);
  }
  return receipts;
}

async function topUp(data: string, { url, apiKey }: Ready): Promise<void> {
  const admin = (await readFile(join(data, "keys", "admin-token"), "utf8")).trim();
  const balance = await fetch(`${url}/v1/balance`, { headers: { authorization: `Bearer ${apiKey}` } });
  const { payerTag: account } = (await balance.json()) as { payerTag: string };
  const body = JSON.stringify({ account, amount: "1000000", source: "transfer", reference: "ab".repeat(16) });
  const headers = { authorization: `Bearer ${admin}` };
  expect((await fetch(`${url}/v1/settlements/topups`, { method: "POST", headers, body })).status).toBe(201);
}

test("calls with an Idempotency-Key, sent again after kill -9: none has two receipts, none is charged twice", async () => {
  const data = join(root, "keyed");
  const first = new Map<number, Told>();
  {
    await using daemon = startDaemon(data, models, { detached: true });
    const ready = await daemon.ready;
    await topUp(data, ready);
    let next = 0;
    const lane = async () => {
      while (next < KEYS) {
        const number = next++;
        const told = await call(ready, number);
        if (told === undefined) return;
        expect(told.status).toBe(200);
        first.set(number, told);
        if (first.size === ANSWERED) kill(daemon);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    expect(await daemon.ended).toMatchObject({ signal: "SIGKILL" });
  }
  await using daemon = startDaemon(data, models);
  const ready = await daemon.ready;
  const retryAll = () => Promise.all(Array.from({ length: KEYS }, (_, number) => call(ready, number)));
  const [second, third] = [await retryAll(), await retryAll()];
  for (const [number, told] of first)
    expect(second[number]).toEqual({ status: 409, receiptId: told.receiptId, isReplayed: false });
  // Of those that were under way nobody says that they were not run; those that never arrived are run now.
  const statuses = second.map((told) => told?.status);
  expect(new Set(statuses)).toEqual(new Set([200, 409]));
  for (const [number, told] of second.entries())
    expect(third[number]).toEqual(told?.status === 200 ? { ...told, isReplayed: true } : told);
  await standstill(ready.url);
  const receipts = await receiptsByCall(ready.url);
  expect([...receipts.values()].filter(({ length }) => length > 1)).toEqual([]);
  for (const [number, told] of second.entries())
    if (told?.receiptId != null) expect(receipts.get(number)).toEqual([told.receiptId]);
  const headers = { authorization: `Bearer ${ready.apiKey}` };
  const balance = await (await fetch(`${ready.url}/v1/balance`, { headers })).json();
  expect(balance).toMatchObject({ spent: String(PRICE * receipts.size), held: "0" });
}, 240_000);

test("one authorization used by several at once is served to one of them, and after kill -9 to nobody", async () => {
  const data = join(root, "signed");
  const reach = ({ url, origin, apiKey }: Ready): Reached => ({
    ...{ origin, apiKey },
    fetch: (path, init) => fetch(`${url}${path}`, init),
  });
  let dispatch: Uint8Array;
  let receiptId: string | undefined;
  {
    await using daemon = startDaemon(data, models, { detached: true });
    const network = reach(await daemon.ready);
    const requester = await openRequester(network, { inputs: [tensorOf(creditInput())] });
    dispatch = await requester.dispatch();
    const replies = await Promise.all(Array.from({ length: LANES }, () => postDispatch(network, dispatch)));
    const served = replies.filter(({ status }) => status === 200);
    expect(served).toHaveLength(1);
    receiptId = served[0]?.receiptId;
    kill(daemon);
    expect(await daemon.ended).toMatchObject({ signal: "SIGKILL" });
  }
  await using daemon = startDaemon(data, models);
  const ready = await daemon.ready;
  for (let i = 0; i < 2; i++) expect((await postDispatch(reach(ready), dispatch)).status).toBe(409);
  await standstill(ready.url);
  expect([...(await receiptsByCall(ready.url)).values()].flat()).toEqual([receiptId]);
}, 240_000);
