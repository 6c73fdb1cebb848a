/** What strangers may append, and under which conditions. The network's own roles append through `main.ts`. */
import {
  type Entry,
  type EntryOf,
  type FoldState,
  hex,
  isOperator,
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

/** Strangers' keys enrol at most this often, over all strangers: a log is for ever. */
const ENROLMENTS_PER_MINUTE = 60;

export type AdmissionParts = {
  fold: FoldState;
  clock: Clock;
  /** Appends and waits until the fold has it: who is told that a statement stands may build on it. */
  publish(entry: Uint8Array): Promise<number>;
  /** Resolves once the fold has all that was acknowledged before. */
  caughtUp(): Promise<void>;
};

export type Admission = { submit(bytes: Uint8Array): Promise<{ index: number; alreadyLogged: boolean }> };

export function createAdmission({ fold, clock, publish, caughtUp }: AdmissionParts): Admission {
  const admitEnrolment = createRateLimit(clock, ENROLMENTS_PER_MINUTE);
  /** Statements on their way into the fold, so that the same one is not appended twice at once. */
  const inFlight = new Map<string, Promise<number>>();

  async function submit(bytes: Uint8Array): Promise<{ index: number; alreadyLogged: boolean }> {
    const entry = parse(bytes);
    // Whoever was given a receipt may send it here before the fold knows that its node has logged it.
    if (entry.kind === "receipt") await caughtUp();
    await checkSignature(fold, entry);
    const { name, index } = checkKind(fold, entry);
    if (index !== undefined) return { index, alreadyLogged: true };
    const known = inFlight.get(name);
    if (known !== undefined) {
      await known;
      return submit(bytes); // By then the fold says where it is, or that it was another statement of the same name.
    }
    if (entry.kind === "key") admitEnrolment();
    const published = publish(bytes).finally(() => inFlight.delete(name));
    inFlight.set(name, published);
    return { index: await published, alreadyLogged: false };
  }

  return { submit };
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
  if (entry.kind === "receipt") return findReceipt(fold, entry);
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
  if (says.action !== "enrol" || says.role !== "relier")
    throw new ServiceError("forbidden", "only reliers enrol their keys here");
  const kid = keyOf(keyId(says.spki));
  const known = fold.keys.get(kid);
  if (isOperator(fold, kid))
    throw new ServiceError(
      "forbidden",
      `this key is the network's ${known?.role} key: an operator cannot rely on what it sells`,
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

/**
 * A receipt id is logged once. One more receipt of that id, which says something else, is logged as well, as evidence
 * against who signed it; a third would prove no more.
 */
function findReceipt(fold: FoldState, { says, signed }: EntryOf<"receipt">): { name: string; index?: number } {
  const id = keyOf(signedId(parseAuthorization(says.authorization).signed));
  const name = `receipt ${id}`;
  const first = fold.receipts.get(id);
  if (first === undefined) return { name };
  if (first.statement === keyOf(signedId(signed))) return { name, index: first.index };
  const second = fold.equivocations.get(id);
  return second === undefined ? { name } : { name, index: second.index };
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
function createRateLimit(clock: Clock, perMinute: number): () => void {
  let tokens = perMinute;
  let filledMs = clock.nowMs();
  return () => {
    const now = clock.nowMs();
    const sinceMs = Math.max(0, now - filledMs); // A clock that is set back takes nothing away.
    tokens = Math.min(perMinute, tokens + (sinceMs / 60_000) * perMinute);
    filledMs = now;
    if (tokens < 1)
      throw new ServiceError("rate_limited", `at most ${perMinute} keys enrol in a minute: try again in a minute`);
    tokens--;
  };
}
