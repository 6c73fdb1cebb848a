/** Receipt files: a receipt with all that its verification rests on, each part with its proof once a checkpoint covers it. */
import {
  dayOf,
  encodeLogProof,
  encodeReceiptFile,
  type FoldState,
  hex,
  keyOf,
  type LoggedEntry,
  type Note,
  type Part,
  parseAuthorization,
  parseEntry,
  timeOf,
} from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";

/** What is read from the log. */
export type ReadableLog = {
  /** The newest state that the log has signed. */
  head(): { size: number; note: Note };
  /** The newest that a quorum of witnesses has cosigned; undefined while there is none. */
  witnessed(): { size: number; note: Note } | undefined;
  readEntry(index: number): Promise<Uint8Array>;
  inclusionProof(index: number, size: number): Promise<Uint8Array[]>;
};

export type LatestReceipt = {
  id: string;
  index: number;
  model: string;
  status: string;
  custody: string;
  day: string | null;
};

export type Receipts = {
  /** A receipt that is durable and that the fold does not know yet. */
  note(id: Uint8Array, index: number, receipt: Uint8Array): void;
  /** The index of a receipt in the log. Throws not_found. */
  indexOf(id: Uint8Array): number;
  findIndex(id: Uint8Array): number | undefined;
  /** The text of a receipt's file. Throws not_found. */
  file(id: Uint8Array): Promise<string>;
  /** The newest published receipts. */
  latest(count: number): LatestReceipt[];
};

/** Receipts between their acknowledgement and their checkpoint; more than can be in flight. */
const RECENT_KEPT = 20_000;

export function createReceipts(fold: FoldState, log: ReadableLog): Receipts {
  const recent = new Map<string, { index: number; receipt: Uint8Array }>();

  /** Where witnesses have seen the entry, its proof leads to what they cosigned. */
  async function logged(index: number | undefined, what: string): Promise<LoggedEntry> {
    const witnessed = log.witnessed();
    const { size, note } = witnessed !== undefined && (index ?? 0) < witnessed.size ? witnessed : log.head();
    if (index === undefined || index >= size)
      throw new ServiceError("internal", `the ${what} behind a receipt is not in the log`);
    const [bytes, hashes] = await Promise.all([log.readEntry(index), log.inclusionProof(index, size)]);
    return { bytes, proofText: encodeLogProof(index, hashes, note) };
  }

  function findIndex(id: Uint8Array): number | undefined {
    return (fold.receipts.get(keyOf(id)) ?? recent.get(keyOf(id)))?.index;
  }

  function indexOf(id: Uint8Array): number {
    const index = findIndex(id);
    if (index === undefined) throw new ServiceError("not_found", `no receipt ${hex(id)}`);
    return index;
  }

  async function ownPart(id: Uint8Array): Promise<LoggedEntry> {
    const waiting = fold.receipts.has(keyOf(id)) ? undefined : recent.get(keyOf(id));
    return waiting === undefined ? logged(indexOf(id), "receipt") : { bytes: waiting.receipt };
  }

  return {
    note(id, index, receipt) {
      recent.set(keyOf(id), { index, receipt });
      for (const [name, { index: old }] of recent) {
        if (old >= fold.size && recent.size <= RECENT_KEPT) break;
        recent.delete(name);
      }
    },

    indexOf,
    findIndex,

    async file(id) {
      const receipt = await ownPart(id);
      const entry = parseEntry(receipt.bytes);
      if (entry.kind !== "receipt")
        throw new ServiceError("internal", "the log has another kind of entry at a receipt's index");
      const { says } = parseAuthorization(entry.says.authorization);
      const session = fold.sessions.get(keyOf(says.session));
      const model = fold.models.get(keyOf(says.revision));
      const indexes: Record<Exclude<Part, "receipt">, number | undefined> = {
        grant: session?.index,
        gateway: fold.keys.get(session?.gateway ?? "")?.index,
        node: fold.keys.get(keyOf(entry.signed.keyId))?.index,
        model: model?.index,
        publisher: fold.keys.get(model?.publisher ?? "")?.index,
      };
      const others = await Promise.all(
        Object.entries(indexes).map(async ([part, index]) => [part, await logged(index, part)] as const),
      );
      const { handovers } = fold;
      return encodeReceiptFile({
        id,
        handovers,
        parts: { receipt, ...Object.fromEntries(others) } as Record<Part, LoggedEntry>,
      });
    },

    latest(count) {
      const newest = tail(fold.receipts, count);
      return newest.map(([name, { index, model, custody, exclusion }]) => {
        const seconds = timeOf(fold, index);
        return {
          id: hex(Uint8Array.from(name, (unit) => unit.charCodeAt(0))),
          index,
          model: fold.models.get(model)?.manifest.name ?? "unknown",
          status: exclusion ?? "ok",
          custody,
          day: seconds === undefined ? null : dayOf(seconds),
        };
      });
    },
  };
}

/** The last `count` of a map, the newest first, without holding a copy of all of it. */
function tail<K, V>(map: ReadonlyMap<K, V>, count: number): [K, V][] {
  const last: [K, V][] = [];
  for (const row of map) {
    last.push(row);
    if (last.length > 2 * count) last.splice(0, count);
  }
  return last.slice(-count).reverse();
}
