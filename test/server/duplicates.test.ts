import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openKey } from "@tallystick/client";
import {
  commit,
  hex,
  parseAuthorization,
  parseDispatch,
  parseEntry,
  type ReceiptPayload,
  type Signer,
  signEntry,
  signedId,
  utf8,
} from "@tallystick/protocol";
import { expect, test } from "vitest";
import { createTestClock, creditInput, startNetwork, type TestNetwork, tensorOf } from "../network.ts";
import { startNode, tokenFile } from "../node.ts";
import { entriesAt, receiptIdsOf } from "./entries.ts";
import { openRequester, submit } from "./requester.ts";

const WRITERS = 64;
const RECEIPTS = 100;
const clock = createTestClock();

/** A node's own key: the network's, with which a node elsewhere would sign, or another's. */
async function nodeKey({ data }: { data: string }): Promise<Signer> {
  const pem = await readFile(join(data, "keys", "node.pem"), "utf8");
  return openKey(Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64"));
}

type Receipt = { id: string; sign(changes?: Partial<ReceiptPayload>): Promise<Uint8Array> };

/** Receipts of one session that no node has logged yet. */
async function receiptsOf(network: TestNetwork, node: Signer): Promise<Receipt[]> {
  const input = tensorOf(creditInput());
  const requester = await openRequester(network, { inputs: [input], nowMs: clock.nowMs() });
  const { receiptId } = await network.infer("statlog/credit-default", [creditInput()]);
  await network.idle();
  const logged = (await entriesAt(network.url)).map(parseEntry).find(({ kind }) => kind === "receipt");
  if (logged?.kind !== "receipt") return expect.fail(`the log has no receipt, not even ${receiptId}`);
  const { profile } = logged.says;
  return Promise.all(
    Array.from({ length: RECEIPTS }, async (_, nonce) => {
      const { authorization } = parseDispatch(await requester.dispatch({ says: { nonce } }));
      const says: ReceiptPayload = {
        ...{ version: 1, authorization, status: "ok", profile, units: 1, price: 0n, sequence: nonce + 1 },
        ...{ provenance: "executed", response: commit("response", new Uint8Array(32), utf8("an answer")) },
      };
      const sign = async (changes: Partial<ReceiptPayload> = {}) =>
        (await signEntry(node, "receipt", { ...says, ...changes })).signed.bytes;
      return { id: hex(signedId(parseAuthorization(authorization).signed)), sign };
    }),
  );
}

test("64 writers with duplicates: each receipt is in the log once, and every writer is told the same index", async () => {
  await using network = await startNetwork({ clock });
  const node = await nodeKey(network);
  const receipts = await receiptsOf(network, node);
  const indexes = new Map<string, Set<number>>();
  const writer = async (_: unknown, start: number) => {
    for (let i = 0; i < 10; i++) {
      const { id, sign } = receipts[(start * 7 + i * 13) % RECEIPTS]!;
      // Signed again each time: the statement is the same, its bytes are not.
      const { status, index = -1 } = await submit(network, await sign());
      expect(status).toBe(200);
      indexes.set(id, (indexes.get(id) ?? new Set()).add(index));
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
  expect([...indexes.values()].every(({ size }) => size === 1)).toBe(true);
  await network.idle();
  const entries = await entriesAt(network.url);
  const logged = entries.map(parseEntry).filter(({ kind }) => kind === "receipt");
  expect(logged.length).toBe(receiptIdsOf(entries).size);
  expect(indexes.size).toBe(RECEIPTS);
  const audit = await network.audit();
  expect(audit).toMatchObject({ findings: [], differences: [], figures: { equivocations: 0 } });
  expect(audit.figures.totals.gross).toBe(RECEIPTS + 1);
});

test("a receipt that its requester sends to the log as soon as it has it is in the log once", async () => {
  await using network = await startNetwork({ clock, integrateIntervalMs: 400 });
  await network.infer("statlog/credit-default", [creditInput()]); // Its session is granted.
  const { receiptId } = await network.infer("statlog/credit-default", [creditInput(2)]);
  const file = (await (await network.fetch(`/v1/receipts/${receiptId}`)).json()) as {
    receipt: { entry: string; proof?: string };
  };
  expect(file.receipt.proof, "the fold does not know it yet").toBeUndefined();
  const sent = await submit(network, new Uint8Array(Buffer.from(file.receipt.entry, "base64")));
  expect(sent).toMatchObject({ status: 200, alreadyLogged: true });
  await network.idle();
  const receipts = (await entriesAt(network.url)).map(parseEntry).filter(({ kind }) => kind === "receipt");
  expect(receipts).toHaveLength(2);
});

test("a second receipt of one id that says something else is kept as evidence, counted as no inference, and a third is not logged", async () => {
  await using network = await startNetwork({ clock });
  const [receipt] = await receiptsOf(network, await nodeKey(network));
  if (receipt === undefined) return expect.fail("a receipt was made");
  const first = await submit(network, await receipt.sign());
  const others = await Promise.all(
    [1, 2, 3].map(async (n) => submit(network, await receipt.sign({ sequence: 1_000 + n }))),
  );
  expect(others.map(({ status }) => status)).toEqual([200, 200, 200]);
  const [index, ...rest] = new Set(others.map((other) => other.index));
  expect([rest.length, index]).toEqual([0, (first.index ?? 0) + 1]);
  expect(await submit(network, await receipt.sign())).toMatchObject({ index: first.index, alreadyLogged: true });
  await network.idle();
  const entries = (await entriesAt(network.url)).map(parseEntry);
  const own = entries.filter(({ kind }) => kind === "receipt");
  expect(own).toHaveLength(3); // With the one that the network's own node logged before.
  const audit = await network.audit();
  expect(audit).toMatchObject({ findings: [], differences: [], figures: { equivocations: 1, totals: { gross: 2 } } });
});

test("another node's receipt around an authorization that was used is refused, while the first is on its way and after", async () => {
  const nodeTokenPath = await tokenFile();
  await using network = await startNetwork({ clock, nodeTokenPath, integrateIntervalMs: 400 });
  await using rival = await startNode(network, nodeTokenPath, { clock }); // Enrolled as a node; here its key is all that matters.
  const [node, other] = [await nodeKey(network), await nodeKey(rival)];
  const [receipt] = await receiptsOf(network, node);
  if (receipt === undefined) return expect.fail("a receipt was made");
  const entry = parseEntry(await receipt.sign());
  if (entry.kind !== "receipt") return expect.fail("it is a receipt");
  const copied = (await signEntry(other, "receipt", { ...entry.says, sequence: 0 })).signed.bytes;
  const [first, second] = await Promise.all([submit(network, entry.signed.bytes), submit(network, copied)]);
  expect(first).toMatchObject({ status: 200, alreadyLogged: false });
  const refused = { status: 403, error: { code: "forbidden", message: expect.stringMatching(/by another node/) } };
  expect([second, await submit(network, copied)]).toMatchObject([refused, refused]);
  await network.idle();
  expect(receiptIdsOf(await entriesAt(network.url)).has(receipt.id)).toBe(true);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [], figures: { equivocations: 0 } });
});
