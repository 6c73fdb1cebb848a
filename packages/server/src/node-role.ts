/** A node on a machine of its own: data folder → key → log → registered with its gateway → calls, each with its receipt. */
import { join } from "node:path";
import { hex, keyOf, type PublishedModel, revisionOf } from "@tallystick/protocol";
import type { Hono } from "hono";
import { createAttestor } from "./attestation/attestor.ts";
import type { EvidenceSource } from "./attestation/sources.ts";
import { type OpenEngine, openEngine } from "./engine.ts";
import { openSealingKey } from "./founding.ts";
import { REVISIONS_MOST } from "./gateway/nodes.ts";
import type { GatewayPeer } from "./gateway-peer.ts";
import { createNodeHost, type NodeHost } from "./node/host.ts";
import { createLoading } from "./node/loading.ts";
import { fatesOf } from "./node/lot-fates.ts";
import { openLotOpenings, sweeping } from "./node/lot-openings.ts";
import { createOpeningAccess, openingHandler } from "./node/opening-access.ts";
import { nodeRoutes } from "./node/routes.ts";
import { createNode } from "./node/service.ts";
import { openSpool, type Posted } from "./node/spool.ts";
import { createRegistrar, type NodeStatus } from "./node-registrar.ts";
import { closeAll, openAll } from "./platform/closing.ts";
import { OperatorError, ServiceError } from "./platform/errors.ts";
import { readUpstreams } from "./relay/config.ts";
import { createRelay, type Relay } from "./relay/relay.ts";
import { openRole, type RoleOptions } from "./role.ts";
import { CALLS_A_WORKER } from "./serving.ts";
import { indexIn } from "./verifier/answers.ts";

export type NodeRoleOptions = RoleOptions & {
  upstreamsPath?: string | undefined;
  workerCount: number;
  priceFloorAtomic: bigint;
  /** Models whose files are larger together are left to others. */
  modelSizeMostBytes: number;
  /** How this machine shows what it runs, and SHA-256 of the key by which it ends TLS; without it, it does not. */
  attestation?: { source: EvidenceSource; tlsKey?: Uint8Array } | undefined;
  /** What is kept that opens receipts that may be drawn to be checked. */
  openingBytes?: number;
  deadlineMs: number;
  generationDeadlineMs: number;
  /** What runs models, where that is not this process's own execution pool. */
  openEngine?: typeof openEngine;
};

export type NodeRole = {
  id: string;
  name: string;
  application(): Hono;
  /** Enrols, settles what an earlier run left, and takes calls at `url`. Throws an OperatorError where it may not. */
  start(url: string): Promise<void>;
  /** Takes no more calls, tells the gateway so, and resolves once those that are here have ended. */
  drain(): Promise<void>;
  /** Resolves with why, once the log is not to be believed any more. */
  broken: Promise<OperatorError>;
  close(): Promise<void>;
};

const POST_MS = 10_000;
/** Calls that may be here for each that runs. */
const CALLS_WAITING = 8;

export async function openNodeRole(options: NodeRoleOptions): Promise<NodeRole> {
  const { data, clock, report } = options;
  const upstreams = options.upstreamsPath === undefined ? [] : await readUpstreams(options.upstreamsPath);
  return openAll(async (closers) => {
    const role = await openRole("node", options, { timeoutMs: POST_MS, closers });
    const { id, name, signer, gateway, log, artifacts } = role;
    const { fold } = log;
    const relay = createRelay({ upstreams, clock, report });
    closers.push(relay.close);
    const engine = await (options.openEngine ?? openEngine)(options.workerCount, report, relay);
    closers.push(engine.close);
    const openings = await openLotOpenings({
      ...{ clock, random: options.random, report, folder: join(data, "openings"), limitBytes: options.openingBytes },
      sealingKey: await openSealingKey(join(data, "keys", "openings-key"), options.random),
      fates: () => fatesOf(fold),
    });
    closers.push(openings.close);
    log.follow(sweeping(fold, openings));
    const post = (entry: Uint8Array) => postEntry(gateway, entry);
    const spool = await openSpool({ folder: join(data, "spool"), post, report });
    closers.push(spool.close);
    const offers = offersOf(engine, relay, options.modelSizeMostBytes);
    // Of very many, the newest: an older one is then left to others.
    const revisions = () =>
      [...fold.models.values()]
        .filter((model) => !model.yanked && offers(model))
        .map(({ revision }) => hex(revision))
        .slice(-REVISIONS_MOST);
    let host: NodeHost | undefined;
    let isLeaving = false;
    const capacity = options.workerCount * CALLS_A_WORKER;
    const status = (): NodeStatus => ({
      name,
      engines: [...engine.names],
      revisions: revisions(),
      warm: engine.loaded(),
      tiers: ["signed", "reexecuted"],
      priceFloor: String(options.priceFloorAtomic),
      running: Math.min(host?.callCount ?? 0, capacity),
      waiting: Math.max(0, (host?.callCount ?? 0) - capacity),
      capacity,
      draining: host === undefined || host.isDraining,
    });
    const registrar = createRegistrar({
      ...{ gateway, id, enrolment: role.enrolment, report, status },
      setDrain: (drain) => host?.setDrain(drain || isLeaving),
    });
    closers.push(registrar.close);
    const { attestation } = options;
    const attestor =
      attestation &&
      createAttestor({
        ...{ source: attestation.source, tlsKey: attestation.tlsKey, key: id, clock, report },
        post: async (path, body) => {
          const { status, text } = await gateway.post(path, body, "application/cbor");
          return { status, json: JSON.parse(text) };
        },
      });
    closers.push(() => attestor?.close());

    function createHost(): NodeHost {
      const files = artifacts.files;
      const node = createNode({
        ...{ signer, engine: engine.engine, fold, clock, random: options.random, files },
        ...{ deadlineMs: options.deadlineMs, generationDeadlineMs: options.generationDeadlineMs },
        checkRoom: spool.checkRoom,
        append: spool.append,
        keepOpening: openings.keep,
      });
      const loading = createLoading({ prepare: (model) => engine.engine.prepare(model, files), clock });
      return createNodeHost({
        ...{ node, loading, fold, clock, report, offers, priceFloorAtomic: options.priceFloorAtomic },
        readOn: log.readOn,
        isUnsettled: spool.isUnsettled,
        callsMost: capacity * CALLS_WAITING,
      });
    }

    const isReady = () => registrar.isKnown && host?.isDraining === false;
    const started = () => {
      if (host !== undefined) return host;
      throw new ServiceError("unavailable", "this node is starting: ask again in a moment");
    };
    const access = createOpeningAccess({ fold, openings, readOn: log.readOn });
    const answerOpening = openingHandler({ access, id, fold, clock });
    const app = nodeRoutes({ host: started, id, fold, clock, report, isReady, answerOpening });

    return {
      id: hex(id),
      name,
      broken: log.broken,
      application: () => app,

      async start(url) {
        await registrar.register(url); // As one that drains: it takes calls only once the rest below is done.
        await log.readOn(() => fold.keys.has(keyOf(id)), POST_MS);
        // What an earlier run signed is in the log, and folded, before anything is counted on from there.
        if ((await spool.resend()) > 0)
          throw new OperatorError(
            "receipts of an earlier run are not in the log yet, which does not answer: start again when it does",
          );
        await log.catchUp();
        await log.readOn(() => fold.size >= spool.settledSize, POST_MS);
        if (fold.size < spool.settledSize)
          throw new OperatorError("the log has not published this node's receipts yet: start again in a moment");
        host = createHost();
        await registrar.begin();
        await attestor?.begin();
      },

      async drain() {
        isLeaving = true;
        host?.setDrain(true);
        await registrar.tell();
        await host?.idle();
      },

      async close() {
        isLeaving = true;
        host?.setDrain(true);
        await host?.idle();
        await closeAll(closers);
      },
    };
  });
}

/** What this node serves: by the engines that run here and by size, and of relayed models by the very revision. */
function offersOf(engine: OpenEngine, relay: Relay, sizeMostBytes: number): (model: PublishedModel) => boolean {
  const relayed = new Set(relay.packages.map(({ manifestBytes }) => keyOf(revisionOf(manifestBytes))));
  const sizeOf = ({ manifest }: PublishedModel) =>
    manifest.artifacts
      .filter(({ role }) => role === "model" || role === "file")
      .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return (model) => {
    const { engine: name } = model.manifest;
    if (!engine.names.includes(name) || sizeOf(model) > sizeMostBytes) return false;
    return name !== "relay" || relayed.has(keyOf(model.revision));
  };
}

/** What the log says to a receipt. Only a clear no is one: whatever else goes wrong may go right the next time. */
async function postEntry(gateway: GatewayPeer, entry: Uint8Array): Promise<Posted> {
  const { status, text } = await gateway.submit("/v1/entries", entry, "application/octet-stream");
  if (status === 400 || status === 403) return { ok: false, why: text.slice(0, 1_024) };
  if (status !== 200) throw new Error(`the log answered with status ${status}`);
  return { ok: true, index: indexIn(text) };
}
