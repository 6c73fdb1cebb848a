/**
 * Openings that a node keeps for the lot: the call and the answer of each receipt that may be drawn, sealed on its own disk
 * until it is known that nobody will ask, or whoever was to ask has. Written together, away from the calls: a crash may cost
 * the last moment's.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { FoldState, LotOpening } from "@tallystick/protocol";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { makeFolder } from "../platform/files.ts";
import type { Report } from "../platform/http.ts";
import type { Random } from "../platform/random.ts";

/** Whether an opening may still be asked for: nobody knows yet; a verifier is to ask; or nobody will. */
export type Fate = "undecided" | "drawn" | "done";

export type LotOpeningsParts = {
  folder: string;
  /** 32 bytes, kept elsewhere: the folder alone opens nothing. */
  sealingKey: Uint8Array;
  clock: Clock;
  random: Random;
  report: Report;
  /** The most that is kept; past that the oldest go first. With 0 nothing is kept at all. */
  limitBytes?: number | undefined;
  /** What is known by now: asked for once for many openings. */
  fates(): (receiptId: Uint8Array) => Fate;
};

export type LotOpenings = {
  keep(receiptId: Uint8Array, opening: LotOpening): void;
  find(receiptId: Uint8Array): Promise<LotOpening | undefined>;
  /** Destroys what nobody will ask for any more: to be called as the log goes on. */
  sweep(): Promise<void>;
  /** How much is kept, and how many went before anybody could know that they were not needed. */
  readonly held: { count: number; sizeBytes: number; evictedCount: number };
  /** Writes what is not written yet. */
  close(): Promise<void>;
};

/** What nobody has asked for by then is destroyed. */
export const OPENING_WINDOW_SECONDS = 86_400;
/** What a node keeps where its operator says nothing else. */
export const OPENING_BYTES: number = 1024 * 1024 * 1024;
const FLUSH_MS = 50;
/** The plain bytes of one file; an opening that is larger has a file of its own. */
const FILE_SIZE_BYTES = 1024 * 1024;
/** Openings that wait for a disk which does not take them. */
const WAITING_SIZE_BYTES = 64 * 1024 * 1024;

type Waiting = { id: string; opening: LotOpening; sizeBytes: number; keptSeconds: number };
type Batch = { name: string; ids: readonly string[]; sizeBytes: number; keptSeconds: number };

export async function openLotOpenings(parts: LotOpeningsParts): Promise<LotOpenings> {
  const { folder, clock, report, limitBytes = OPENING_BYTES } = parts;
  await makeFolder(folder);
  /** Files by name, the oldest first, and which file an opening is in. */
  const batches = new Map<string, Batch>();
  const places = new Map<string, string>();
  let waiting = new Map<string, Waiting>();
  /** What is being written is served from here until it is. */
  let leaving = new Map<string, Waiting>();
  const sums = { waitingBytes: 0, sizeBytes: 0, evictedCount: 0 };
  let nextNumber = 0;
  let timer: NodeJS.Timeout | undefined;
  /** Files change one after the other. */
  let work: Promise<void> = Promise.resolve();

  for (const name of (await readdir(folder)).filter((one) => /^[0-9]{12}$/.test(one)).sort()) {
    nextNumber = Number(name) + 1;
    const batch = await readHead(folder, name);
    if (batch === undefined)
      await rm(join(folder, name)); // A write that was cut short.
    else add(batch);
  }

  function add(batch: Batch): void {
    batches.set(batch.name, batch);
    for (const id of batch.ids) places.set(id, batch.name);
    sums.sizeBytes += batch.sizeBytes;
  }

  function inTurn(task: () => Promise<void>): Promise<void> {
    work = work.then(task).catch((error: unknown) => {
      report("openings for the lot are not kept as they should be", { error: String(error) });
    });
    return work;
  }

  async function write(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    leaving = waiting;
    waiting = new Map();
    sums.waitingBytes = 0;
    try {
      for (const openings of filesOf(leaving.values())) await writeBatch(openings);
    } finally {
      for (const { id, opening, keptSeconds } of leaving.values()) put(id, opening, keptSeconds); // What the disk did not take waits for the next time.
    }
    await evict();
  }

  async function writeBatch(openings: readonly Waiting[]): Promise<void> {
    const name = String(nextNumber++).padStart(12, "0");
    const sealed = seal(parts, openings);
    await writeFile(join(folder, name), sealed, { mode: 0o600, flag: "wx" });
    const keptSeconds = Math.min(...openings.map((one) => one.keptSeconds));
    add({ name, ids: openings.map(({ id }) => id), sizeBytes: sealed.length, keptSeconds });
    for (const { id } of openings) leaving.delete(id);
  }

  async function evict(): Promise<void> {
    if (sums.sizeBytes <= limitBytes) return;
    const fateOf = parts.fates();
    for (const batch of batches.values()) {
      if (sums.sizeBytes <= limitBytes) return;
      sums.evictedCount += batch.ids.filter((id) => fateOf(bytesOf(id)) !== "done").length;
      await destroy(batch);
    }
  }

  /** Overwrites the file before it goes: what was sealed must not lie about under a key that stays. */
  async function destroy(batch: Batch): Promise<void> {
    const path = join(folder, batch.name);
    batches.delete(batch.name);
    sums.sizeBytes -= batch.sizeBytes;
    for (const id of batch.ids) if (places.get(id) === batch.name) places.delete(id);
    const handle = await open(path, "r+");
    try {
      await handle.write(new Uint8Array(batch.sizeBytes), 0, batch.sizeBytes, 0);
      await handle.datasync(); // Else a file that is removed at once is never written over.
    } finally {
      await handle.close();
    }
    await rm(path);
  }

  async function read({ name }: Batch): Promise<Map<string, LotOpening>> {
    return unseal(parts, new Uint8Array(await readFile(join(folder, name))));
  }

  /** Leaves of a file what is to be asked for yet, and of the others nothing. */
  async function settle(batch: Batch, fateOf: (receiptId: Uint8Array) => Fate): Promise<void> {
    const isExpired = nowSeconds(clock) - batch.keptSeconds > OPENING_WINDOW_SECONDS;
    const fates = batch.ids.map((id) => fateOf(bytesOf(id)));
    if (isExpired || fates.every((fate) => fate === "done")) return destroy(batch);
    if (fates.includes("undecided") || !fates.includes("done")) return;
    const openings = await read(batch);
    const drawn = batch.ids.filter((_, i) => fates[i] === "drawn");
    for (const id of drawn) {
      const opening = openings.get(id);
      if (opening !== undefined) put(id, opening, batch.keptSeconds);
    }
    await write();
    await destroy(batch);
  }

  function put(id: string, opening: LotOpening, keptSeconds: number): void {
    const sizeBytes = sizeOf(opening);
    waiting.set(id, { id, opening, sizeBytes, keptSeconds });
    sums.waitingBytes += sizeBytes;
    if (sums.waitingBytes <= WAITING_SIZE_BYTES) return;
    for (const oldest of waiting.values()) {
      if (sums.waitingBytes <= WAITING_SIZE_BYTES) break;
      waiting.delete(oldest.id);
      sums.waitingBytes -= oldest.sizeBytes;
      sums.evictedCount++;
    }
  }

  return {
    keep(receiptId, opening) {
      if (limitBytes === 0) return;
      put(nameOf(receiptId), opening, nowSeconds(clock));
      timer ??= setTimeout(() => void inTurn(write), FLUSH_MS);
    },

    async find(receiptId) {
      const id = nameOf(receiptId);
      const unwritten = waiting.get(id) ?? leaving.get(id);
      if (unwritten !== undefined) return unwritten.opening;
      const batch = batches.get(places.get(id) ?? "");
      if (batch === undefined || nowSeconds(clock) - batch.keptSeconds > OPENING_WINDOW_SECONDS) return undefined;
      return (await read(batch)).get(id);
    },

    sweep: () =>
      inTurn(async () => {
        const fateOf = parts.fates();
        for (const batch of [...batches.values()])
          await settle(batch, fateOf).catch((error: unknown) => {
            // One file that is damaged keeps no other from being destroyed in its time.
            report("openings for the lot are not kept as they should be", { file: batch.name, error: String(error) });
          });
      }),

    get held() {
      const { sizeBytes, evictedCount } = sums;
      return { count: places.size + waiting.size, sizeBytes, evictedCount };
    },

    async close() {
      await inTurn(write);
    },
  };
}

/** Has openings swept whenever the log has dated more, or closed a lot: to be told of each state that the fold has reached. */
export function sweeping({ times, lots }: FoldState, { sweep }: Pick<LotOpenings, "sweep">): () => void {
  let seen = "";
  return () => {
    const now = `${times.seconds.length} ${lots.open.length}`;
    if (now !== seen) void sweep();
    seen = now;
  };
}

/** Hex by Node's own code: each call spells an id. */
const bytesOf = (id: string) => Buffer.from(id, "hex");
const nameOf = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  Buffer.from(buffer, byteOffset, byteLength).toString("hex");

/** What goes into a file together. */
function filesOf(openings: Iterable<Waiting>): Waiting[][] {
  const files: Waiting[][] = [];
  let sizeBytes = 0;
  for (const opening of openings) {
    const last = files.at(-1);
    if (last === undefined || sizeBytes + opening.sizeBytes > FILE_SIZE_BYTES) {
      files.push([opening]);
      sizeBytes = opening.sizeBytes;
    } else {
      last.push(opening);
      sizeBytes += opening.sizeBytes;
    }
  }
  return files;
}

type Sealing = Pick<LotOpeningsParts, "sealingKey" | "random">;

/**
 * A file: when, in seconds, and how many (four bytes each), the receipts' ids, and, under AES-256-GCM, their openings one
 * after the other: nonce ‖ tag ‖ ciphertext, bound to what stands before.
 */
function seal({ sealingKey, random }: Sealing, openings: readonly Waiting[]): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(Math.min(...openings.map(({ keptSeconds }) => keptSeconds)), 0);
  head.writeUInt32BE(openings.length, 4);
  const clear = Buffer.concat([head, ...openings.map(({ id }) => bytesOf(id))]);
  const nonce = random(12);
  const cipher = createCipheriv("aes-256-gcm", sealingKey, nonce).setAAD(clear);
  const sealed = cipher.update(Buffer.concat(openings.flatMap(({ opening }) => partsOf(opening))));
  cipher.final();
  return Buffer.concat([clear, nonce, cipher.getAuthTag(), sealed]);
}

const HEAD_BYTES = 8;

/** The lengths of call, answer and evidence, four bytes each; both salts; then those three. Evidence of no bytes is none. */
function partsOf({ requestSalt, call, responseSalt, answer, evidence = NONE }: LotOpening): Uint8Array[] {
  const lengths = Buffer.allocUnsafe(12);
  lengths.writeUInt32BE(call.length, 0);
  lengths.writeUInt32BE(answer.length, 4);
  lengths.writeUInt32BE(evidence.length, 8);
  return [lengths, requestSalt, responseSalt, call, answer, evidence];
}

const NONE = new Uint8Array(0);

function sizeOf({ call, answer, evidence = NONE }: LotOpening): number {
  return 76 + call.length + answer.length + evidence.length;
}

function readParts(plain: Buffer, at: number): LotOpening {
  let end = at + 12;
  const take = (length: number) => {
    end += length;
    return new Uint8Array(plain.subarray(end - length, end));
  };
  const [requestSalt, responseSalt] = [take(32), take(32)];
  const call = take(plain.readUInt32BE(at));
  const answer = take(plain.readUInt32BE(at + 4));
  const evidence = take(plain.readUInt32BE(at + 8));
  return { requestSalt, call, responseSalt, answer, ...(evidence.length === 0 ? {} : { evidence }) };
}

function unseal({ sealingKey }: Sealing, file: Uint8Array): Map<string, LotOpening> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const count = bytes.readUInt32BE(4);
  const end = HEAD_BYTES + 32 * count;
  const decipher = createDecipheriv("aes-256-gcm", sealingKey, bytes.subarray(end, end + 12));
  decipher.setAAD(bytes.subarray(0, end)).setAuthTag(bytes.subarray(end + 12, end + 28));
  const plain = decipher.update(bytes.subarray(end + 28));
  decipher.final(); // Throws where a byte was changed.
  const openings = new Map<string, LotOpening>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    const opening = readParts(plain, at);
    openings.set(bytes.toString("hex", HEAD_BYTES + 32 * i, HEAD_BYTES + 32 * (i + 1)), opening);
    at += sizeOf(opening);
  }
  return openings;
}

/** What a file holds, by its head; undefined where it is not even that long. */
async function readHead(folder: string, name: string): Promise<Batch | undefined> {
  const handle = await open(join(folder, name), "r");
  try {
    const { size: sizeBytes } = await handle.stat();
    const head = Buffer.alloc(HEAD_BYTES);
    if (sizeBytes < HEAD_BYTES) return undefined;
    await handle.read(head, 0, HEAD_BYTES, 0);
    const idsBytes = 32 * head.readUInt32BE(4);
    if (sizeBytes < HEAD_BYTES + idsBytes + 28) return undefined;
    const ids = Buffer.alloc(idsBytes);
    await handle.read(ids, 0, ids.length, HEAD_BYTES);
    const names = Array.from({ length: ids.length / 32 }, (_, i) => ids.toString("hex", 32 * i, 32 * (i + 1)));
    return { name, ids: names, sizeBytes, keptSeconds: head.readUInt32BE(0) };
  } finally {
    await handle.close();
  }
}
