/** The composition root: folder → keys → log and fold → services → one application. */
import { createHash, timingSafeEqual } from "node:crypto";
import { rm } from "node:fs/promises";
import { base64, encodeNote, encodeNoteKey, hex, keyId } from "@tallystick/protocol";
import { Hono } from "hono";
import { backupRoutes, SNAPSHOTS } from "./backup/routes.ts";
import { type OpenEngine, openEngine } from "./engine.ts";
import { enrol, firstApiKey, importModels, type Keys, openKeys, openSealingKey, publisherOf } from "./founding.ts";
import { type Accounts, createAccounts } from "./gateway/accounts.ts";
import { type Apps, createApps } from "./gateway/apps-store.ts";
import { contentRoutes } from "./gateway/content-routes.ts";
import { type Contents, createContents } from "./gateway/contents.ts";
import { createContentsStore } from "./gateway/contents-store.ts";
import { createEntrance } from "./gateway/entrance.ts";
import { createIdempotency, type Idempotency } from "./gateway/idempotency.ts";
import { createIdempotencyStore } from "./gateway/idempotency-store.ts";
import { keyRoutes } from "./gateway/key-routes.ts";
import { createLimits } from "./gateway/limits.ts";
import { openAiRoutes } from "./gateway/openai-routes.ts";
import { createOpenings, type Openings } from "./gateway/openings.ts";
import { createReceipts } from "./gateway/receipts.ts";
import { gatewayRoutes } from "./gateway/routes.ts";
import { createGateway } from "./gateway/service.ts";
import { createSessions } from "./gateway/sessions.ts";
import { hubRoutes } from "./hub/routes.ts";
import { createHub, type Hub } from "./hub/service.ts";
import { type KeyPlaces, locateKeys } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import { logApi } from "./log/api.ts";
import { createReads, type LogReads } from "./log/reads.ts";
import { logRoutes, tileRoutes } from "./log/routes.ts";
import type { Log } from "./log/service.ts";
import { type Begun, type NetworkLog, openNetworkLog } from "./network-log.ts";
import { measureNodes, measureUpstreams, type Operations, openOperations, operationsRoutes } from "./operations.ts";
import { addPages, firstCall } from "./pages.ts";
import { type Clock, nowSeconds } from "./platform/clock.ts";
import { closeDatabase, type Database, openDatabase } from "./platform/database.ts";
import { type DataFolder, LOCKED_FILE, openDataFolder } from "./platform/folder.ts";
import type { Report } from "./platform/http.ts";
import { generateKey } from "./platform/keys.ts";
import type { RequestLog } from "./platform/logging.ts";
import type { Random } from "./platform/random.ts";
import type { RequestLimits, Requests } from "./platform/requests.ts";
import { openSecret } from "./platform/secrets.ts";
import { openSigning, type Signing } from "./platform/signing.ts";
import { readUpstreams } from "./relay/config.ts";
import { createRelay } from "./relay/relay.ts";
import { openServing } from "./serving.ts";
import { usageRoutes } from "./usage/routes.ts";

export const VERSION = "0.1.0";

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
  /** How long the content of a call with `store: true` is kept; 0 keeps none. */
  contentDays?: number;
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
  close(): Promise<void>;
};

/** Opens the network whose state is in `data`, or makes a new one there. Throws an OperatorError where it cannot. */
export async function openNetwork(options: NetworkOptions): Promise<Network> {
  const { clock, random, report, upstreamsPath } = options;
  const upstreams = upstreamsPath === undefined ? [] : await readUpstreams(upstreamsPath);
  const folder = await openDataFolder(options.data);
  const database = openDatabase(folder.file(LOCKED_FILE)); // Two that start at once must not both make keys.
  const closers: Closer[] = [() => closeDatabase(database)];
  let closing = false;
  const close = () => {
    closing = true;
    return closeAll(closers);
  };
  try {
    await rm(folder.file(SNAPSHOTS), { recursive: true, force: true }); // What a backup that was cut short has left.
    const keyFile = await locateKeys(options.keys ?? {}, folder.file("keys"));
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
    await enrol(ledger, keys);
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
    const apiKey = await firstApiKey(folder, accounts, nowSeconds(clock));
    const adminToken = await openSecret(keyFile("admin"), () => hex(random(24)));
    const { nodeTokenPath } = options;
    const nodeToken = nodeTokenPath && (await openSecret(nodeTokenPath, () => hex(random(24))));
    const reads = readsOf(ledger.log);
    const operations = openOperations(options, ledger.log);
    closers.push(operations.close);
    measureUpstreams(operations.metrics, relay.view);
    const { requests } = operations;
    const services = {
      operations,
      database,
      networkLog,
      begun,
      options,
      folder,
      keys,
      ledger,
      reads,
      hub,
      engine,
      signing,
      accounts,
      apps,
      idempotency,
      openings,
      contents,
      adminToken,
      nodeToken,
      isReady: () => !closing && !requests.isDraining && ledger.log.canWrite,
    };
    const origin = noteSigner.key.name;
    const logVkey = encodeNoteKey(noteSigner.key);
    const routes = composeRoutes(services, origin);
    closers.push(routes.close);
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
      close,
    };
  } catch (error) {
    await close().catch(() => {}); // What went wrong first is what the operator is told.
    throw error;
  }
}

/** The log's key has changed, and with it what everything was opened with. */
async function reopen(options: NetworkOptions, close: () => Promise<void>): Promise<Network> {
  await close();
  return openNetwork({ ...options, rotateLogKey: false });
}

type Closer = () => Promise<void> | void;

/** Runs what is to be closed, the newest first, each whatever became of the others. Throws the first failure. */
async function closeAll(closers: Closer[]): Promise<void> {
  const failures: unknown[] = [];
  for (const closer of closers.splice(0).reverse())
    await Promise.resolve()
      .then(closer)
      .catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

type Services = {
  operations: Operations;
  database: Database.Database;
  networkLog: NetworkLog;
  begun: Begun;
  options: NetworkOptions;
  folder: DataFolder;
  keys: Keys;
  ledger: Ledger;
  reads: LogReads;
  hub: Hub;
  engine: OpenEngine;
  signing: Signing;
  accounts: Accounts;
  apps: Apps;
  idempotency: Idempotency;
  openings: Openings;
  contents: Contents;
  adminToken: string;
  nodeToken: string | undefined;
  /** Whether calls can be taken. */
  isReady(): boolean;
};

type Routes = { app: Hono; latest: ReturnType<typeof createReceipts>["latest"]; close(): Promise<void> };

/** The longest that an answer in text may take; a stream that nobody reads any more ends before. */
const GENERATION_DEADLINE_MS = 600_000;
/** Answers to reads of the history that are kept, together: it is small, and seldom read. */
const HISTORY_KEPT_BYTES = 4 * 1024 * 1024;

/** Calls that are served at once, of all API keys together; one key leaves a quarter of them to others. */
const CALLS_AT_ONCE = 2_048;

function readsOf(log: Log, keptBytes?: number): LogReads {
  return createReads({
    published: () => log.published,
    findTile: (tile) => log.findTile(tile),
    ...(keptBytes === undefined ? {} : { keptBytes }),
  });
}

function composeRoutes(
  { options, folder, database, networkLog, begun, keys, ledger, reads, hub, engine, signing, ...gates }: Services,
  origin: string,
): Routes {
  const { clock, random, deadlineMs } = options;
  const { accounts, apps, idempotency, openings, adminToken, nodeToken, isReady, operations, contents } = gates;
  const { fold, log, publish } = ledger;
  const published = () => log.published;
  const readEntry = (index: number) => log.tree.readEntry(index);
  const receipts = createReceipts(fold, {
    head: () => log.head,
    witnessed: () => log.witnessed,
    readEntry,
    inclusionProof: (index, size) => log.tree.inclusionProof(index, size),
  });
  const sessions = createSessions({
    origin,
    signer: keys.gateway,
    newSigner: () => signing.signer(generateKey()),
    fold,
    clock,
    keepSession: accounts.keepSession,
    publish,
  });
  const isAdmin = (header: string | undefined) => sameSecret(header, `Bearer ${adminToken}`);
  const serving = openServing({
    ...{ ledger, engine, workerCount: options.workerCount, files: hub.files, clock, random, deadlineMs, isAdmin },
    signers: keys,
    generationDeadlineMs: GENERATION_DEADLINE_MS,
    isNode: (header) => nodeToken !== undefined && sameSecret(header, `Bearer ${nodeToken}`),
  });
  const { node, admission } = serving;
  const findModel = hub.get;
  const jsonFault = engine.engine.fault;
  const gateway = createGateway({ fold, clock, random, accounts, openings, sessions, receipts, node, jsonFault });
  const figures = () => ledger.projection.figures();
  const app = new Hono();
  app.use(operations.requests.middleware);
  measureNodes(operations.metrics, serving.nodes);
  app.route("/", logRoutes({ admission, published, reads }));
  const { witnesses, history } = networkLog;
  app.route(
    "/",
    logApi({
      log,
      fold,
      history: begun.checkpoints,
      signer: keys.log,
      policy: new TextDecoder().decode(witnesses.policyBytes),
      witnesses: witnesses.listed,
    }),
  );
  const historyReads = readsOf(history, HISTORY_KEPT_BYTES);
  app.route("/", tileRoutes({ published: () => history.published, reads: historyReads }, "/checkpoints"));
  app.route("/witnesses", witnesses.routes);
  app.route("/", usageRoutes({ figures, head: () => log.head }));
  app.route(
    "/",
    hubRoutes({
      hub,
      models: () => fold.models.values(),
      use: (revision) => figures().models.find((row) => row.revision === revision),
    }),
  );
  const { behindTlsProxy = false } = options;
  app.route("/", operationsRoutes({ metrics: operations.metrics, isAdmin, isReady, isBehindProxy: behindTlsProxy }));
  const snapshots = folder.file(SNAPSHOTS);
  app.route(
    "/",
    backupRoutes({ folder: snapshots, database, openings, log, history, flush: begun.flush, random, isAdmin }),
  );
  const now = () => nowSeconds(clock);
  const { authenticate } = gateway;
  const limits = createLimits({ clock, places: CALLS_AT_ONCE });
  const entrance = createEntrance({ authenticate, idempotency, limits, apps, nowSeconds: now });
  app.route("/", serving.routes);
  app.route("/", keyRoutes({ accounts, apps, authenticate, isAdmin, nowSeconds: now }));
  app.route(
    "/",
    gatewayRoutes({
      gateway,
      entrance,
      openings,
      sessions,
      receipts,
      version: VERSION,
      findModel,
      models: () => fold.models.values(),
      isReady,
      nowSeconds: now,
    }),
  );
  const nowMs = () => clock.nowMs();
  app.route("/", openAiRoutes({ gateway, entrance, contents, findModel, report: options.report, nowMs }));
  const destroyOpening = (id: string, payerTag: string) => {
    const index = receipts.findIndex(Buffer.from(id, "hex"));
    if (index !== undefined) openings.destroy({ id, index }, payerTag);
  };
  app.route("/", contentRoutes({ contents, callerOf: (c) => entrance.callerOf(c, "read"), destroyOpening }));
  return { app, latest: receipts.latest, close: serving.close };
}

type Place = { url: string; origin: string; logVkey: string };

/** All that is served, at the place where it is reached. */
function withPages(
  { app, latest }: Routes,
  { options, folder, keys, ledger, networkLog }: Services,
  place: Place,
): Hono {
  app.get("/v1/network", (c) => c.json({ ...place, gateway: base64(keyId(keys.gateway.spki)), version: VERSION }));
  const view = () => ({
    ...place,
    figures: ledger.projection.figures(),
    checkpoint: encodeNote(ledger.log.head.note),
    witnesses: networkLog.witnesses.listed,
    witnessedSize: ledger.log.witnessed?.size,
    firstCall: firstCall(place.url, `$(cat ${folder.file("keys", "api-key")})`),
    latest: latest(20),
  });
  return addPages(app, view, options.report);
}

function sameSecret(given: string | undefined, secret: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return given !== undefined && timingSafeEqual(digest(given), digest(secret));
}
