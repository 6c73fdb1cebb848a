/** What strangers may append, and under which conditions. The network's own roles append through `main.ts`. */
import {
  type Entry,
  type EntryOf,
  equal,
  type FoldState,
  hex,
  isOperator,
  type Key,
  keyId,
  keyOf,
  Malformed,
  parseAuthorization,
  parseEntry,
  signaturesOf,
  signedId,
  signerOf,
  type UsedReceipt,
  verifyEs256,
  verifySigned,
} from "@tallystick/protocol";
import type { Clock } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import { checkVerification, isOfVerification } from "./verification-admission.ts";

/** Strangers' keys enrol at most this often, over all strangers: a log is for ever. */
const ENROLMENTS_PER_MINUTE = 60;
/** Chains of verifiers: one is good for days. */
const COMMITS_PER_MINUTE = 60;

export type AdmissionParts = {
  fold: FoldState;
  clock: Clock;
  /** The id of the node in this process, which appends its receipts itself. */
  ownNode: Uint8Array;
  /** Appends a receipt; durable when it resolves. */
  append(entry: Uint8Array): Promise<number>;
  /** Appends and waits until the fold has it: who is told that a statement stands may build on it. */
  publish(entry: Uint8Array): Promise<number>;
  /** Resolves once the fold has all that was acknowledged before. */
  caughtUp(): Promise<void>;
};

export type Submitted = { index: number; alreadyLogged: boolean };

export type Admission = {
  /** Takes a statement in. A receipt is durable when it resolves; with anything else, the fold has it. */
  submit(bytes: Uint8Array): Promise<Submitted>;
  /** Takes in a dispute whose opening was checked: without one, a dispute is refused. */
  submitOpened(bytes: Uint8Array): Promise<Submitted>;
  /** Takes in a revocation that the operator sends: the log's role key alone, which may be stolen, does not do. */
  submitOperated(bytes: Uint8Array): Promise<Submitted>;
  /** The receipt that the log has under an id, also where the fold does not know it yet: its statement's id, and where it is. */
  findReceipt(id: Uint8Array): { statement: Key; index: number } | undefined;
};

/** Receipts between their append and the fold. */
const RECENT_KEPT = 65_536;

export function createAdmission({ fold, clock, publish, caughtUp, append, ownNode }: AdmissionParts): Admission {
  const receipts = createRecentReceipts({ fold, caughtUp, append });
  const admitEnrolment = createRateLimit(clock, ENROLMENTS_PER_MINUTE, "keys enrol");
  const admitCommit = createRateLimit(clock, COMMITS_PER_MINUTE, "chains are committed to");
  /** Statements on their way into the fold, so that the same one is not appended twice at once. */
  const inFlight = new Map<string, Promise<number>>();

  async function submit(bytes: Uint8Array, door?: "dispute" | "revocation"): Promise<Submitted> {
    const entry = parse(bytes);
    if (entry.kind === "dispute" && door !== "dispute")
      throw new ServiceError("forbidden", "a dispute comes with the opening of its receipt: POST /v1/disputes");
    if (entry.kind === "revocation" && door !== "revocation")
      throw new ServiceError("forbidden", "a revocation comes with the operator's token: POST /v1/revocations");
    // Whoever was given a receipt may send it here before the fold knows that the node of this process has logged it.
    if (entry.kind === "receipt" && equal(entry.signed.keyId, ownNode)) await caughtUp();
    await checkSignature(fold, entry);
    if (entry.kind === "receipt") return receipts.submit(entry);
    const { name, index } = isOfVerification(entry) ? checkVerification(fold, entry) : checkKind(fold, entry);
    if (index !== undefined) return { index, alreadyLogged: true };
    const known = inFlight.get(name);
    if (known !== undefined) {
      await known;
      return submit(bytes, door); // By then the fold says where it is, or that it was another statement of the same name.
    }
    if (entry.kind === "key") admitEnrolment();
    if (entry.kind === "lot" && entry.says.action === "commit") admitCommit();
    const published = publish(bytes).finally(() => inFlight.delete(name));
    inFlight.set(name, published);
    return { index: await published, alreadyLogged: false };
  }

  return {
    submit: (bytes) => submit(bytes),
    submitOpened: (bytes) => submit(bytes, "dispute"),
    submitOperated: (bytes) => submit(bytes, "revocation"),
    findReceipt: receipts.find,
  };
}

/**
 * A receipt id is logged once. One more receipt of that id, which says something else, is logged as well, as evidence
 * against who signed it; a third would prove no more. A node whose answer was lost sends the same bytes again, perhaps before
 * the fold knows them.
 */
function createRecentReceipts({ fold, caughtUp, append }: Pick<AdmissionParts, "fold" | "caughtUp" | "append">) {
  const recent = new Map<Key, { statement: Key; index: Promise<number>; at: number | undefined }>();

  function forget(): void {
    for (const [id, { at }] of recent) {
      const isFolded = at !== undefined && at < fold.size;
      if (!isFolded) return; // They came in the order of the log, or nearly.
      recent.delete(id);
    }
  }

  async function add(id: Key, statement: Key, bytes: Uint8Array): Promise<number> {
    if (recent.size >= RECENT_KEPT) throw new ServiceError("unavailable", "too many receipts wait: try again later");
    const row: { statement: Key; index: Promise<number>; at: number | undefined } = {
      statement,
      index: append(bytes),
      at: undefined,
    };
    recent.set(id, row);
    try {
      row.at = await row.index;
      return row.at;
    } catch (error) {
      recent.delete(id);
      throw error;
    }
  }

  return {
    async submit({ says, signed }: EntryOf<"receipt">): Promise<{ index: number; alreadyLogged: boolean }> {
      forget();
      const id = keyOf(signedId(parseAuthorization(says.authorization).signed));
      const statement = keyOf(signedId(signed));
      const waiting = recent.get(id);
      if (waiting?.statement === statement) return { index: await waiting.index, alreadyLogged: true };
      if (waiting !== undefined) {
        await waiting.index.catch(() => {});
        await caughtUp(); // By then the fold says where it is.
        recent.delete(id);
      }
      const first = fold.receipts.get(id);
      const known = first === undefined || first.statement === statement ? first : fold.equivocations.get(id);
      if (known !== undefined) return { index: known.index, alreadyLogged: true };
      return { index: await add(id, statement, signed.bytes), alreadyLogged: false };
    },

    find(id: Uint8Array) {
      const waiting = recent.get(keyOf(id));
      if (waiting?.at !== undefined) return { statement: waiting.statement, index: waiting.at };
      return fold.receipts.get(keyOf(id));
    },
  };
}

function parse(bytes: Uint8Array): Entry {
  try {
    return parseEntry(bytes);
  } catch (cause) {
    if (cause instanceof Malformed) throw new ServiceError("invalid_request", `the entry ${cause.message}`, { cause });
    throw cause;
  }
}

async function checkSignature(fold: FoldState, entry: Entry): Promise<void> {
  if (entry.kind === "receipt") return checkHalves(fold, entry);
  const signer = signerOf(fold, entry);
  if (signer === undefined)
    throw new ServiceError(
      "forbidden",
      `no key that may sign a ${entry.kind} entry has the id ${hex(entry.signed.keyId)}: enrol it first`,
    );
  if (!(await verifySigned(entry.signed, signer)))
    throw new ServiceError("forbidden", "the entry is not signed by the key it names");
}

/** Both halves of a receipt: the node's, and the requester's inside it. */
async function checkHalves(fold: FoldState, entry: Entry): Promise<void> {
  const signatures = signaturesOf(fold, entry);
  if (!signatures.ok) throw new ServiceError("forbidden", `the receipt is not admitted: ${signatures.detail}`);
  for (const { spki, message, signature } of signatures.jobs)
    if (!(await verifyEs256(spki, message, signature)))
      throw new ServiceError("forbidden", "a half of the receipt is not signed by the key it names");
}

/** What the statement is called, and its index where the log has it. Throws where a stranger may not make it. */
function checkKind(fold: FoldState, entry: Entry): { name: string; index?: number } {
  if (entry.kind === "key") return checkEnrolment(fold, entry.says);
  if (entry.kind === "reliance") return checkReliance(fold, entry);
  if (entry.kind === "acknowledgement") {
    const receipt = getValidReceipt(fold, entry.says.receipt);
    const name = `acknowledgement ${hex(entry.says.receipt)}`;
    return receipt.acknowledged ? { name, index: receipt.index } : { name };
  }
  throw new ServiceError("forbidden", `a ${entry.kind} entry comes from the network's own roles alone`);
}

function checkEnrolment(
  fold: FoldState,
  says: Extract<Entry, { kind: "key" }>["says"],
): { name: string; index?: number } {
  if (says.action !== "enrol" || (says.role !== "relier" && says.role !== "disputer"))
    throw new ServiceError("forbidden", "only reliers and disputers enrol their keys here");
  const kid = keyOf(keyId(says.spki));
  const known = fold.keys.get(kid);
  if (isOperator(fold, kid))
    throw new ServiceError(
      "forbidden",
      `this key is the network's ${known?.role} key: an operator cannot rely on what it sells, nor dispute it`,
    );
  const name = `key ${hex(keyId(says.spki))}`;
  return known === undefined ? { name } : { name, index: known.index };
}

function checkReliance(
  fold: FoldState,
  { says, signed }: Extract<Entry, { kind: "reliance" }>,
): { name: string; index?: number } {
  const receipt = getValidReceipt(fold, says.receipt);
  const session = fold.sessions.get(receipt.session);
  if (session !== undefined && session.sessionKeyId === keyOf(signed.keyId))
    throw new ServiceError("forbidden", "a session key asks; it cannot also rely. Enrol a key of your own");
  const statement = keyOf(signed.keyId) + receipt.decision;
  const index = fold.reliances.get(statement);
  return index === undefined ? { name: `reliance ${statement}` } : { name: statement, index };
}

function getValidReceipt(fold: FoldState, id: Uint8Array): UsedReceipt {
  const receipt = fold.receipts.get(keyOf(id));
  if (receipt === undefined)
    throw new ServiceError("not_found", `no published receipt ${hex(id)}: wait a second for the next checkpoint`);
  if (receipt.exclusion === undefined) return receipt;
  throw new ServiceError(
    "conflict",
    `receipt ${hex(id)} is not a valid inference (${receipt.exclusion}): nothing can rest on it`,
  );
}

/** A bucket that fills at `perMinute`; taking from an empty one is refused. */
function createRateLimit(clock: Clock, perMinute: number, what: string): () => void {
  let tokens = perMinute;
  let filledMs = clock.nowMs();
  return () => {
    const now = clock.nowMs();
    const sinceMs = Math.max(0, now - filledMs); // A clock that is set back takes nothing away.
    tokens = Math.min(perMinute, tokens + (sinceMs / 60_000) * perMinute);
    filledMs = now;
    if (tokens < 1)
      throw new ServiceError("rate_limited", `at most ${perMinute} ${what} in a minute: try again in a minute`);
    tokens--;
  };
}
