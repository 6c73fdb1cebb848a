/**
 * Openings: the salts under a receipt's commitments, kept for the account whose call it was. What is written at once of one
 * stretch of the log is sealed together, in one row: a cipher and a row for each would take their time from calls.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { type Database, emptyJournal, transact } from "../platform/database.ts";
import type { Report } from "../platform/http.ts";
import type { Random } from "../platform/random.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS openings (
    first_index INTEGER PRIMARY KEY, sealed BLOB NOT NULL, expires_seconds INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS openings_by_expiry ON openings (expires_seconds);
`;

/** The salts under a receipt's commitments. With them and the content, which its requester has, a commitment opens. */
export type Salts = { request: Uint8Array; response?: Uint8Array };

/** A receipt: its id, in hex, and its index in the log. */
export type Place = { id: string; index: number };

/** How long an opening is kept unless it is destroyed before. */
export const OPENING_KEPT_SECONDS: number = 30 * 86_400;
/** Openings are written together this often: what a crash may cost, while the receipts themselves are in the log. */
const FLUSH_MS = 100;
/** Openings that wait for a disk which refuses them; past that the oldest are let go of. */
const UNWRITTEN_KEPT = 100_000;
/** A row's openings are of one stretch of this many indexes, the row named by the first: a look-up reads one stretch. */
const STRETCH = 64;

export type Openings = {
  /** Keeps the salts for the account alone, sealed; written with others within a moment. The content is never kept. */
  keep(place: Place, payerTag: string, salts: Salts, nowSeconds: number): void;
  find(place: Place, payerTag: string, nowSeconds: number): Salts | undefined;
  /** Erasure: without its salts, a commitment opens to nothing. Whether there was one. */
  destroy(place: Place, payerTag: string): boolean;
  /** Writes what is not written yet. */
  flush(): void;
};

export type OpeningsParts = {
  database: Database.Database;
  /** 32 bytes, kept elsewhere: the database alone opens nothing. */
  sealingKey: Uint8Array;
  random: Random;
  report: Report;
};

/** An opening and whose it is. */
type Opening = { id: string; payerTag: string; salts: Salts };
type Unwritten = Opening & { index: number; expiresSeconds: number };
/** The driver gives a blob as an ArrayBuffer where it gives several rows. */
type Row = { first_index: number; sealed: ArrayBuffer; expires_seconds: number };

export function createOpenings({ database, sealingKey, random, report }: OpeningsParts): Openings {
  database.exec(SCHEMA);
  const unwritten = new Map<string, Unwritten>();
  let flushing: NodeJS.Timeout | undefined;
  // A log that was restored from a backup uses indexes again: what its lost receipts opened with may go.
  const insert = database.prepare("INSERT OR REPLACE INTO openings VALUES (?, ?, ?)");
  const update = database.prepare("UPDATE openings SET sealed = ? WHERE first_index = ?");
  const remove = database.prepare("DELETE FROM openings WHERE first_index = ?");
  const removeExpired = database.prepare("DELETE FROM openings WHERE expires_seconds < ?");
  const select = database.prepare("SELECT * FROM openings WHERE first_index BETWEEN ? AND ?");

  function flush(): void {
    clearTimeout(flushing);
    flushing = undefined;
    if (unwritten.size === 0) return;
    const rows = rowsOf(unwritten.values());
    transact(database, () => {
      let nowSeconds = 0;
      for (const { openings, expiresSeconds } of rows) {
        const firstIndex = Math.min(...openings.map(({ index }) => index));
        insert.run([firstIndex, seal(openings, firstIndex), expiresSeconds]);
        nowSeconds = Math.max(nowSeconds, expiresSeconds - OPENING_KEPT_SECONDS);
      }
      removeExpired.run([nowSeconds]);
    });
    unwritten.clear();
  }

  /** Openings that the disk refuses are served from memory, and written with the next. */
  function flushOrKeep(): void {
    try {
      flush();
    } catch (error) {
      report("openings are not written", { count: unwritten.size, error: String(error) });
      for (const id of unwritten.keys()) {
        if (unwritten.size <= UNWRITTEN_KEPT) break;
        unwritten.delete(id);
      }
    }
  }

  /** AES-256-GCM: nonce ‖ tag ‖ ciphertext of the openings, one after the other, bound to the row that they are in. */
  function seal(openings: readonly Opening[], firstIndex: number): Buffer {
    const nonce = random(12);
    const cipher = createCipheriv("aes-256-gcm", sealingKey, nonce).setAAD(aad(firstIndex));
    const sealed = cipher.update(Buffer.concat(openings.map(encodeOpening)));
    cipher.final();
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  }

  function unseal(row: Row): Opening[] {
    const sealed = Buffer.from(row.sealed);
    const decipher = createDecipheriv("aes-256-gcm", sealingKey, sealed.subarray(0, 12)).setAAD(aad(row.first_index));
    decipher.setAuthTag(sealed.subarray(12, 28));
    const bytes = decipher.update(sealed.subarray(28));
    decipher.final(); // Throws where a byte was changed.
    return decodeOpenings(bytes);
  }

  /** The row that an opening was written in, with all that is in it. Throws where it may be in one that does not unseal. */
  function findRow({ id, index }: Place, payerTag: string): (Row & { openings: Opening[] }) | undefined {
    let failure: unknown;
    for (const row of select.all([index - (index % STRETCH), index]) as Row[]) {
      try {
        const openings = unseal(row);
        if (openings.some((opening) => isOf(opening, id, payerTag))) return { ...row, openings };
      } catch (error) {
        failure = error; // A row that is damaged, or of another sealing key, is no reason to refuse the others.
      }
    }
    if (failure !== undefined) throw new Error(`an opening near entry ${index} does not unseal`, { cause: failure });
    return undefined;
  }

  return {
    keep({ id, index }, payerTag, salts, nowSeconds) {
      unwritten.set(id, { id, index, payerTag, salts, expiresSeconds: nowSeconds + OPENING_KEPT_SECONDS });
      flushing ??= setTimeout(flushOrKeep, FLUSH_MS);
    },

    find(place, payerTag, nowSeconds) {
      const waiting = unwritten.get(place.id);
      if (waiting !== undefined)
        return waiting.payerTag === payerTag && waiting.expiresSeconds >= nowSeconds ? waiting.salts : undefined;
      const row = findRow(place, payerTag);
      if (row === undefined || row.expires_seconds < nowSeconds) return undefined;
      return row.openings.find((opening) => isOf(opening, place.id, payerTag))?.salts;
    },

    destroy(place, payerTag) {
      if (unwritten.get(place.id)?.payerTag === payerTag) return unwritten.delete(place.id);
      const row = findRow(place, payerTag);
      if (row === undefined) return false;
      const left = row.openings.filter((opening) => !isOf(opening, place.id, payerTag));
      transact(database, () => {
        if (left.length === 0) remove.run([row.first_index]);
        else update.run([seal(left, row.first_index), row.first_index]);
      });
      emptyJournal(database);
      return true;
    },

    flush,
  };
}

function isOf(opening: Opening, id: string, payerTag: string): boolean {
  return opening.id === id && opening.payerTag === payerTag;
}

/** What goes into a row together: openings of one stretch of the log that expire at once. */
function rowsOf(unwritten: Iterable<Unwritten>): { expiresSeconds: number; openings: Unwritten[] }[] {
  const rows = new Map<string, { expiresSeconds: number; openings: Unwritten[] }>();
  for (const opening of unwritten) {
    const { index, expiresSeconds } = opening;
    const name = `${Math.floor(index / STRETCH)} ${expiresSeconds}`;
    const row = rows.get(name);
    if (row === undefined) rows.set(name, { expiresSeconds, openings: [opening] });
    else row.openings.push(opening);
  }
  return [...rows.values()];
}

/** Receipt id (32 bytes) ‖ payer tag (16) ‖ request salt (32) ‖ 1 and the response salt (32), or 0. */
function encodeOpening({ id, payerTag, salts: { request, response } }: Opening): Buffer {
  const ends = response === undefined ? [Buffer.of(0)] : [Buffer.of(1), response];
  return Buffer.concat([Buffer.from(id, "hex"), Buffer.from(payerTag, "hex"), request, ...ends]);
}

function decodeOpenings(bytes: Buffer): Opening[] {
  const openings: Opening[] = [];
  let at = 0;
  const take = (count: number) => {
    at += count;
    return bytes.subarray(at - count, at);
  };
  while (at < bytes.length) {
    const [id, payerTag] = [take(32).toString("hex"), take(16).toString("hex")];
    const request = new Uint8Array(take(32));
    const answered = take(1)[0] === 1;
    const salts = answered ? { request, response: new Uint8Array(take(32)) } : { request };
    openings.push({ id, payerTag, salts });
  }
  return openings;
}

function aad(firstIndex: number): Buffer {
  return Buffer.from(`openings from ${firstIndex}`);
}
