/** What the log says about single receipts: each statement with its evidence, which has no content in it. */
import {
  base64,
  type Entry,
  hex,
  isJsonObject,
  type Json,
  type JsonObject,
  type Key,
  keyOf,
  parseCanonicalJson,
  parseEntry,
  parseSigned,
  signedId,
} from "@tallystick/protocol";
import type { Archive } from "./archive-store.ts";

export type StatementsParts = {
  archive: Archive;
  readEntry(index: number): Promise<Uint8Array>;
  /** The receipt that a dispute is of, by the dispute's signed id. */
  receiptOf(dispute: Uint8Array): Uint8Array | undefined;
};

export type Statements = {
  /** Goes through entries that the log has got, from `first` on; those before are gone through already. */
  follow(entries: readonly Uint8Array[], first: number): void;
  /** What was said of a receipt, in the order of the log. */
  list(receipt: Uint8Array): Promise<JsonObject[]>;
};

type Statement = Extract<Entry, { kind: "verification" | "dispute" | "resolution" }>;
const KINDS = /^application\/vnd\.tallystick\.(verification|dispute|resolution)\+cbor$/;

export function createStatements({ archive, readEntry, receiptOf }: StatementsParts): Statements {
  /** Disputes whose entries were seen and that the fold may not know yet. */
  const seen = new Map<Key, Uint8Array>();

  function receiptIn(entry: Statement): Uint8Array | undefined {
    if (entry.kind !== "resolution") return entry.says.receipt;
    return seen.get(keyOf(entry.says.dispute)) ?? receiptOf(entry.says.dispute);
  }

  return {
    follow(entries, first) {
      const found = entries.flatMap((bytes, i) => {
        const entry = statementIn(bytes);
        if (entry === undefined) return [];
        if (entry.kind === "dispute") seen.set(keyOf(signedId(entry.signed)), entry.says.receipt);
        const receipt = receiptIn(entry);
        return receipt === undefined ? [] : [{ index: first + i, receipt: receipt.slice() }];
      });
      if (found.length > 0) archive.note(found, first + entries.length);
    },

    async list(receipt) {
      const indexes = archive.statementsOf(receipt);
      return Promise.all(
        indexes.map(async (index) => {
          const entry = statementIn(await readEntry(index));
          if (entry === undefined) throw new Error(`entry ${index} is no statement about a receipt`);
          return { index, ...describe(entry), evidence: evidenceJson(archive, entry.says.evidence) };
        }),
      );
    },
  };
}

function statementIn(bytes: Uint8Array): Statement | undefined {
  if (!KINDS.test(parseSigned(bytes).contentType)) return undefined; // Most entries are receipts, and are not read whole.
  const entry = parseEntry(bytes);
  return entry.kind === "verification" || entry.kind === "dispute" || entry.kind === "resolution" ? entry : undefined;
}

function describe({ kind, says, signed }: Statement): JsonObject {
  const common = { kind, by: hex(signed.keyId), entry: base64(signed.bytes) };
  if (kind === "dispute") return { ...common, id: hex(signedId(signed)), ground: says.ground };
  if (kind === "resolution") return { ...common, dispute: hex(says.dispute), outcome: says.outcome };
  const { method, outcome, cost, epoch } = says;
  return { ...common, method, outcome, costMicroseconds: cost, epoch: epoch ?? null };
}

/** What is kept under the digest that an entry names; `content` is null where that is not here. */
function evidenceJson(archive: Archive, digest: Uint8Array): JsonObject {
  const bytes = archive.findEvidence(digest);
  const content: Json = bytes === undefined ? null : parseCanonicalJson(bytes);
  return { sha256: hex(digest), content: isJsonObject(content) ? content : null };
}
