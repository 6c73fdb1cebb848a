/** What a receipt adds to a call, by itself: both halves signed, commitments, the log synced and folded, the opening kept. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { floatTensor, keyId, keyOf } from "@tallystick/protocol";
import { createAccounts } from "../packages/server/src/gateway/accounts.ts";
import { createOpenings } from "../packages/server/src/gateway/openings.ts";
import { createReceipts } from "../packages/server/src/gateway/receipts.ts";
import { createGateway } from "../packages/server/src/gateway/service.ts";
import { createSessions } from "../packages/server/src/gateway/sessions.ts";
import { openLedger } from "../packages/server/src/ledger.ts";
import { Log } from "../packages/server/src/log/service.ts";
import { NO_WITNESSES } from "../packages/server/src/log/witnesses.ts";
import { NO_GENERATOR } from "../packages/server/src/node/generation.ts";
import { createNode, type Engine } from "../packages/server/src/node/service.ts";
import { systemClock } from "../packages/server/src/platform/clock.ts";
import { closeDatabase, openDatabase } from "../packages/server/src/platform/database.ts";
import { systemDisk } from "../packages/server/src/platform/disk.ts";
import { generateKey, openNoteSigner } from "../packages/server/src/platform/keys.ts";
import { createSystemRandom } from "../packages/server/src/platform/random.ts";
import { openSigning } from "../packages/server/src/platform/signing.ts";
import { BENCH_PROFILE, foundNetwork } from "./bench-log.ts";
import { median, type Row } from "./ratio.ts";

const ROUNDS = 5;
const CALLS = 4_000;
const AT_ONCE = 64;
const INPUT = floatTensor("x", [1, 1], [0.5]);

/** Answers at once: what is measured is all but the model. */
const ENGINE: Engine = {
  ...NO_GENERATOR,
  prepare: async () => {},
  run: async () => ({ kind: "answered", outputs: [INPUT], unitCount: 1 }),
  profile: () => BENCH_PROFILE,
};

export async function benchReceipt(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "tallystick-bench-"));
  const random = createSystemRandom();
  const clock = systemClock;
  const signer = await openNoteSigner(join(folder, "checkpoint.pem"), () => "bench.example/log");
  const options = {
    folder: join(folder, "log"),
    signer,
    clock,
    disk: systemDisk,
    formerKeys: [],
    witnessing: NO_WITNESSES,
    restored: false,
    integrateIntervalMs: 200,
    publishIntervalMs: 1_000,
    queueLength: 4_096,
    report: () => {},
  };
  await Log.create(options);
  const ledger = await openLedger(options, join(folder, "projections"));
  const { fold, publish } = ledger;
  const signing = openSigning(() => {});
  const newSigner = () => signing.signer(generateKey());
  const { keys, revision } = await foundNetwork(publish, newSigner);
  const database = openDatabase(join(folder, "gateway.sqlite"));
  const accounts = createAccounts(database, random);
  const openings = createOpenings({ database, sealingKey: random(32), random, report: () => {} });
  const sessions = createSessions({
    origin: signer.key.name,
    signer: keys.gateway,
    newSigner,
    fold,
    clock,
    keepSession: accounts.keepSession,
    publish,
  });
  const receipts = createReceipts(fold, {
    head: () => ledger.log.head,
    witnessed: () => ledger.log.witnessed,
    readEntry: (index) => ledger.log.tree.readEntry(index),
    inclusionProof: (index, size) => ledger.log.tree.inclusionProof(index, size),
  });
  const files = async () => new Map<string, Uint8Array>();
  const node = createNode({
    signer: keys.node,
    engine: ENGINE,
    fold,
    clock,
    random,
    deadlineMs: 30_000,
    generationDeadlineMs: 30_000,
    files,
    checkRoom: () => ledger.log.checkRoom(),
    append: ledger.appendAdmitted,
  });
  const model = fold.models.get(keyOf(revision))!;
  const gateway = createGateway({
    fold,
    gatewayKey: keyId(keys.gateway.spki),
    clock,
    random,
    accounts,
    openings,
    sessions,
    receipts,
    credits: { hold: () => ({ settle() {}, release() {}, abandon() {} }) }, // Its model is free.
    node,
    jsonFault: () => undefined,
  });
  const caller = accounts.find(accounts.create("bench", 0).apiKey, 0)!;
  const call = { inputs: [INPUT], outputs: [], maxPrice: 0n, traffic: "production" as const, open: "lot" as const };

  async function round(): Promise<number> {
    const before = process.cpuUsage();
    for (let done = 0; done < CALLS; done += AT_ONCE)
      await Promise.all(Array.from({ length: AT_ONCE }, () => gateway.inferFor(caller, model, call)));
    await ledger.log.flush();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000 / CALLS;
  }

  try {
    await round(); // Warm.
    const rounds: number[] = [];
    for (let i = 0; i < ROUNDS; i++) rounds.push(await round());
    return [{ name: "a receipt adds, CPU a call", value: median(rounds), unit: "ms", bound: { atMost: 0.5 } }];
  } finally {
    openings.flush();
    await signing.close();
    await ledger.close();
    closeDatabase(database);
    await rm(folder, { recursive: true });
  }
}
