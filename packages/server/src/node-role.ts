/** A node on a machine of its own: data folder → key → log → registered with its gateway → calls, each with its receipt. */
import { join } from "node:path";
import { fetchSource, systemEdges } from "@tallystick/client";
import {
  hex,
  keyId,
  keyOf,
  type LogTrust,
  type PublishedModel,
  parseBase64,
  revisionOf,
  type Signer,
  signEntry,
} from "@tallystick/protocol";
import type { Hono } from "hono";
import { createAttestor } from "./attestation/attestor.ts";
import type { EvidenceSource } from "./attestation/sources.ts";
import { type OpenEngine, openEngine } from "./engine.ts";
import { openSealingKey } from "./founding.ts";
import { REVISIONS_MOST } from "./gateway/nodes.ts";
import { openArtifacts } from "./node/artifacts.ts";
import { createNodeHost, type NodeHost } from "./node/host.ts";
import { createLoading } from "./node/loading.ts";
import { fatesOf } from "./node/lot-fates.ts";
import { openLotOpenings, sweeping } from "./node/lot-openings.ts";
import { createOpeningAccess, openingHandler } from "./node/opening-access.ts";
import { nodeRoutes } from "./node/routes.ts";
import { createNode } from "./node/service.ts";
import { openSpool, type Posted } from "./node/spool.ts";
import { openNodeLog } from "./node-log.ts";
import { createRegistrar, type NodeStatus } from "./node-registrar.ts";
import type { Clock } from "./platform/clock.ts";
import { closeDatabase, openDatabase } from "./platform/database.ts";
import { OperatorError, ServiceError } from "./platform/errors.ts";
import { makeFolder } from "./platform/files.ts";
import type { Report } from "./platform/http.ts";
import { openSigner } from "./platform/keys.ts";
import { requestOutside } from "./platform/outbound.ts";
import { openPeer, type Peer, readAll } from "./platform/peer.ts";
import type { Random } from "./platform/random.ts";
import { readUpstreams } from "./relay/config.ts";
import { createRelay, type Relay } from "./relay/relay.ts";
import { CALLS_A_WORKER } from "./serving.ts";

export type NodeRoleOptions = {
  /** The gateway's address, the token it lets nodes in by, and the log of its network. */
  gateway: string;
  token: string;
  trust: LogTrust;
  data: string;
  keyPath: string;
  name: string | undefined;
  upstreamsPath?: string | undefined;
  workerCount: number;
  priceFloorAtomic: bigint;
  /** Models whose files are larger together are left to others. */
  modelSizeMostBytes: number;
  /** Models' files that are kept, and what opens receipts that may be drawn to be checked. */
  keptBytes: number;
  /** How this machine shows what it runs, and SHA-256 of the key by which it ends TLS; without it, it does not. */
  attestation?: { source: EvidenceSource; tlsKey?: Uint8Array } | undefined;
  openingBytes?: number;
  clock: Clock;
  random: Random;
  report: Report;
  /** How often the log is looked at. */
  logIntervalMs: number;
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
const FETCH_MS = 120_000;
/** Calls that may be here for each that runs. */
const CALLS_WAITING = 8;

export async function openNodeRole(options: NodeRoleOptions): Promise<NodeRole> {
  const { data, clock, report, trust, gateway } = options;
  await makeFolder(data);
  const closers: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const database = openDatabase(join(data, "node.sqlite")); // For its lock: two under one key would count receipts twice.
    closers.push(() => closeDatabase(database));
    const signer = await openSigner(options.keyPath);
    const id = keyId(signer.spki);
    const name = options.name ?? `node-${hex(id).slice(0, 8)}`;
    const peer = openPeer(gateway);
    closers.push(peer.close);
    const upstreams = options.upstreamsPath === undefined ? [] : await readUpstreams(options.upstreamsPath);
    const relay = createRelay({ upstreams, clock, report });
    closers.push(relay.close);
    const engine = await (options.openEngine ?? openEngine)(options.workerCount, report, relay);
    closers.push(engine.close);
    const { fetch: ask } = systemEdges;
    const source = fetchSource(gateway, {
      fetch: (url, init) => ask(url, { ...init, signal: AbortSignal.timeout(FETCH_MS) }),
    });
    const folder = join(data, "log");
    const log = await openNodeLog({ source, trust, folder, intervalMs: options.logIntervalMs, report });
    closers.push(log.close);
    const { fold } = log;
    const openings = await openLotOpenings({
      ...{ clock, random: options.random, report, folder: join(data, "openings"), limitBytes: options.openingBytes },
      sealingKey: await openSealingKey(join(data, "keys", "openings-key"), options.random),
      fates: () => fatesOf(fold),
    });
    closers.push(openings.close);
    log.follow(sweeping(fold, openings));
    const spool = await openSpool({ folder: join(data, "spool"), post: (entry) => postEntry(peer, entry), report });
    closers.push(spool.close);
    const artifacts = await openArtifacts({
      ...{ folder: join(data, "artifacts"), clock, keptBytes: options.keptBytes },
      fetchArtifact: (digest, sizeBytes) => fetchArtifact(gateway, digest, sizeBytes),
    });
    const offers = offersOf(engine, relay, options.modelSizeMostBytes);
    // Of very many, the newest: an older one is then left to others.
    const revisions = () =>
      [...log.fold.models.values()]
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
      ...{ peer, signer, clock, report, status, token: options.token },
      gatewayId: await readGatewayId(gateway, trust),
      enrolment: (await signEntry(signer, "key", enrolmentOf(signer, name))).signed.bytes,
      setDrain: (drain) => host?.setDrain(drain || isLeaving),
    });
    closers.push(registrar.close);
    const { attestation } = options;
    const attestor =
      attestation &&
      createAttestor({
        ...{ source: attestation.source, tlsKey: attestation.tlsKey, key: id, clock, report },
        post: (path, body) => registrar.post(path, body, "application/cbor"),
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
        await close();
      },
    };
  } catch (error) {
    await close().catch(() => {}); // What went wrong first is what the operator is told.
    throw error;
  }
}

function enrolmentOf(signer: Signer, name: string) {
  return { version: 1, action: "enrol", role: "node", spki: signer.spki, name } as const;
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

/** The id of the gateway's key, as the gateway says it: what it signs is held to the log, not to this. */
export async function readGatewayId(gateway: string, trust: LogTrust): Promise<Uint8Array> {
  const answer = await requestOutside(`${gateway}/v1/network`, { timeoutMs: POST_MS, limitBytes: 65_536 }).catch(
    (cause: unknown) => {
      throw new OperatorError(`no answer from ${gateway}: is the network running there?`, { cause });
    },
  );
  const told: unknown = answer.status === 200 ? JSON.parse(new TextDecoder().decode(answer.body)) : undefined;
  const { gateway: id, origin } = { gateway: undefined, origin: undefined, ...(told as object | undefined) };
  const bytes = typeof id === "string" ? parseBase64(id) : undefined;
  if (bytes?.length !== 32) throw new OperatorError(`${gateway} is no Tallystick network`);
  if (origin !== trust.origin)
    throw new OperatorError(`${gateway} is the network ${origin}, and --log-key is of ${trust.origin}`);
  return bytes;
}

/** An artifact as the network's hub gives it: whoever asks holds it to its digest. */
export async function fetchArtifact(gateway: string, digest: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
  const url = `${gateway}/v1/artifacts/${hex(digest)}`;
  const answer = await requestOutside(url, { timeoutMs: FETCH_MS, limitBytes: sizeBytes });
  if (answer.status === 200) return answer.body;
  throw new ServiceError("unavailable", `the hub does not give the artifact ${hex(digest)}: status ${answer.status}`);
}

/** What the log says to a receipt. Only a clear no is one: whatever else goes wrong may go right the next time. */
async function postEntry(peer: Peer, entry: Uint8Array): Promise<Posted> {
  const headers = { "content-type": "application/octet-stream" };
  const answer = await peer.post({ path: "/v1/entries", headers, body: entry, timeoutMs: POST_MS });
  const text = new TextDecoder().decode(await readAll(answer, 65_536));
  if (answer.status === 400 || answer.status === 403) return { ok: false, why: text.slice(0, 1_024) };
  if (answer.status !== 200) throw new Error(`the log answered with status ${answer.status}`);
  const { index }: { index?: unknown } = JSON.parse(text);
  if (typeof index !== "number" || !Number.isSafeInteger(index)) throw new Error("the log's answer has no index");
  return { ok: true, index };
}
