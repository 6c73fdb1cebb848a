/**
 * The baseline: the gateway itself, with its routes, accounts and manifests. It takes the same body, holds it to the model
 * and answers in the same form; what is missing is what is measured, inference and receipt.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import { createFold, encodeAnswer, floatTensor, type PublishedModel, revisionOf } from "@tallystick/protocol";
import { createAccounts } from "../packages/server/src/gateway/accounts.ts";
import { createApps } from "../packages/server/src/gateway/apps-store.ts";
import { createEntrance } from "../packages/server/src/gateway/entrance.ts";
import { createIdempotency } from "../packages/server/src/gateway/idempotency.ts";
import { createIdempotencyStore } from "../packages/server/src/gateway/idempotency-store.ts";
import { createLimits } from "../packages/server/src/gateway/limits.ts";
import { createOpenings } from "../packages/server/src/gateway/openings.ts";
import { createReceipts } from "../packages/server/src/gateway/receipts.ts";
import { gatewayRoutes } from "../packages/server/src/gateway/routes.ts";
import { createGateway, type Served } from "../packages/server/src/gateway/service.ts";
import { createSessions } from "../packages/server/src/gateway/sessions.ts";
import { readModelSource } from "../packages/server/src/hub/source.ts";
import { nowSeconds, systemClock } from "../packages/server/src/platform/clock.ts";
import { closeDatabase, openDatabase } from "../packages/server/src/platform/database.ts";
import { createSigner, generateKey } from "../packages/server/src/platform/keys.ts";
import { createSystemRandom } from "../packages/server/src/platform/random.ts";

const folder = await mkdtemp(join(tmpdir(), "tallystick-bench-"));
const random = createSystemRandom();
const fold = createFold();
const database = openDatabase(join(folder, "gateway.sqlite"));
const accounts = createAccounts(database, random);
const openings = createOpenings({ database, sealingKey: random(32), random, report: () => {} });
const left = () => Promise.reject(new Error("this is left out here"));
const sessions = createSessions({
  origin: "bench.example/log",
  signer: createSigner(generateKey()),
  newSigner: () => createSigner(generateKey()),
  fold,
  clock: systemClock,
  keepSession: accounts.keepSession,
  publish: left,
});
const receipts = createReceipts(fold, {
  witnessed: () => undefined,
  head: () => ({ size: 0, note: { text: "", signatures: [] } }),
  readEntry: left,
  inclusionProof: left,
});

const { manifest, manifestBytes, price } = await readModelSource(join(import.meta.dirname, "../models/breast-cancer"));
const model: PublishedModel = {
  revision: revisionOf(manifestBytes),
  manifest,
  ...price,
  publisher: "",
  index: 0,
  yanked: false,
};
const outputs = manifest.outputs.map(({ name }) => floatTensor(name, [1], [0.5]));
const served: Served = {
  ok: true,
  id: random(32),
  index: 0,
  receipt: random(586),
  outputs,
  answer: encodeAnswer(outputs),
  salt: random(32),
  disclosure: {},
};
const findModel = () => model;
const gateway = createGateway({
  fold,
  gatewayKey: new Uint8Array(32),
  clock: systemClock,
  random,
  accounts,
  openings,
  sessions,
  receipts,
  node: { serve: left, stream: left },
  credits: { hold: () => ({ settle() {}, release() {}, abandon() {} }) }, // Its model is free.
  jsonFault: () => undefined,
});

const now = () => nowSeconds(systemClock);
const app = gatewayRoutes({
  gateway: { ...gateway, inferFor: async () => ({ ...served, requestSalt: random(32) }) },
  entrance: createEntrance({
    authenticate: gateway.authenticate,
    idempotency: createIdempotency({
      store: createIdempotencyStore(database),
      clock: systemClock,
      random,
      secret: random(32),
    }),
    limits: createLimits({ clock: systemClock, places: 2_048 }),
    apps: createApps(database, () => {}),
    nowSeconds: now,
  }),
  openings,
  sessions,
  receipts,
  version: "bench",
  findModel,
  models: () => [model],
  isReady: () => true,
  balanceOf: () => 0n,
  nowSeconds: now,
});
const server = createAdaptorServer({ fetch: app.fetch });
const { apiKey } = accounts.create("bench", now());
server.listen(0, "127.0.0.1", () => process.send?.({ ...Object(server.address()), apiKey }));
process.on("SIGTERM", async () => {
  server.close();
  closeDatabase(database);
  await rm(folder, { recursive: true });
});
