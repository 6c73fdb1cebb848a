/** Who serves calls: the node in this process, where it runs models, and those elsewhere that the operator lets in. */
import {
  type FoldState,
  groundsAtNode,
  hex,
  keyId,
  keyOf,
  type Manifest,
  mayAct,
  parseAuthorization,
  parseEntry,
  type Signer,
  signedId,
} from "@tallystick/protocol";
import type { Hono } from "hono";
import type { OpenEngine } from "./engine.ts";
import { createDispatcher, type Dispatcher, type LocalNode } from "./gateway/dispatcher.ts";
import { nodeRoutes } from "./gateway/node-routes.ts";
import { createNodeRegistry, type NodeView, type RegisteredNode } from "./gateway/nodes.ts";
import { createRemoteNode } from "./gateway/remote-node.ts";
import type { Ledger } from "./ledger.ts";
import { type Admission, type AdmissionParts, createAdmission } from "./log/admission.ts";
import { createLoading } from "./node/loading.ts";
import { createNode, type NodeParts } from "./node/service.ts";
import { type Clock, nowSeconds } from "./platform/clock.ts";
import { ServiceError } from "./platform/errors.ts";
import { openPeer } from "./platform/peer.ts";
import type { Random } from "./platform/random.ts";
import { NEVER } from "./platform/stop.ts";

export type ServingParts = {
  ledger: Ledger;
  /** The keys that sign a dispatch, and receipts of the node in this process. */
  signers: { gateway: Signer; node: Signer };
  engine: OpenEngine;
  /** None: no models run in this process. */
  workerCount: number;
  files(manifest: Manifest): Promise<Map<string, Uint8Array>>;
  clock: Clock;
  random: Random;
  deadlineMs: number;
  generationDeadlineMs: number;
  /** Whether a header has the token of nodes; never where the operator lets none in. */
  isNode(header: string | undefined): boolean;
  isAdmin(header: string | undefined): boolean;
  /** Given what opens the receipts that may be drawn. */
  keepOpening: NonNullable<NodeParts["keepOpening"]>;
  /** By which key a node ends TLS, as evidence that holds now says. */
  findTlsKey(node: Uint8Array): Uint8Array | undefined;
  /** The texts that DNS has at a name. */
  resolveTexts: AdmissionParts["resolveTexts"];
  /** What its node answers with proofs; lacks where there is no CRS. */
  proofs: NodeParts["proofs"];
};

export type Serving = {
  node: Dispatcher;
  admission: Admission;
  /** Those of nodes, for a gateway that is reached at `url`. */
  routes(url: string): Hono;
  /** How each node elsewhere is, and what it has to do. */
  nodes(): NodeView[];
  /** A node elsewhere, by the hex of its key's id. */
  findNode(id: string): RegisteredNode | undefined;
  close(): Promise<void>;
};

/** Calls that a worker is given at once before another counts as waiting: it makes batches of them. */
export const CALLS_A_WORKER = 8;
/** How long the log has to show the receipt of an answer that was lost. */
const RECEIPT_WITHIN_MS = 5_000;
/** What a node may take beyond the time that the call has: to read the log on, and to load a model. */
const NODE_SLACK_MS = 90_000;

export function openServing(parts: ServingParts): Serving {
  const { ledger, signers, clock, random, deadlineMs, generationDeadlineMs, isNode, isAdmin } = parts;
  const { fold, log, publish } = ledger;
  const admission = createAdmission({
    ...{ fold, clock, publish, ownNode: keyId(signers.node.spki) },
    caughtUp: ledger.caughtUp,
    append: ledger.append,
    resolveTexts: parts.resolveTexts,
  });
  const timeoutMs = Math.max(deadlineMs, generationDeadlineMs) + NODE_SLACK_MS;
  const id = keyId(signers.gateway.spki);
  const registry = createNodeRegistry({
    clock,
    standings: {
      isRelied: (node) => mayAct(fold, keyOf(node), "node"),
      isAttested: (node) =>
        groundsAtNode(fold, keyOf(node), keyOf(id), nowSeconds(clock)).some(({ tier }) => tier === "attested"),
      findTlsKey: parts.findTlsKey,
    },
    connect: (node, url) =>
      createRemoteNode({
        ...{ signer: signers.gateway, clock, id: node, timeoutMs, peer: openPeer(url, () => parts.findTlsKey(node)) },
        findKey: () => fold.keys.get(keyOf(node))?.spki,
        findLogged: admission.findReceipt,
      }),
  });
  const local = parts.workerCount === 0 ? undefined : createLocalNode(parts);
  const receiptWithinMs = RECEIPT_WITHIN_MS;
  const node = createDispatcher({ fold, clock, random, registry, local, receiptWithinMs });
  log.follow(node.folded); // After the fold's own, which came first.
  const routes = (url: string) => nodeRoutes({ registry, fold, clock, id, url, isNode, isAdmin, publish });
  return { node, admission, routes, nodes: registry.view, findNode: registry.find, close: registry.close };
}

/** The node in this process, as one among others. */
function createLocalNode(parts: ServingParts): LocalNode {
  const { ledger, engine, signers, clock, random, deadlineMs, generationDeadlineMs, files } = parts;
  const { fold, log } = ledger;
  /** Receipts that were signed and that the log did not take: nobody else may be asked in their place. */
  const unlogged = new Set<string>();
  const node = createNode({
    ...{ signer: signers.node, engine: engine.engine, fold, clock, random, deadlineMs, generationDeadlineMs, files },
    checkRoom: () => log.checkRoom(),
    keepOpening: parts.keepOpening,
    proofs: parts.proofs,
    append: (receipt) =>
      ledger.appendAdmitted(receipt).catch((error: unknown) => {
        unlogged.add(idOf(receipt));
        throw error;
      }),
  });
  const loading = createLoading({ prepare: (model) => engine.engine.prepare(model, files), clock });
  const capacity = parts.workerCount * CALLS_A_WORKER;
  let inFlight = 0;
  return {
    id: hex(keyId(signers.node.spki)),
    isReady: true,
    offers: (revision) => {
      const found = modelOf(fold, revision);
      return found === undefined || engine.names.includes(found.manifest.engine);
    },
    isWarm: (revision) => engine.loaded().includes(revision),
    tiers: ["signed", "reexecuted", ...(parts.proofs === undefined ? [] : (["proved"] as const))],
    priceFloorAtomic: 0n,
    get load() {
      return inFlight / capacity;
    },
    async dispatch(dispatch, checked, { sink, signal = NEVER }) {
      inFlight++;
      try {
        const model = fold.models.get(keyOf(checked.authorization.says.revision));
        const waited = model === undefined || model.yanked ? { queueMs: 0, loadMs: 0 } : await loading.load(model);
        const begunMs = clock.nowMs();
        const served = await (sink === undefined
          ? node.serve(dispatch, checked, signal)
          : node.stream(dispatch, { sink, signal, checked }));
        return { kind: "served", served, times: { ...waited, serveMs: Math.max(0, clock.nowMs() - begunMs) } };
      } catch (error) {
        const isSigned = unlogged.has(hex(signedId(checked.authorization.signed)));
        if (isSigned) return { kind: "unknown", why: "the log did not take its receipt", error };
        if (error instanceof ServiceError) return { kind: "not_taken", refusal: error };
        const refusal = new ServiceError("internal", "the model could not be run", { cause: error });
        return { kind: "not_taken", refusal };
      } finally {
        inFlight--;
      }
    },
  };
}

const modelOf = (fold: FoldState, revision: string) => fold.models.get(Buffer.from(revision, "hex").toString("latin1"));

function idOf(receipt: Uint8Array): string {
  const entry = parseEntry(receipt);
  return entry.kind === "receipt" ? hex(signedId(parseAuthorization(entry.says.authorization).signed)) : "";
}
