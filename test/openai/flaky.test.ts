/** A gateway behind a connection that breaks at any byte: a client that sends again with its Idempotency-Key doubles nothing. */
import type { ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { isJsonObject } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Random } from "../simulation/random.ts";
import { HELLO, MODEL, type RelayedNetwork, startRelayed } from "./network.ts";

const CALLS = 40;
const PIECE_MS = 20;
const TOP_UP = 1_000_000_000n;
/** More than a request and its answer have together, so that some connections hold to their end. */
const CUT_WITHIN_BYTES = 6_000;

let relayed: RelayedNetwork;
beforeAll(async () => {
  relayed = await startRelayed((response) => void sendSlowly(response), {
    prices: { unitPrice: "1000000", outputUnitPrice: "1000000" },
  });
  await relayed.network.topUp(TOP_UP);
});
afterAll(() => relayed[Symbol.asyncDispose]());

/** Takes its time, so that connections break while a call is under way, too. */
async function sendSlowly(response: ServerResponse): Promise<void> {
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const piece of HELLO) {
    response.write(piece);
    await setTimeout(PIECE_MS);
  }
  response.end();
}

/** A proxy that ends each connection after so many bytes of both directions together as `draw` says. */
async function startFlaky(target: URL, draw: () => number): Promise<AsyncDisposable & { url: string; cuts(): number }> {
  const sockets = new Set<Socket>();
  let cutCount = 0;
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    let left = draw();
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.on("data", (bytes: Buffer) => {
        to.write(bytes.subarray(0, left));
        left -= bytes.length;
        if (left > 0) return;
        cutCount++;
        left = 0;
        // What was let through arrives before the connection breaks.
        to.end();
        from.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cuts: () => cutCount,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Told = { receiptId: string; text: string };

/** Sends a request until it has an answer that is whole; every answer of which anything came names the same receipt. */
async function insist(url: string, key: string, stream: boolean): Promise<Told> {
  const body = JSON.stringify({ model: MODEL, messages: [{ role: "user", content: `Say hello ${key}` }], stream });
  const headers = {
    authorization: `Bearer ${relayed.network.apiKey}`,
    ...{ "content-type": "application/json", "idempotency-key": key },
  };
  const named = new Set<string>();
  for (let tries = 0; tries < 200; tries++) {
    try {
      const answer = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body });
      const receiptId = answer.headers.get("x-receipt-id");
      if (receiptId !== null) named.add(receiptId);
      const text = await answer.text();
      if (answer.status !== 200) throw new Error(`${answer.status} ${text}`);
      const isWhole = stream ? text.endsWith("data: [DONE]\n\n") : isJsonObject(JSON.parse(text));
      if (isWhole && receiptId !== null) {
        expect([...named]).toEqual([receiptId]);
        return { receiptId, text };
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // The connection broke: the same request again.
    }
  }
  throw new Error(`${key} never got through`);
}

test.each([1, 2, 3])(
  "with Idempotency-Key, retries over a flaky connection double no receipt and no charge, seed %i",
  async (seed) => {
    const random = new Random(seed);
    const before = { asked: relayed.upstream.asked.length, ...(await moneyAndReceipts()) };
    await using flaky = await startFlaky(new URL(relayed.network.url), () => 1 + random.below(CUT_WITHIN_BYTES));
    const calls = Array.from({ length: CALLS }, (_, i) => ({
      key: `${seed}-${i}`,
      stream: i % 2 === 0,
      twice: i % 5 === 0,
    }));
    const told = await Promise.all(
      // Some are asked for by two at once, who get the same.
      calls.flatMap(({ key, stream, twice }) =>
        Array.from({ length: twice ? 2 : 1 }, async () => ({ key, ...(await insist(flaky.url, key, stream)) })),
      ),
    );
    expect(flaky.cuts()).toBeGreaterThan(CALLS / 2);
    const texts = new Map(told.map(({ key, text }) => [key, text]));
    for (const { key, text } of told) expect(text).toBe(texts.get(key));
    expect(new Set(told.map(({ receiptId }) => receiptId)).size).toBe(CALLS);
    const after = await moneyAndReceipts();
    expect(relayed.upstream.asked.length - before.asked).toBe(CALLS);
    expect(after.receipts - before.receipts).toBe(CALLS);
    // Five tokens in and three out, at one each.
    expect(before.balance - after.balance).toBe(BigInt(8 * CALLS));
    expect(after.held).toBe(0n);
  },
);

async function moneyAndReceipts(): Promise<{ receipts: number; balance: bigint; held: bigint }> {
  await relayed.network.idle();
  const headers = { authorization: `Bearer ${relayed.network.apiKey}` };
  const balance = await (await relayed.network.fetch("/v1/balance", { headers })).json();
  const usage = await (await relayed.network.fetch("/v1/usage")).json();
  return { receipts: usage.totals.gross, balance: BigInt(balance.available), held: BigInt(balance.held) };
}
