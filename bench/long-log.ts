/** A log of very many receipts over some days: many payers, models and epochs, signed on every core, written as tiles at once. */
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Worker } from "node:worker_threads";
import {
  applyEntry,
  checkpointText,
  createFold,
  daysWithoutSnapshot,
  encodeBundle,
  encodeManifest,
  encodeNote,
  leafHash,
  type NoteKey,
  parseBundle,
  parseEntry,
  revisionOf,
  signEntry,
  TILE_WIDTH,
  type Tile,
  tilePath,
  tileWidth,
  utf8,
} from "@tallystick/protocol";
import { Tiles } from "../packages/client/src/audit/tiles.ts";
import { createSigner, generateKey } from "../packages/server/src/platform/keys.ts";
import { fixedNoteSigner } from "../test/fixed-keys.ts";
import { manifestNamed } from "./bench-log.ts";

const ORIGIN = "bench.example/log";
const SESSIONS_PER_WORKER = 500;
const MODELS = 20;
/** Receipts between two epochs, and how long that is by the log's clock: a million make five days. */
const EPOCH_RECEIPTS = 1_000;
const EPOCH_SECONDS = 432;
const START_SECONDS = 1_793_491_200; // 2026-11-01T00:00:00Z

/** Appends entries to tiles in a folder, without a queue or a sync: what is measured is who reads them. */
class LogFolder {
  readonly tiles = new Tiles();
  readonly fold = createFold();
  size = 0;
  #bundle: Uint8Array[] = [];
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async append(entry: Uint8Array): Promise<void> {
    this.tiles.push(leafHash(entry));
    applyEntry(this.fold, parseEntry(entry));
    this.#bundle.push(entry);
    this.size++;
    if (this.#bundle.length === TILE_WIDTH) await this.#writeBundle();
  }

  async #writeBundle(): Promise<void> {
    const width = this.#bundle.length;
    const index = Math.floor((this.size - 1) / TILE_WIDTH);
    await this.write(tilePath({ level: "entries", index, width }), encodeBundle(this.#bundle));
    this.#bundle = [];
  }

  async write(path: string, bytes: Uint8Array | string): Promise<void> {
    await mkdir(dirname(join(this.#folder, path)), { recursive: true });
    await writeFile(join(this.#folder, path), bytes);
  }

  async finish(checkpoint: string): Promise<void> {
    if (this.#bundle.length > 0) await this.#writeBundle();
    for (let level = 0; tileWidth(level, 0, this.size) > 0; level++)
      for (let index = 0; tileWidth(level, index, this.size) > 0; index++) {
        const tile: Tile = { level, index, width: tileWidth(level, index, this.size) };
        await this.write(tilePath(tile), this.tiles.tile(tile));
      }
    await this.write("checkpoint", checkpoint);
  }
}

/** Writes a log of `receiptCount` receipts into `folder`. */
export async function writeLongLog(folder: string, receiptCount: number, workerCount: number): Promise<NoteKey> {
  const log = new LogFolder(folder);
  const note = fixedNoteSigner(ORIGIN);
  const newKeys = (count: number) => Array.from({ length: count }, generateKey);
  const [logKey, gateway, publisher] = [generateKey(), generateKey(), generateKey()];
  const nodes = newKeys(workerCount);
  const roles = { log: [logKey], gateway: [gateway], publisher: [publisher], node: nodes } as const;
  for (const [role, keys] of Object.entries(roles) as ["log", typeof nodes][])
    for (const key of keys) {
      const signer = createSigner(key);
      const says = { version: 1, action: "enrol", role, spki: signer.spki, name: role } as const;
      await log.append((await signEntry(signer, "key", says)).signed.bytes);
    }
  const revisions: Uint8Array[] = [];
  for (let i = 0; i < MODELS; i++) {
    const manifest = encodeManifest(manifestNamed(`bench/model-${i}`));
    const revision = revisionOf(manifest);
    const says = { version: 1, action: "publish", revision, manifest } as const;
    await log.append((await signEntry(createSigner(publisher), "model", says)).signed.bytes);
    revisions.push(revision);
  }
  const checkpointAt = (timeSeconds: number) => {
    const text = checkpointText({ origin: ORIGIN, size: log.size, root: log.tiles.rootAt(log.size) });
    return encodeNote({ text, signatures: [note.sign(text), note.cosign(text, timeSeconds)] });
  };
  const workers = nodes.map((node) => {
    const counts = { sessionCount: SESSIONS_PER_WORKER, receiptCount: receiptCount / workerCount };
    const terms = { origin: ORIGIN, gateway, node, revisions, expiry: 0xffff_ffff, batchLength: EPOCH_RECEIPTS / 2 };
    return new Worker(new URL("./sign-calls.mjs", import.meta.url), {
      workerData: { ...terms, ...counts },
      execArgv: [],
    });
  });
  let [timeSeconds, sinceEpoch] = [START_SECONDS, 0];
  const open = new Set(workers);
  for (const worker of workers) worker.once("exit", () => open.delete(worker));
  while (open.size > 0)
    for (const worker of open) {
      const batch = await askFor(worker);
      if (batch === undefined) continue;
      const entries = parseBundle(batch.bundle, batch.count);
      for (const entry of entries) await log.append(entry);
      sinceEpoch += entries.length;
      if (sinceEpoch < EPOCH_RECEIPTS) continue;
      timeSeconds += EPOCH_SECONDS;
      const checkpoint = utf8(checkpointAt(timeSeconds));
      await log.append((await signEntry(createSigner(logKey), "epoch", { version: 1, checkpoint })).signed.bytes);
      for (const due of daysWithoutSnapshot(log.fold))
        await log.append((await signEntry(createSigner(logKey), "snapshot", { version: 1, ...due })).signed.bytes);
      sinceEpoch = 0;
    }
  await log.finish(checkpointAt(timeSeconds + EPOCH_SECONDS));
  return note.key;
}

type Batch = { bundle: Uint8Array; count: number };

/** The next batch of a worker; undefined where it has none left. */
async function askFor(worker: Worker): Promise<Batch | undefined> {
  const done = new AbortController();
  const { signal } = done;
  worker.postMessage("more");
  try {
    return await Promise.race([
      once(worker, "message", { signal }).then(([batch]: Batch[]) => batch),
      once(worker, "exit", { signal }).then(() => undefined),
    ]);
  } finally {
    done.abort();
  }
}
