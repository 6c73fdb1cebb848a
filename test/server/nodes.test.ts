/** Nodes on machines of their own: who comes in, who gets a call, and what is left when one goes away. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createKey } from "@tallystick/client";
import {
  encodeDispatch,
  hex,
  NodeRecordReader,
  parseDispatch,
  parseHex,
  parseNodeReply,
  parseReceiptFile,
  parseSigned,
  type Signer,
  signEntry,
  verifyReceiptFile,
} from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { signRequest } from "../../packages/server/src/platform/http-signature.ts";
import { openSigner } from "../../packages/server/src/platform/keys.ts";
import { fixedSigner } from "../fixed-keys.ts";
import { temporaryFolder } from "../folder.ts";
import { creditInput, type JsonTensor, startNetwork, type TestNetwork, tensorOf } from "../network.ts";
import { startNode, type TestNode, tokenFile } from "../node.ts";
import { openRequester, postDispatch, submit } from "./requester.ts";

const TALLYD = join(import.meta.dirname, "..", "..", "packages", "server", "bin", "tallyd.js");
const CREDIT = "statlog/credit-default";
const CANCER = "wisconsin/breast-cancer";

let network: TestNetwork;
let token: string;
beforeAll(async () => {
  token = await tokenFile();
  network = await startNetwork({ workerCount: 0, nodeTokenPath: token });
});
afterAll(() => network[Symbol.asyncDispose]());

/** The id of the node that signed a receipt, whose file verifies. */
async function signerOf(receiptId: string | undefined): Promise<string> {
  await network.idle();
  return publishedSignerOf(receiptId);
}

async function publishedSignerOf(receiptId: string | undefined): Promise<string> {
  const file = new Uint8Array(await (await network.fetch(`/v1/receipts/${receiptId}`)).arrayBuffer());
  expect(await verifyReceiptFile(file, network.trust)).toMatchObject({ outcome: "verified" });
  return hex(parseSigned(parseReceiptFile(file).parts.receipt.bytes).keyId);
}

type View = { id: string; health: string; breaker: string; inFlight: number; revisions: string[] };

async function views(): Promise<View[]> {
  return ((await (await network.fetch("/v1/nodes")).json()) as { nodes: View[] }).nodes;
}

/** Looks until what the gateway sees of a node is so. */
async function seen(id: string, isSo: (view: View | undefined) => boolean): Promise<void> {
  for (;;) {
    if (isSo((await views()).find((view) => view.id === id))) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const cancerInput = () => ({
  ...{ name: "features", datatype: "FP32", shape: [1, 30] },
  data: Array.from({ length: 30 }, (_, i) => i),
});

type Outcome = { status: number; taken: string | null; outcome?: string; code?: string };

/** Sends a dispatch to a node past its gateway, signed by `by` for the node `to`. */
async function sendTo(
  node: TestNode,
  body: Uint8Array,
  by: Signer,
  changes = { to: node.id, sent: body },
): Promise<Outcome> {
  const asked = { method: "POST", path: "/v1/dispatch", body, to: parseHex(changes.to) ?? body };
  const headers = await signRequest(by, { ...asked, nowSeconds: Math.floor(Date.now() / 1000) });
  const init = { method: "POST", headers, body: changes.sent as Uint8Array<ArrayBuffer> };
  const answer = await fetch(`${node.url}/v1/dispatch`, init);
  const told = { status: answer.status, taken: answer.headers.get("tallystick-taken") };
  if (!answer.ok) return told;
  const [record] = new NodeRecordReader().push(new Uint8Array(await answer.arrayBuffer()));
  const reply = parseNodeReply(record?.bytes ?? new Uint8Array(0));
  return { ...told, outcome: reply.outcome, ...("refusal" in reply ? { code: reply.refusal.code } : {}) };
}

const gatewaySigner = () => openSigner(join(network.data, "keys", "gateway.pem"));

test("with no node, a call is refused: nothing runs in another's place", async () => {
  const answer = await network.infer(CREDIT, [creditInput()]);
  expect(answer).toMatchObject({ status: 503, body: { error: expect.stringMatching(/no node/) } });
});

test("nodes get the calls for models that they have, and the receipts of both verify and are in the audit", async () => {
  await using large = await startNode(network, token);
  await using small = await startNode(network, token, { modelSizeMostBytes: 1_200 });
  /** Asks many times at once, so that no node has room for all of it: the nodes that answered. */
  async function nodesFor(model: string, input: JsonTensor): Promise<string[]> {
    const answers = await Promise.all(Array.from({ length: 120 }, () => network.infer(model, [input])));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    await network.idle();
    const signers = await Promise.all(answers.map(({ receiptId }) => publishedSignerOf(receiptId)));
    return [...new Set(signers)].sort();
  }
  // Its graph and circuit are too many bytes for the small one, which never gets that model, however much waits for the other.
  expect(await nodesFor(CREDIT, creditInput())).toEqual([large.id]);
  expect(await nodesFor(CANCER, cancerInput())).toEqual([large.id, small.id].sort());
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

test("a wrong token lets nobody in, and a node's key enrols by no other door", async () => {
  const { signer } = await createKey();
  const says = { version: 1, action: "enrol", role: "node", spki: signer.spki, name: "outsider" } as const;
  const { signed } = await signEntry(signer, "key", says);
  expect(await submit(network, signed.bytes)).toMatchObject({ status: 403 });
  await expect(startNode(network, token, { token: "guessed" })).rejects.toThrow(/token/);
  await using closed = await startNetwork({ workerCount: 0 });
  await expect(startNode(closed, token)).rejects.toThrow(/token/);
});

test("only what this gateway signed for this node is taken: no forgery, no other node's, no other bytes", async () => {
  await using node = await startNode(network, token);
  await using other = await startNode(network, token);
  const requester = await openRequester(network, { inputs: [tensorOf(creditInput())] });
  const [body, another] = [await requester.dispatch(), await requester.dispatch()];
  const gateway = await gatewaySigner();
  const refused = { status: 401, taken: "no" };
  expect(await sendTo(node, body, fixedSigner("stranger"))).toMatchObject(refused);
  expect(await sendTo(node, body, await openSigner(join(other.data, "keys", "node.pem")))).toMatchObject(refused);
  expect(await sendTo(node, body, gateway, { to: other.id, sent: body })).toMatchObject(refused);
  expect(await sendTo(node, body, gateway, { to: node.id, sent: another })).toMatchObject(refused);
  const forged = { ...parseDispatch(body), call: parseDispatch(another).call.slice(0, -1) };
  expect(await sendTo(node, encodeDispatch(forged), gateway)).toMatchObject({ outcome: "not_taken" });
  expect(await sendTo(node, body, gateway)).toMatchObject({ outcome: "answered" });
  expect(await sendTo(node, body, gateway)).toMatchObject({ outcome: "not_taken", code: "conflict" });
});

test("an authorization that comes twice at once is served once, whichever node gets it", async () => {
  await using _first = await startNode(network, token);
  await using _second = await startNode(network, token);
  const requester = await openRequester(network, { inputs: [tensorOf(creditInput())] });
  for (let round = 0; round < 5; round++) {
    const body = await requester.dispatch();
    const replies = await Promise.all([1, 2, 3, 4].map(() => postDispatch(network, body)));
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
  }
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

test("a receipt that its node sends again, before or after the log is folded, is the same entry", async () => {
  await using _node = await startNode(network, token);
  const requester = await openRequester(network, { inputs: [tensorOf(creditInput())] });
  const { delivery, receiptId = "" } = await postDispatch(network, await requester.dispatch());
  const receipt = delivery?.receipt ?? new Uint8Array(0);
  const again = await Promise.all([submit(network, receipt), submit(network, receipt)]);
  await network.idle();
  again.push(await submit(network, receipt));
  expect(again.map(({ alreadyLogged }) => alreadyLogged)).toEqual([true, true, true]);
  expect(new Set(again.map(({ index }) => index)).size).toBe(1);
  await signerOf(receiptId);
});

test("a node that drains under load loses no call, and gets none from then on", async () => {
  await using leaving = await startNode(network, token);
  await using staying = await startNode(network, token);
  const calls = Array.from({ length: 40 }, (_, i) => network.infer(CREDIT, [creditInput(i)]));
  await Promise.race(calls);
  await leaving.drain();
  const answers = await Promise.all(calls);
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  expect(await views()).toContainEqual(expect.objectContaining({ id: leaving.id, health: "draining", inFlight: 0 }));
  for (let i = 0; i < 4; i++)
    expect(await signerOf((await network.infer(CREDIT, [creditInput(i)])).receiptId)).toBe(staying.id);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

test("the operator has a node drain, and take calls again; nobody else does", async () => {
  await using node = await startNode(network, token);
  const admin = (await readFile(join(network.data, "keys", "admin-token"), "utf8")).trim();
  const drain = (drain: boolean, by = admin) =>
    network.fetch(`/v1/nodes/${node.id}/drain`, {
      method: "POST",
      headers: { authorization: `Bearer ${by}` },
      body: JSON.stringify({ drain }),
    });
  expect((await drain(true, network.apiKey)).status).toBe(403);
  expect((await drain(true)).status).toBe(200);
  expect(await network.infer(CREDIT, [creditInput()])).toMatchObject({ status: 503 });
  expect((await drain(false)).status).toBe(200);
  await seen(node.id, (view) => view?.health === "healthy");
  expect(await network.infer(CREDIT, [creditInput()])).toMatchObject({ status: 200 });
});

test("a node that is started again counts its receipts on", async () => {
  await using folder = await temporaryFolder();
  const data = folder.path;
  const first = await startNode(network, token, { data });
  expect(await network.infer(CREDIT, [creditInput(1)])).toMatchObject({ status: 200 });
  await first.stop();
  await using again = await startNode(network, token, { data });
  expect(again.id).toBe(first.id);
  const { receiptId } = await network.infer(CREDIT, [creditInput(2)]);
  expect(await signerOf(receiptId)).toBe(again.id);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

/** `tallyd node` as a process of its own. */
function spawnNode(data: string) {
  const line = [TALLYD, "node", "--gateway", network.url, "--token-file", token, "--log-key", network.logVkey];
  const child = spawn(process.execPath, [...line, "--data", data, "--port", "0", "--workers", "1", "--json"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const gone = once(child, "close");
  const ready = Promise.race([
    once(createInterface({ input: child.stdout }), "line").then(([text]) => JSON.parse(String(text)) as { id: string }),
    gone.then(() => Promise.reject(new Error(`tallyd node ended: ${said}`))),
  ]);
  return { child, ready, gone };
}

test("a node that is killed in the middle of a call costs that call and no other, and leaves no second receipt", async () => {
  await using folder = await temporaryFolder();
  const data = folder.path;
  const { child, ready, gone } = spawnNode(data);
  const { id } = await ready;
  await seen(id, (view) => view?.health === "healthy");
  expect(await network.infer(CREDIT, [creditInput()])).toMatchObject({ status: 200 });
  const requester = await openRequester(network, { inputs: [tensorOf(creditInput())] });
  const body = await requester.dispatch();
  child.kill("SIGSTOP");
  const lost = postDispatch(network, body);
  await seen(id, (view) => view?.inFlight === 1);
  await using other = await startNode(network, token);
  child.kill("SIGKILL");
  await gone;
  expect(await lost).toMatchObject({ status: 502, error: { code: "node_failed", message: /may yet appear/ } });
  // Not sent again, though another node is there: nobody knows that the first one signed nothing.
  expect(await postDispatch(network, body)).toMatchObject({ status: 409 });
  const { receiptId } = await postDispatch(network, await requester.dispatch());
  expect(await signerOf(receiptId)).toBe(other.id);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});
