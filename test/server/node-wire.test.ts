/** What goes over the wire between a gateway and its node: streams as they come, cancellations, answers that are not true. */
import {
  applyEntry,
  callOf,
  commit,
  createFold,
  type Dispatch,
  encodeCall,
  type FoldState,
  keyId,
  keyOf,
  parseCall,
  parseEntry,
  sha256,
  signedId,
  utf8,
} from "@tallystick/protocol";
import { createSystemRandom, listen } from "@tallystick/server";
import { afterEach, expect, test } from "vitest";
import { createDispatcher } from "../../packages/server/src/gateway/dispatcher.ts";
import { createNodeRegistry, type NodeReport } from "../../packages/server/src/gateway/nodes.ts";
import { createRemoteNode } from "../../packages/server/src/gateway/remote-node.ts";
import type { Delta, Generated } from "../../packages/server/src/node/generation.ts";
import { NO_GENERATOR } from "../../packages/server/src/node/generation.ts";
import { createNodeHost } from "../../packages/server/src/node/host.ts";
import { createLoading } from "../../packages/server/src/node/loading.ts";
import { nodeRoutes } from "../../packages/server/src/node/routes.ts";
import { createNode } from "../../packages/server/src/node/service.ts";
import { openPeer } from "../../packages/server/src/platform/peer.ts";
import type { StopSignal } from "../../packages/server/src/platform/stop.ts";
import { fixedSigner } from "../fixed-keys.ts";
import { createTestClock } from "../network.ts";
import { issueReceipt, NOON_SECONDS } from "../one-receipt.ts";

const SALT = sha256(utf8("salt of a chat"));
const CALL = encodeCall(callOf("chat", { messages: [{ role: "user", content: "hello" }] }));
const USAGE = { promptTokens: 3, completionTokens: 2 };

type Told = (delta: Delta) => void | Promise<void>;
type Generate = (onDelta: Told, signal: StopSignal) => Promise<Generated>;

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** What a gateway and a node know before a chat: everything but the receipt. */
async function begin() {
  const request = commit("request", SALT, CALL);
  const { entries, authorization } = await issueReceipt({
    says: {
      authorization: (says) => ({ ...says, request }),
      grant: (says) => ({ ...says, paymentClass: "credits" }),
    },
  });
  const fold = createFold();
  for (const part of ["gateway", "node", "publisher", "model", "grant"] as const) applyEntry(fold, entries[part]);
  const dispatch: Dispatch = { authorization: authorization.signed.bytes, salt: SALT, call: CALL };
  return { fold, dispatch, checked: { authorization, call: parseCall(CALL) }, id: signedId(authorization.signed) };
}

/** A node at an address of its own, and the receipts that it signed. */
async function openNode(fold: FoldState, generate: Generate, isUnsettled = false) {
  const signer = fixedSigner("node");
  const clock = createTestClock(NOON_SECONDS * 1000);
  const receipts: Uint8Array[] = [];
  const taken: Dispatch[] = [];
  const engine = {
    ...NO_GENERATOR,
    prepare: async () => {},
    run: async () => ({ kind: "overloaded", message: "no tensors here" }) as const,
    profile: () => ({ runtime: "onnxruntime-web@1.2.3", binary: sha256(utf8("engine")), exactness: "exact" }) as const,
    generate: (_: unknown, __: unknown, { onDelta, signal }: { onDelta: Told; signal: StopSignal }) =>
      generate(onDelta, signal),
  };
  const node = createNode({
    ...{ signer, engine, fold, clock, random: createSystemRandom(), files: async () => new Map() },
    ...{ deadlineMs: 5_000, generationDeadlineMs: 5_000, checkRoom: () => {} },
    append: async (receipt) => {
      if (isUnsettled) throw new Error("no answer from the log");
      return receipts.push(receipt) + 4;
    },
  });
  const report = () => {};
  const host = createNodeHost({
    ...{ node, fold, clock, report, priceFloorAtomic: 0n, callsMost: 4, offers: () => true },
    loading: createLoading({ prepare: async () => {}, clock }),
    readOn: async () => {},
    isUnsettled: () => isUnsettled,
  });
  const spied = {
    ...host,
    take(dispatch: Dispatch, sink: Parameters<typeof host.take>[1]) {
      taken.push(dispatch);
      return host.take(dispatch, sink);
    },
  };
  const answerOpening = async () => new Response(null, { status: 404 });
  const own = { host: () => spied, id: keyId(signer.spki), fold, clock, report };
  const app = nodeRoutes({ ...own, isReady: () => true, answerOpening });
  const { url, close } = await listen({ application: () => app }, { host: "127.0.0.1", port: 0 });
  closers.push(close);
  return { url, receipts, taken, host };
}

const REPORT: Omit<NodeReport, "url" | "revisions"> = {
  ...{ name: "node", engines: ["judge"], warm: [], tiers: ["signed"], priceFloorAtomic: 0n },
  ...{ running: 0, waiting: 0, capacity: 1, draining: false },
};

/** A gateway that knows the nodes at `urls`, each under a key of its own but the same in the log. */
function openGateway(fold: FoldState, nodes: { url: string; receipts: Uint8Array[] }[]) {
  const clock = createTestClock(NOON_SECONDS * 1000);
  const signer = fixedSigner("gateway");
  const spki = fixedSigner("node").spki;
  const registry = createNodeRegistry({
    clock,
    standings: { isRelied: () => true, isAttested: () => false, findTlsKey: () => undefined },
    connect: (_, url) =>
      createRemoteNode({
        ...{ signer, clock, id: keyId(spki), peer: openPeer(url), timeoutMs: 5_000, findKey: () => spki },
        findLogged() {
          const found = nodes.find((node) => node.url === url)?.receipts.at(-1);
          return found && { index: 5, statement: keyOf(signedId(parseEntry(found).signed)) };
        },
      }),
  });
  const revisions = [...fold.models.values()].map(({ revision }) => Buffer.from(revision).toString("hex"));
  for (const [i, { url }] of nodes.entries())
    registry.register(new Uint8Array(32).fill(i + 1), { ...REPORT, url, revisions, running: i });
  closers.push(registry.close);
  return {
    registry,
    // Always the first two that there are, of which the less loaded is asked first.
    dispatcher: createDispatcher({
      ...{ fold, clock, registry, local: undefined, receiptWithinMs: 1 },
      random: (count) => new Uint8Array(count),
    }),
  };
}

const answered: Generate = async (onDelta) => {
  await onDelta({ index: 0, content: "Hel" });
  await onDelta({ index: 0, content: "lo" });
  return { kind: "answered", finishReasons: ["stop"], usage: USAGE };
};
const text = (frames: Uint8Array[]) => frames.map((frame) => new TextDecoder().decode(frame)).join("");

test("frames of a stream come one by one as the node writes them, and the receipt with the last", async () => {
  const { fold, dispatch, checked } = await begin();
  const frames: Uint8Array[] = [];
  let heardBefore = -1;
  const node = await openNode(fold, async (onDelta) => {
    await onDelta({ index: 0, content: "Hel" });
    while (frames.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    heardBefore = frames.length; // The first is there while the second is not yet written.
    await onDelta({ index: 0, content: "lo" });
    return { kind: "answered", finishReasons: ["stop"], usage: USAGE };
  });
  const { dispatcher } = openGateway(fold, [node]);
  const served = await dispatcher.stream(
    { ...dispatch, stream: { usage: "in_receipt" } },
    { checked, signal: new AbortController().signal, sink: (frame) => void frames.push(frame) },
  );
  expect(served).toMatchObject({ ok: true, index: 5, receipt: node.receipts[0] });
  expect(heardBefore).toBeGreaterThan(0);
  expect(text(frames)).toMatch(/"content":"Hel".*"content":"lo".*"receipt"/s);
});

test("a whole answer has the body that its receipt is for", async () => {
  const { fold, dispatch, checked } = await begin();
  const node = await openNode(fold, answered);
  const served = await openGateway(fold, [node]).dispatcher.serve(dispatch, checked);
  expect(served).toMatchObject({ ok: true, body: { choices: [{ message: { content: "Hello" } }] } });
  expect(served.times).toEqual({ queueMs: 0, loadMs: 0, serveMs: 0 });
});

test("a caller who goes away has the node end the call, whose receipt says so and costs nothing", async () => {
  const { fold, dispatch, checked } = await begin();
  const gone = new AbortController();
  const node = await openNode(fold, async (onDelta, signal) => {
    await onDelta({ index: 0, content: "Hel" });
    gone.abort();
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", () => resolve(undefined)));
    return { kind: "cancelled" };
  });
  const { dispatcher } = openGateway(fold, [node]);
  const served = await dispatcher.stream(
    { ...dispatch, stream: { usage: "in_receipt" } },
    { checked, signal: gone.signal, sink: () => {} },
  );
  expect(served).toMatchObject({ ok: false, refusal: { code: "cancelled" } });
  expect(parseEntry(served.receipt).says).toMatchObject({ status: "cancelled", price: 0n });
});

test("a node that is full is passed over for the next, which is told of it", async () => {
  const { fold, dispatch, checked } = await begin();
  const full = await openNode(fold, async () => ({ kind: "overloaded", message: "too much to do" }));
  const free = await openNode(fold, answered);
  const served = await openGateway(fold, [full, free]).dispatcher.serve(dispatch, checked);
  expect(served).toMatchObject({ ok: true });
  expect([full.receipts.length, free.receipts.length]).toEqual([0, 1]);
  expect(full.taken[0]?.attempts).toBeUndefined();
  expect(free.taken[0]?.attempts).toEqual([{ at: `node-${"01".repeat(8)}`, outcome: "unavailable", ms: 0 }]);
});

test("attempts that somebody else wrote into a dispatch do not reach the node", async () => {
  const { fold, dispatch, checked } = await begin();
  const node = await openNode(fold, answered);
  const attempts = [{ at: "elsewhere", outcome: "false", ms: 1 }];
  await openGateway(fold, [node]).dispatcher.serve({ ...dispatch, attempts }, checked);
  expect(node.taken[0]?.attempts).toBeUndefined();
});

test("a refusal that is the caller's own fault goes to no other node", async () => {
  const { fold, dispatch, checked } = await begin();
  const nodes = [await openNode(fold, answered), await openNode(fold, answered)];
  const wrong = { ...dispatch, salt: new Uint8Array(32) };
  await expect(openGateway(fold, nodes).dispatcher.serve(wrong, checked)).rejects.toMatchObject({
    code: "invalid_request",
  });
  expect(nodes.map(({ taken }) => taken.length)).toEqual([1, 0]);
});

test("a receipt that was signed and may not be in the log keeps its authorization from every other node", async () => {
  const { fold, dispatch, checked } = await begin();
  const nodes = [await openNode(fold, answered, true), await openNode(fold, answered)];
  const { dispatcher } = openGateway(fold, nodes);
  await expect(dispatcher.serve(dispatch, checked)).rejects.toMatchObject({ isOutcomeUnknown: true });
  await expect(dispatcher.serve(dispatch, checked)).rejects.toMatchObject({ code: "conflict" });
  expect(nodes.map(({ taken }) => taken.length)).toEqual([1, 0]);
});

test("what one node began to say is not gone on with by another", async () => {
  const { fold, dispatch, checked } = await begin();
  const broken = await openNode(fold, async (onDelta) => {
    await onDelta({ index: 0, content: "Hel" });
    throw new Error("it fell over");
  });
  const free = await openNode(fold, answered);
  const { dispatcher } = openGateway(fold, [broken, free]);
  const frames: Uint8Array[] = [];
  const options = {
    checked,
    signal: new AbortController().signal,
    sink: (frame: Uint8Array) => void frames.push(frame),
  };
  const streamed = dispatcher.stream({ ...dispatch, stream: { usage: "in_receipt" } }, options);
  await expect(streamed).rejects.toMatchObject({ code: "internal" });
  expect(text(frames)).toMatch(/Hel/);
  expect(free.taken).toEqual([]);
});

test("an answer whose receipt is not in this network's log is not given out", async () => {
  const { fold, dispatch, checked } = await begin();
  const node = await openNode(fold, answered);
  const { dispatcher } = openGateway(fold, [{ ...node, receipts: [] }]);
  await expect(dispatcher.serve(dispatch, checked)).rejects.toMatchObject({ isOutcomeUnknown: true });
});
