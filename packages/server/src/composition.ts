import {
  base64,
  encodeNote,
  type FoldState,
  hex,
  keyId,
  keyOf,
  parseHex,
  type Signer,
  timeOf,
} from "@tallystick/protocol";
import { Hono } from "hono";
import { ANALYTICS_OPERATIONS } from "./analytics/openapi.ts";
import { analyticsRoutes } from "./analytics/routes.ts";
import { createEvidenceArchive } from "./attestation/archive-store.ts";
import { openAttesting } from "./attesting.ts";
import { backupRoutes, SNAPSHOTS } from "./backup/routes.ts";
import type { OpenEngine } from "./engine.ts";
import type { Keys } from "./founding.ts";
import type { Accounts } from "./gateway/accounts.ts";
import type { Apps } from "./gateway/apps-store.ts";
import { contentRoutes } from "./gateway/content-routes.ts";
import type { Contents } from "./gateway/contents.ts";
import { createEntrance } from "./gateway/entrance.ts";
import type { Idempotency } from "./gateway/idempotency.ts";
import { keyRoutes } from "./gateway/key-routes.ts";
import { createLimits } from "./gateway/limits.ts";
import { lotOpeningRoutes } from "./gateway/lot-opening-routes.ts";
import { openAiRoutes } from "./gateway/openai-routes.ts";
import type { Openings } from "./gateway/openings.ts";
import { createReceipts } from "./gateway/receipts.ts";
import { gatewayRoutes } from "./gateway/routes.ts";
import { createGateway, type Gateway } from "./gateway/service.ts";
import { createSessions } from "./gateway/sessions.ts";
import { hubRoutes } from "./hub/routes.ts";
import type { Hub } from "./hub/service.ts";
import type { Ledger } from "./ledger.ts";
import { logApi } from "./log/api.ts";
import { createReads, type LogReads } from "./log/reads.ts";
import { logRoutes, tileRoutes } from "./log/routes.ts";
import type { Log } from "./log/service.ts";
import type { NetworkOptions } from "./network.ts";

import type { Begun, NetworkLog } from "./network-log.ts";
import type { LotOpenings } from "./node/lot-openings.ts";
import { createOpeningAccess, type OpeningAccess, openingHandler } from "./node/opening-access.ts";
import { openApiDocument } from "./openapi/document.ts";
import { OPERATIONS } from "./openapi/operations.ts";
import { measureNodes, type Operations, operationsRoutes } from "./operations.ts";
import { addPages, firstCall } from "./pages.ts";
import { nowSeconds } from "./platform/clock.ts";
import { cors } from "./platform/cors.ts";
import type { Database } from "./platform/database.ts";
import type { DataFolder } from "./platform/folder.ts";
import { generateKey } from "./platform/keys.ts";
import { sameSecret } from "./platform/secrets.ts";
import type { Signing } from "./platform/signing.ts";
import type { Proofs } from "./proofs.ts";
import type { Segmenting } from "./segmenting.ts";
import { openServing, type Serving } from "./serving.ts";
import type { Settling } from "./settling.ts";
import { createDocuments } from "./usage/documents.ts";
import { TEXT_FORMATS } from "./usage/formats.ts";
import { USAGE_OPERATIONS } from "./usage/openapi.ts";
import { readDay } from "./usage/parameters.ts";
import { parquetFormat } from "./usage/parquet.ts";
import { createPublished, type Published } from "./usage/published.ts";
import { createRecomputations } from "./usage/recomputations.ts";
import { usageRoutes } from "./usage/routes.ts";
import { usageView } from "./usage/view.ts";

/** The release that this is. */
export const VERSION = "0.1.0";

/** All that routes are made of. */
export type Services = {
  operations: Operations;
  database: Database.Database;
  networkLog: NetworkLog;
  begun: Begun;
  options: NetworkOptions;
  folder: DataFolder;
  keys: Keys;
  /** The key of the network's own verifier. */
  verifier: Signer;
  ledger: Ledger;
  reads: LogReads;
  hub: Hub;
  engine: OpenEngine;
  signing: Signing;
  accounts: Accounts;
  apps: Apps;
  idempotency: Idempotency;
  openings: Openings;
  lotOpenings: LotOpenings;
  settling: Settling;
  contents: Contents;
  proofs: Proofs | undefined;
  segmenting: Segmenting;
  adminToken: string;
  nodeToken: string | undefined;
  /** Whether calls can be taken. */
  isReady(): boolean;
};

export type Routes = {
  app: Hono;
  latest: ReturnType<typeof createReceipts>["latest"];
  shown: () => Published;
  documents: ReturnType<typeof createDocuments>;
  serving: Serving;
  /** Who may open what the node in this process keeps. */
  openingAccess: OpeningAccess;
  authenticate: Gateway["authenticate"];
};

/** The longest that an answer in text may take; a stream that nobody reads any more ends before. */
const GENERATION_DEADLINE_MS = 600_000;
/** Answers to reads of the history that are kept, together: it is small, and seldom read. */
const HISTORY_KEPT_BYTES = 4 * 1024 * 1024;

/** Calls that are served at once, of all API keys together; one key leaves a quarter of them to others. */
const CALLS_AT_ONCE = 2_048;

/** Reads of a log's public files. */
export function readsOf(log: Log, keptBytes?: number): LogReads {
  return createReads({
    published: () => log.published,
    findTile: (tile) => log.findTile(tile),
    ...(keptBytes === undefined ? {} : { keptBytes }),
  });
}

/** Joins the services, and what each serves over HTTP. */
export function composeRoutes(
  {
    options,
    folder,
    database,
    networkLog,
    begun,
    keys,
    verifier,
    ledger,
    reads,
    hub,
    engine,
    signing,
    ...gates
  }: Services,
  origin: string,
): Routes {
  const { clock, random, deadlineMs } = options;
  const { accounts, apps, idempotency, lotOpenings, settling, adminToken, nodeToken, isReady, operations, contents } =
    gates;
  const { fold, log, publish } = ledger;
  const openings = erasingProofs(gates, fold);
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
  const isNode = (header: string | undefined) => nodeToken !== undefined && sameSecret(header, `Bearer ${nodeToken}`);
  const attestations = createEvidenceArchive(database);
  const serving = openServing({
    ...{ ledger, engine, workerCount: options.workerCount, files: hub.files, clock, random, deadlineMs, isAdmin },
    resolveTexts: options.resolveTexts,
    signers: keys,
    generationDeadlineMs: GENERATION_DEADLINE_MS,
    keepOpening: lotOpenings.keep,
    findTlsKey: (id) => attestations.findTlsKey(id, nowSeconds(clock)),
    proofs: gates.proofs?.answers,
    isNode,
  });
  const { node, admission } = serving;
  const findModel = hub.get;
  const jsonFault = engine.engine.fault;
  const gateway = createGateway({
    fold,
    gatewayKey: keyId(keys.gateway.spki),
    clock,
    random,
    accounts,
    openings,
    sessions,
    receipts,
    node,
    credits: settling.credits,
    jsonFault,
  });
  const shown = createPublished({
    fold,
    figures: () => ledger.projection.figures(),
    head: () => log.head,
    nowMs: () => clock.nowMs(),
  });
  const figures = () => shown().figures;
  const { behindTlsProxy: isBehindProxy = false } = options;
  const app = new Hono();
  app.use(operations.requests.middleware);
  measureNodes(operations.metrics, serving.nodes);
  app.use(cors);
  app.route("/", logRoutes({ admission, isAdmin, isBehindProxy, published, reads }));
  const signers = { ...keys, verifier };
  const { simulatedRoot } = options;
  app.route(
    "/",
    openAttesting({ archive: attestations, fold, clock, random, signers, simulatedRoot, isNode, isAdmin, publish }),
  );
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
  const documents = createDocuments({
    fold,
    closed: ledger.documents,
    head: () => log.head,
    nowMs: () => clock.nowMs(),
  });
  const formats = [...TEXT_FORMATS, parquetFormat(gates.segmenting.parquet)];
  app.route("/", usageRoutes({ fold, published: shown, documents, formats }));
  const { openQuery = false } = options;
  app.route("/", analyticsRoutes({ ...gates.segmenting, isOpen: openQuery, isAdmin, readDay }));
  app.route(
    "/",
    hubRoutes({
      hub,
      models: () => fold.models.values(),
      use: (revision) => figures().models.find((row) => row.revision === revision),
      timeOf: (index) => timeOf(fold, index),
    }),
  );
  app.route("/", operationsRoutes({ metrics: operations.metrics, isAdmin, isReady, isBehindProxy }));
  const snapshots = folder.file(SNAPSHOTS);
  app.route(
    "/",
    backupRoutes({ folder: snapshots, database, openings, log, history, flush: begun.flush, random, isAdmin }),
  );
  const now = () => nowSeconds(clock);
  const { authenticate } = gateway;
  const limits = createLimits({ clock, places: CALLS_AT_ONCE });
  const entrance = createEntrance({ authenticate, idempotency, limits, apps, nowSeconds: now });
  app.route("/", keyRoutes({ accounts, apps, authenticate, isAdmin, nowSeconds: now }));
  app.route("/", settling.routes({ accounts, authenticate, figures, findModel, isAdmin }));
  app.route(
    "/",
    gatewayRoutes({
      gateway,
      entrance,
      openings,
      sessions,
      receipts,
      balanceOf: settling.balanceOf,
      version: VERSION,
      findModel,
      models: () => fold.models.values(),
      isReady,
      nowSeconds: now,
    }),
  );
  const nowMs = () => clock.nowMs();
  app.route("/", openAiRoutes({ gateway, entrance, contents, findModel, report: options.report, nowMs }));
  const openingAccess = createOpeningAccess({ fold, openings: lotOpenings, readOn: async () => {} });
  const nodeId = keyId(keys.node.spki);
  app.route(
    "/",
    lotOpeningRoutes({
      own: { id: hex(nodeId), answer: openingHandler({ access: openingAccess, id: nodeId, fold, clock }) },
      findNode: (id) => serving.findNode(id)?.remote,
      isEnrolled: (id) => fold.keys.get(keyOf(parseHex(id) ?? new Uint8Array(0)))?.role === "node",
    }),
  );
  const destroyOpening = (id: string, payerTag: string) => {
    const index = receipts.findIndex(Buffer.from(id, "hex"));
    if (index !== undefined) openings.destroy({ id, index }, payerTag);
  };
  app.route("/", contentRoutes({ contents, callerOf: (c) => entrance.callerOf(c, "read"), destroyOpening }));
  return { app, latest: receipts.latest, shown, documents, serving, openingAccess, authenticate };
}

/** Who has an opening erased has the proof erased as well: it shows the answer. */
function erasingProofs({ openings, proofs }: Pick<Services, "openings" | "proofs">, fold: FoldState): Openings {
  return {
    ...openings,
    destroy(place, payerTag) {
      const id = Buffer.from(place.id, "hex");
      const isOwn = fold.receipts.get(keyOf(id))?.payer === keyOf(Buffer.from(payerTag, "hex"));
      const isProofErased = isOwn && proofs?.destroy(id) === true;
      return openings.destroy(place, payerTag) || isProofErased;
    },
  };
}

export type Place = { url: string; origin: string; logVkey: string };

/** All that is served, at the place where it is reached. */
export function withPages(
  { app, latest, shown, documents, serving }: Routes,
  { options, folder, keys, ledger, networkLog }: Services,
  place: Place,
): Hono {
  app.route("/", serving.routes(place.url));
  app.get("/v1/network", (c) => c.json({ ...place, gateway: base64(keyId(keys.gateway.spki)), version: VERSION }));
  const api = openApiDocument(VERSION, { Usage: USAGE_OPERATIONS, Analytics: ANALYTICS_OPERATIONS, ...OPERATIONS });
  app.get("/openapi.json", (c) => c.json(api));
  const log = () => {
    const { figures, head } = shown();
    const { listed: witnesses } = networkLog.witnesses;
    return {
      ...place,
      ...{ figures, checkpoint: encodeNote(head.note), witnesses, witnessedSize: ledger.log.witnessed?.size },
    };
  };
  const call = firstCall(place.url, `$(cat ${folder.file("keys", "api-key")})`);
  const home = () => ({ ...log(), firstCall: call, latest: latest(20) });
  const recomputations = createRecomputations(ledger.fold);
  const usage = () => ({ ...log(), ...usageView(ledger.fold, documents(), recomputations) });
  return addPages(app, { log, home, usage }, options.report);
}
