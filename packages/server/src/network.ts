/** The composition root: folder → keys → log and fold → services → one application. */
import { rm } from "node:fs/promises";
import { encodeNoteKey, hex, keyId } from "@tallystick/protocol";
import type { Hono } from "hono";
import { SNAPSHOTS } from "./backup/routes.ts";
import { composeRoutes, readsOf, withPages } from "./composition.ts";
import { openEngine } from "./engine.ts";
import {
  affiliate,
  enrol,
  firstApiKey,
  importModels,
  openKeys,
  openSealingKey,
  openVerifyingKeys,
  publisherOf,
} from "./founding.ts";
import { createAccounts } from "./gateway/accounts.ts";
import { createApps } from "./gateway/apps-store.ts";
import { createContents } from "./gateway/contents.ts";
import { createContentsStore } from "./gateway/contents-store.ts";
import { createIdempotency } from "./gateway/idempotency.ts";
import { createIdempotencyStore } from "./gateway/idempotency-store.ts";
import { createOpenings } from "./gateway/openings.ts";
import { createHub } from "./hub/service.ts";
import { KEY_NAMES, type KeyPlaces, locateKeys, VERIFYING_KEYS } from "./keys.ts";
import type { LogReads } from "./log/reads.ts";
import { openNetworkLog } from "./network-log.ts";
import { fatesOf } from "./node/lot-fates.ts";
import { openLotOpenings, sweeping } from "./node/lot-openings.ts";
import { measureOpenings, measureUpstreams, openOperations } from "./operations.ts";
import { type Clock, nowSeconds } from "./platform/clock.ts";
import { closeAll, openAll } from "./platform/closing.ts";
import { closeDatabase, openDatabase } from "./platform/database.ts";
import type { ResolveTexts } from "./platform/dns.ts";
import { LOCKED_FILE, openDataFolder } from "./platform/folder.ts";
import type { Report } from "./platform/http.ts";
import { openSigner } from "./platform/keys.ts";
import type { RequestLog } from "./platform/logging.ts";
import type { Random } from "./platform/random.ts";
import type { RequestLimits, Requests } from "./platform/requests.ts";
import { openSecret } from "./platform/secrets.ts";
import { openSigning } from "./platform/signing.ts";
import { openProofs } from "./proofs.ts";
import { readUpstreams } from "./relay/config.ts";
import { createRelay } from "./relay/relay.ts";
import { openSegmenting, type Segmenting } from "./segmenting.ts";
import { openSettling } from "./settling.ts";
import type { VerifierLimits } from "./verifier/service.ts";
import { deriveKey, openVerifying } from "./verifying.ts";

export type NetworkOptions = {
  data: string;
  /** Where keys lie that do not lie in `data`. */
  keys?: KeyPlaces;
  /** A folder of models, each in a folder of its own. */
  models: string;
  /** The upstreams that models are relayed to; without it none. */
  upstreamsPath?: string;
  workerCount: number;
  clock: Clock;
  random: Random;
  report: Report;
  /** The texts that DNS has at a name. */
  resolveTexts: ResolveTexts;
  /** The least time between two signed states of the log, and between two public checkpoints. */
  integrateIntervalMs: number;
  publishIntervalMs: number;
  epochIntervalMs: number;
  /** A tlog-policy; without one the network's own two witnesses are the quorum. */
  policyPath?: string;
  /** Gives the log's key over to a new one before anything else is done. */
  rotateLogKey?: boolean;
  /** What its own witnesses knew is lost: they begin as others, with new keys. */
  newWitnesses?: boolean;
  /** The longest that one call may take. */
  deadlineMs: number;
  /** The token by which nodes elsewhere come in, made where it is not there; without one, none do. */
  nodeTokenPath?: string;
  /** SHA-256 of the key whose simulated evidence of nodes is played along with; without it none is. */
  simulatedRoot?: Uint8Array;
  /** The limits of its own verifier; without them it has none, and no referee: verification is left to others. */
  verifying?: Partial<VerifierLimits>;
  /** The token by which verifiers elsewhere come in, made where it is not there; without one, none do. */
  verifierTokenPath?: string;
  /** The folder of the CRS that proofs rest on; without it nothing is proved. */
  crsPath?: string | undefined;
  /** The most that its node keeps of what opens receipts that may be drawn to be checked. */
  openingBytes?: number;
  /** How long the content of a call with `store: true` is kept; 0 keeps none. */
  contentDays?: number;
  /** Whether anybody may ask in SQL; else the operator alone. */
  openQuery?: boolean;
  /** Told of every request. */
  requestLog?: RequestLog;
  /** Where they differ from those of REQUEST_LIMITS. */
  requestLimits?: Partial<RequestLimits>;
  /** Whether a reverse proxy stands before it. */
  behindTlsProxy?: boolean;
};

export type Network = {
  /** Answers requests; `url` is where it is told that it is reached. */
  application(url: string): Hono;
  /** The requests that the application answers. */
  requests: Pick<Requests, "drain">;
  /** The log's public files, for whoever answers beneath the application. */
  reads: LogReads;
  clock: Clock;
  data: string;
  origin: string;
  logVkey: string;
  /** The key of the first account, which its operator may use or hand out. */
  apiKey: string;
  /** Publishes and folds what was appended so far, without waiting for its turn. */
  flush(): Promise<void>;
  /** Appends an epoch at once: what is published by then has its time as soon as the epoch is. */
  writeEpoch(): Promise<void>;
  /** Resolves once its verifier and its referee have nothing to do at once. */
  verified(): Promise<void>;
  /** Resolves once every closed day has its segment. */
  segmented: Segmenting["idle"];
  close(): Promise<void>;
};

/** Opens the network whose state is in `data`, or makes a new one there. Throws an OperatorError where it cannot. */
export async function openNetwork(options: NetworkOptions): Promise<Network> {
  const { clock, random, report, upstreamsPath } = options;
  const upstreams = upstreamsPath === undefined ? [] : await readUpstreams(upstreamsPath);
  const folder = await openDataFolder(options.data);
  return openAll(async (closers) => {
    const database = openDatabase(folder.file(LOCKED_FILE)); // Two that start at once must not both make keys.
    closers.push(() => closeDatabase(database));
    let closing = false;
    const close = () => {
      closing = true;
      return closeAll(closers);
    };
    await rm(folder.file(SNAPSHOTS), { recursive: true, force: true }); // What a backup that was cut short has left.
    const needed = KEY_NAMES.filter((name) => options.verifying !== undefined || !VERIFYING_KEYS.includes(name));
    const keyFile = await locateKeys(options.keys ?? {}, folder.file("keys"), needed);
    const signing = openSigning(report);
    closers.push(signing.close);
    const keys = await openKeys(keyFile, signing);
    const accounts = createAccounts(database, random);
    const sealingKey = await openSealingKey(keyFile("sealing"), random);
    const openings = createOpenings({ database, sealingKey, random, report });
    const contentsStore = createContentsStore(database);
    const contents = createContents({
      store: contentsStore,
      sealingKey,
      clock,
      random,
      report,
      keptDays: options.contentDays,
    });
    closers.push(() => openings.flush());
    const apps = createApps(database, report);
    closers.push(() => apps.flush());
    const store = createIdempotencyStore(database);
    const idempotency = createIdempotency({ store, clock, random, secret: sealingKey });
    closers.push(idempotency.close);
    const { policyPath, newWitnesses = false, integrateIntervalMs, publishIntervalMs, epochIntervalMs } = options;
    const networkLog = await openNetworkLog({
      ...{ folder, keyFile, policyPath, newWitnesses, clock, report },
      ...{ integrateIntervalMs, publishIntervalMs, epochIntervalMs },
    });
    closers.push(networkLog.close);
    const { ledger, noteSigner } = networkLog;
    if (await networkLog.rotate(keys.log, false)) return reopen(options, close);
    const verifier = await openSigner(keyFile("verifier"), signing.signer);
    const verifyingKeys = options.verifying && (await openVerifyingKeys(keyFile, signing));
    const own = { ...keys, ...verifyingKeys };
    await enrol(ledger, own);
    await affiliate(ledger, Object.values(own));
    if (options.rotateLogKey && (await networkLog.rotate(keys.log, true))) return reopen(options, close);
    const begun = await networkLog.begin(keys.log);
    const hub = createHub({
      folder: folder.file("artifacts"),
      fold: ledger.fold,
      publish: publisherOf(ledger, keys.publisher),
    });
    await importModels(hub, options.models);
    const relay = createRelay({ upstreams, clock, report });
    closers.push(relay.close);
    for (const relayed of relay.packages) await hub.importPackage(relayed);
    const engine = await openEngine(options.workerCount, report, relay);
    closers.push(engine.close);
    const { crsPath } = options;
    if (crsPath !== undefined) await begun.flush(); // What is to be proved yet is told by the receipts that are published.
    const proofs =
      crsPath === undefined
        ? undefined
        : await openProofs({
            ...{ folder: folder.file("proving"), crsPath, fold: ledger.fold, files: hub.files, clock, random, report },
            ...{ sealingKey: deriveKey(sealingKey, "proofs"), weightsSaltOf: hub.weightsSaltOf },
          });
    closers.push(() => proofs?.close());
    ledger.log.follow(() => proofs?.wake());
    const settling = openSettling({ database, ledger, signer: keys.gateway, clock, report });
    closers.push(settling.close);
    const apiKey = await firstApiKey(folder, accounts, nowSeconds(clock));
    const adminToken = await openSecret(keyFile("admin"), () => hex(random(24)));
    const tokenIn = (path: string | undefined) => path && openSecret(path, () => hex(random(24)));
    const nodeToken = await tokenIn(options.nodeTokenPath);
    const verifierToken = await tokenIn(options.verifierTokenPath);
    const lotOpenings = await openLotOpenings({
      ...{ clock, random, report, folder: folder.file("node-openings"), limitBytes: options.openingBytes },
      sealingKey: deriveKey(sealingKey, "openings of the node"),
      fates: () => fatesOf(ledger.fold),
    });
    closers.push(lotOpenings.close);
    ledger.log.follow(sweeping(ledger.fold, lotOpenings));
    const segmenting = openSegmenting({
      ...{ data: folder.path, folder: folder.file("usage", "segments"), clock, report },
      ...{ log: ledger.log, rows: ledger.projection.rows },
    });
    closers.push(segmenting.close);
    const reads = readsOf(ledger.log);
    const operations = openOperations(options, ledger.log);
    closers.push(operations.close);
    measureUpstreams(operations.metrics, relay.view);
    measureOpenings(operations.metrics, () => lotOpenings.held);
    const { requests } = operations;
    const services = {
      operations,
      database,
      networkLog,
      begun,
      options,
      folder,
      keys,
      verifier,
      ledger,
      reads,
      hub,
      engine,
      signing,
      accounts,
      apps,
      idempotency,
      openings,
      lotOpenings,
      settling,
      contents,
      proofs,
      segmenting,
      adminToken,
      nodeToken,
      isReady: () => !closing && !requests.isDraining && ledger.log.canWrite,
    };
    const origin = noteSigner.key.name;
    const logVkey = encodeNoteKey(noteSigner.key);
    const routes = composeRoutes(services, origin);
    closers.push(routes.serving.close);
    const archive = openDatabase(folder.file("verification.sqlite"));
    closers.push(() => closeDatabase(archive));
    const verifying = await openVerifying({
      ...{ database: archive, ledger, gateway: keys.gateway, keys: verifyingKeys, limits: options.verifying },
      ...{ chainPath: folder.file("verifier", "chain"), artifacts: folder.file("artifacts"), files: hub.files },
      ...{ serving: routes.serving, sealingKey, verifierToken, authenticate: routes.authenticate },
      ...{ own: { id: keyId(keys.node.spki), access: routes.openingAccess }, clock, random, report, proofs },
    });
    closers.push(verifying.close);
    routes.app.route("/", verifying.routes);
    const application = (url: string) => withPages(routes, services, { url, origin, logVkey });
    const { flush, writeEpoch } = begun;
    return {
      application,
      requests,
      reads,
      clock,
      data: folder.path,
      origin,
      logVkey,
      apiKey,
      flush,
      writeEpoch,
      verified: verifying.idle,
      segmented: segmenting.idle,
      close,
    };
  });
}

/** The log's key has changed, and with it what everything was opened with. */
async function reopen(options: NetworkOptions, close: () => Promise<void>): Promise<Network> {
  await close();
  return openNetwork({ ...options, rotateLogKey: false });
}
