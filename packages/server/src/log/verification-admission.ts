/** What verifiers, disputers, referees and the log may append of what is relied on: each once, about what the log knows. */
import {
  type Entry,
  type EntryOf,
  type FoldState,
  hex,
  keyOf,
  lastReveal,
  precedes,
  reliedBy,
  revealDue,
  rootName,
  type Signed,
  signedId,
  timeOf,
} from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";
import { checkLabelDispute } from "./usage-admission.ts";

type OfVerification = Extract<
  Entry,
  { kind: "verification" | "lot" | "appraisal" | "dispute" | "resolution" | "revocation" }
>;
const KINDS: ReadonlySet<string> = new Set(["verification", "lot", "appraisal", "dispute", "resolution", "revocation"]);

export function isOfVerification(entry: Entry): entry is OfVerification {
  return KINDS.has(entry.kind);
}

/** What the statement is called. Its signer's role was checked. Throws where it says nothing that may be said. */
export function checkVerification(fold: FoldState, entry: OfVerification): { name: string; index?: number } {
  if (entry.kind === "verification") return checkOutcome(fold, entry);
  if (entry.kind === "lot") return checkLot(fold, entry);
  if (entry.kind === "dispute") return checkDispute(fold, entry);
  if (entry.kind === "resolution") return checkResolution(fold, entry);
  if (entry.kind === "revocation") return checkRevocation(fold, entry);
  requireRelied(fold, entry.signed, fold.timeSeconds);
  const { key } = entry.says;
  if (fold.keys.get(keyOf(key))?.role !== "node")
    throw new ServiceError("not_found", `no node has the key ${hex(key)}`);
  return { name: `appraisal ${hex(signedId(entry.signed))}` };
}

function checkOutcome(fold: FoldState, { says, signed }: EntryOf<"verification">): { name: string } {
  const { receipt, epoch } = says;
  const id = keyOf(receipt);
  const verifier = keyOf(signed.keyId);
  const known = fold.receipts.get(id);
  if (known === undefined) throw unknownReceipt(receipt);
  requireRelied(fold, signed, timeOf(fold, known.index));
  const { draw, checks = [] } = fold.proofs.examinations.get(id) ?? {};
  const isDrawn = draw?.verifier === verifier && draw.epoch === epoch && !draw.omitted;
  if (epoch !== undefined && !isDrawn)
    throw new ServiceError("forbidden", `no lot of epoch entry ${epoch} drew this verifier for ${hex(receipt)}`);
  if (epoch === undefined && says.outcome === "unopened")
    throw new ServiceError("forbidden", `nobody had to open ${hex(receipt)} to this verifier: no lot drew it`);
  if (checks.some((check) => check.verifier === verifier && check.drawn === isDrawn))
    throw new ServiceError("conflict", `this verifier has said what came of ${hex(receipt)} already`);
  return { name: `verification ${hex(signed.keyId)} ${hex(receipt)} ${isDrawn}` };
}

function checkLot(fold: FoldState, { says, signed }: EntryOf<"lot">): { name: string } {
  const verifier = keyOf(signed.keyId);
  const own = hex(signed.keyId);
  const last = lastReveal(fold, verifier);
  if (says.action === "commit") {
    requireRelied(fold, signed, fold.timeSeconds);
    if (last !== undefined && keyOf(last) === keyOf(says.anchor))
      throw new ServiceError("conflict", "this verifier has committed to that chain already");
    return { name: `commit ${own} ${hex(says.anchor)}` };
  }
  const [due] = revealDue(fold, verifier);
  if (due !== says.epoch)
    throw new ServiceError(
      "conflict",
      due === undefined ? "no lot waits for this verifier" : `the lot of epoch entry ${due} waits for this verifier`,
    );
  if (last === undefined || !precedes(says.value, last))
    throw new ServiceError("invalid_request", "what is revealed does not hash to what this verifier revealed last");
  return { name: `reveal ${own} ${says.epoch}` };
}

function checkDispute(fold: FoldState, entry: EntryOf<"dispute">): { name: string } {
  const { says, signed } = entry;
  const { receipt } = says;
  if (says.ground === "label") return checkLabelDispute(fold, entry);
  if (!fold.receipts.has(keyOf(receipt))) throw unknownReceipt(receipt);
  if (fold.proofs.disputers.has(keyOf(receipt) + keyOf(signed.keyId)))
    throw new ServiceError("conflict", `this key disputes ${hex(receipt)} already`);
  return { name: `dispute ${hex(signed.keyId)} ${hex(receipt)}` };
}

function checkResolution(fold: FoldState, { says, signed }: EntryOf<"resolution">): { name: string } {
  const id = keyOf(says.dispute);
  const dispute = fold.proofs.disputes.get(id) ?? fold.demand.labelDisputes.get(id);
  if (dispute === undefined) throw new ServiceError("not_found", `the log has no dispute ${hex(says.dispute)}`);
  requireRelied(fold, signed, timeOf(fold, fold.receipts.get(dispute.receipt)?.index ?? fold.size));
  if (dispute.outcome !== undefined)
    throw new ServiceError("conflict", `the dispute ${hex(says.dispute)} is ${dispute.outcome} already`);
  return { name: `resolution ${hex(says.dispute)}` };
}

/** Only an earlier time adds anything to a revocation: of several the earliest counts. */
function checkRevocation(fold: FoldState, { says }: EntryOf<"revocation">): { name: string } {
  const { kind, since = 0 } = says;
  const root = keyOf(says.root);
  if (kind === "key" && fold.keys.get(root)?.role === "log")
    throw new ServiceError("forbidden", "every receipt rests on the log's own key, which changes by a handover");
  if ((fold.trust.revoked.get(rootName(kind, root)) ?? Number.POSITIVE_INFINITY) <= since)
    throw new ServiceError("conflict", `the ${kind} ${hex(says.root)} is revoked already, from that time or earlier`);
  return { name: `revocation ${kind} ${hex(says.root)}` };
}

/** What a revoked key says counts as nothing for what has that time, or none yet: the log is not to be filled with it. */
function requireRelied(fold: FoldState, { keyId }: Pick<Signed, "keyId">, timeSeconds: number | undefined): void {
  if (reliedBy(fold)("key", keyOf(keyId), timeSeconds)) return;
  throw new ServiceError(
    "forbidden",
    `the key ${hex(keyId)} is revoked, and what it says here counts as nothing: enrol another`,
  );
}

function unknownReceipt(id: Uint8Array): ServiceError {
  return new ServiceError("not_found", `no published receipt ${hex(id)}: wait a second for the next checkpoint`);
}
