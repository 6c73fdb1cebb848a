/** What strangers may append, and under which conditions. The network's own roles append through `main.ts`. */
import {
  bytesOf,
  type Entry,
  type EntryOf,
  equal,
  type FoldState,
  hex,
  type Key,
  keyOf,
  Malformed,
  parseAuthorization,
  parseEntry,
  signaturesOf,
  signedId,
  signerOf,
  verifyEs256,
  verifySigned,
} from "@tallystick/protocol";
import type { Clock } from "../platform/clock.ts";
import type { ResolveTexts } from "../platform/dns.ts";
import { ServiceError } from "../platform/errors.ts";
import { createStrangerLimit, type Sender } from "./stranger-limits.ts";
import { checkUsage } from "./usage-admission.ts";
import { checkVerification, isOfVerification } from "./verification-admission.ts";

/** From one address, and from all together: a log is for ever. */
const PER_MINUTE = { perMinute: 60, perMinuteInAll: 600 };
const ENROLMENTS = { name: "enrolments", what: "keys enrol", ...PER_MINUTE };
/** Chains of verifiers: one is good for days. */
const COMMITS = { name: "commits", what: "chains are committed to", ...PER_MINUTE };
/** What costs whoever says it nothing: affiliations, recomputations, disputes of labels. */
const STATEMENTS = { name: "statements", what: "affiliations, audits and disputes of labels", ...PER_MINUTE };

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
  /** The texts that DNS has at a name. Throws where it cannot be asked. */
  resolveTexts: ResolveTexts;
};

export type Submitted = { index: number; alreadyLogged: boolean };

export type Admission = {
  /** Takes a statement in. A receipt is durable when it resolves; with anything else, the fold has it. */
  submit(bytes: Uint8Array, sender?: Sender): Promise<Submitted>;
  /** Takes in a dispute whose opening was checked: without one, a dispute is refused. */
  submitOpened(bytes: Uint8Array): Promise<Submitted>;
  /** Takes in a revocation that the operator sends: the log's role key alone, which may be stolen, does not do. */
  submitOperated(bytes: Uint8Array): Promise<Submitted>;
  /** The receipt that the log has under an id, also where the fold does not know it yet: its statement's id, and where it is. */
  findReceipt(id: Uint8Array): { statement: Key; index: number } | undefined;
};

/** By which door an entry came, and who sent it. */
type Manner = { door?: "dispute" | "revocation" | undefined; sender?: Sender | undefined };

/** Receipts between their append and the fold. */
const RECENT_KEPT = 65_536;

export function createAdmission(parts: AdmissionParts): Admission {
  const { fold, clock, publish, caughtUp, append, ownNode } = parts;
  const receipts = createRecentReceipts({ fold, caughtUp, append });
  const enrolments = createStrangerLimit(clock, ENROLMENTS);
  const commits = createStrangerLimit(clock, COMMITS);
  const statements = createStrangerLimit(clock, STATEMENTS);
  /** Statements on their way into the fold, so that the same one is not appended twice at once. */
  const inFlight = new Map<string, Promise<number>>();

  async function submit(bytes: Uint8Array, { door, sender }: Manner = {}): Promise<Submitted> {
    const entry = parse(bytes);
    if (entry.kind === "dispute" && entry.says.ground !== "label" && door !== "dispute")
      throw new ServiceError("forbidden", "a dispute comes with the opening of its receipt: POST /v1/disputes");
    if (entry.kind === "revocation" && door !== "revocation")
      throw new ServiceError("forbidden", "a revocation comes with the operator's token: POST /v1/revocations");
    // Whoever was given a receipt may send it here before the fold knows that the node of this process has logged it.
    if (entry.kind === "receipt" && equal(entry.signed.keyId, ownNode)) await caughtUp();
    await checkSignature(fold, entry);
    if (entry.kind === "receipt") return receipts.submit(entry);
    const { name, index } = isOfVerification(entry) ? checkVerification(fold, entry) : checkUsage(fold, entry);
    if (index !== undefined) return { index, alreadyLogged: true };
    const known = inFlight.get(name);
    if (known !== undefined) {
      await known;
      return submit(bytes, { door, sender }); // By then the fold says where it is, or that it was another statement of the same name.
    }
    if (entry.kind === "key") enrolments.take(sender);
    if (entry.kind === "lot" && entry.says.action === "commit") commits.take(sender);
    if (isFree(entry)) statements.take(sender);
    const published = checkDomain(entry)
      .then(() => publish(bytes))
      .finally(() => inFlight.delete(name));
    inFlight.set(name, published);
    return { index: await published, alreadyLogged: false };
  }

  /** Where a relier enrols under a domain, DNS has to say that the key is that domain's. */
  async function checkDomain(entry: Entry): Promise<void> {
    if (entry.kind !== "key" || entry.says.domain === undefined) return;
    const name = `_tallystick.${entry.says.domain}`;
    const kid = hex(entry.signed.keyId);
    const texts = await parts.resolveTexts(name).catch((cause: unknown) => {
      throw new ServiceError("unavailable", `DNS could not be asked for ${name}: try again later`, { cause });
    });
    if (texts.some((text) => text.includes(kid))) return;
    throw new ServiceError(
      "forbidden",
      `DNS has no TXT record at ${name} with this key in it: set one to "tallystick-key=${kid}", and enrol again once it is public`,
    );
  }

  return {
    submit: (bytes, sender) => submit(bytes, { sender }),
    submitOpened: (bytes) => submit(bytes, { door: "dispute" }),
    submitOperated: (bytes) => submit(bytes, { door: "revocation" }),
    findReceipt: receipts.find,
  };
}

/**
 * A receipt id is logged once. One more receipt of that id by the same node, which says something else, is logged as well, as
 * evidence against it; a third would prove no more, and another node's is refused. A node whose answer was lost sends the same
 * bytes again, perhaps before the fold knows them.
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
      // The authorization is in the log for everybody to sign around. A node is told so that it sends it no more.
      if (first !== undefined && first.node !== signed.keyIdLatin1)
        throw new ServiceError(
          "forbidden",
          `the log has the receipt ${hex(bytesOf(id))} by another node: its authorization was used, and a second node's receipt counts as nothing`,
        );
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

/** Whether a statement costs whoever makes it nothing, and is not bounded by what else there is in the log. */
function isFree({ kind, says }: Entry): boolean {
  return kind === "affiliation" || kind === "recomputation" || (kind === "dispute" && says.ground === "label");
}
