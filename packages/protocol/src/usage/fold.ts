/** The fold itself: one entry after another, in the order of the log. Rules: docs/spec/usage.md. */
import { sha256 } from "#platform";
import { equal } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { type Authorization, type Entry, type EntryOf, parseAuthorization } from "../entry/entry.ts";
import { type Checkpoint, parseCheckpoint } from "../log/checkpoint.ts";
import { parseHandover } from "../log/handover.ts";
import { cosignatureTimeBy, cosignatureTimes } from "../log/note.ts";
import { isQuorum, parsePolicy } from "../log/policy.ts";
import { lowerMedian } from "../log/trust.ts";
import { parseManifest } from "../model/codec.ts";
import { priceOf } from "../model/price.ts";
import { brokenTerm } from "../receipt/terms.ts";
import { keyId, signedId } from "../sign/cose.ts";
import { applyDispute, applyResolution, applyVerification } from "./checks.ts";
import { closeDays } from "./closed-days.ts";
import { applyPrice, applySettlement, canPay } from "./credits.ts";
import { dayOf } from "./day.ts";
import { applyLot, expire, openLot } from "./lots.ts";
import { gradeAt } from "./regrade.ts";
import { type Cell, type DayTotal, type Event, type Exclusion, type FoldState, isOperator, keyOf } from "./state.ts";
import { applyAppraisal, applyReference, applyRevocation } from "./trust.ts";

/** The version of the rules; another rule is another version. */
export const RULES = "tallystick-usage-v5";

/** Takes the next entry into `fold`, which it changes. Total: whatever an entry says, the fold goes on. */
export function applyEntry(fold: FoldState, entry: Entry): void {
  const index = fold.size++;
  if (entry.kind === "key") applyKey(fold, index, entry);
  else if (entry.kind === "model") applyModel(fold, index, entry);
  else if (entry.kind === "grant") applyGrant(fold, index, entry);
  else if (entry.kind === "receipt") applyReceipt(fold, index, entry);
  else if (entry.kind === "acknowledgement") applyAcknowledgement(fold, index, entry);
  else if (entry.kind === "reliance") applyReliance(fold, index, entry);
  else if (entry.kind === "policy") applyPolicy(fold, entry);
  else if (entry.kind === "settlement") applySettlement(fold, index, entry);
  else if (entry.kind === "epoch") applyEpoch(fold, index, entry);
  else if (entry.kind === "lot") applyLot(fold, index, entry);
  else if (entry.kind === "verification") applyVerification(fold, entry);
  else if (entry.kind === "dispute") applyDispute(fold, entry);
  else if (entry.kind === "resolution") applyResolution(fold, entry);
  else if (entry.kind === "appraisal") applyAppraisal(fold, entry);
  else if (entry.kind === "reference") applyReference(fold, entry);
  else applyRevocation(fold, entry);
}

/** A key holds the first role it enrols for, for good; a retired key stays retired. */
function applyKey(fold: FoldState, index: number, { says }: EntryOf<"key">): void {
  const kid = keyOf(keyId(says.spki));
  const known = fold.keys.get(kid);
  if (says.action === "retire") {
    if (known !== undefined) known.retired = true;
  } else if (known === undefined)
    fold.keys.set(kid, { role: says.role, spki: says.spki.slice(), name: says.name, index, retired: false });
}

/** A revision is published once, by one publisher, who alone may yank it. */
function applyModel(fold: FoldState, index: number, { says, signed }: EntryOf<"model">): void {
  const revision = keyOf(says.revision);
  const publisher = keyOf(signed.keyId);
  const known = fold.models.get(revision);
  if (says.action === "yank") {
    if (known?.publisher === publisher) known.yanked = true;
  } else if (known === undefined && says.manifest !== undefined && keyOf(sha256(says.manifest)) === revision) {
    const manifest = orUndefined(() => parseManifest(says.manifest ?? new Uint8Array(0)));
    if (manifest === undefined) return;
    fold.models.set(revision, {
      revision: says.revision.slice(),
      manifest,
      priceAtomic: says.price ?? 0n,
      unitPriceAtomic: says.unitPrice ?? 0n,
      outputUnitPriceAtomic: says.outputUnitPrice ?? 0n,
      publisher,
      index,
      yanked: false,
    });
  }
}

function applyGrant(fold: FoldState, index: number, { says, signed }: EntryOf<"grant">): void {
  const session = keyOf(signedId(signed));
  if (fold.sessions.has(session) || !equal(says.gateway, signed.keyId)) return;
  const sessionKeyId = keyOf(keyId(says.sessionKey));
  fold.sessions.set(session, {
    index,
    custody: says.custody,
    payer: keyOf(says.payerTag),
    gateway: keyOf(signed.keyId),
    sessionKey: says.sessionKey.slice(),
    sessionKeyId,
    expiry: says.expiry,
    paymentClass: says.paymentClass,
    budgetAtomic: says.budget,
    spentAtomic: 0n,
    selfDealing: isOperator(fold, sessionKeyId),
    usedNonces: new Set(),
  });
}

function applyReceipt(fold: FoldState, index: number, entry: EntryOf<"receipt">): void {
  const node = keyOf(entry.signed.keyId);
  fold.nodeSequences.set(node, Math.max(fold.nodeSequences.get(node) ?? 0, entry.says.sequence + 1));
  const authorization = orUndefined(() => parseAuthorization(entry.says.authorization));
  if (authorization === undefined) return;
  const id = keyOf(signedId(authorization.signed));
  const statement = keyOf(signedId(entry.signed));
  const first = fold.receipts.get(id);
  if (first !== undefined) {
    // A receipt id counts at its lowest index. The same statement signed again says nothing new; another one is evidence.
    if (first.statement !== statement && !fold.equivocations.has(id))
      fold.equivocations.set(id, { index, signer: node });
    return;
  }
  const { says } = authorization;
  const session = fold.sessions.get(keyOf(says.session));
  const exclusion = exclude(fold, entry, authorization);
  // Only the session's own key uses up its nonces: else anybody with a node could spend another's.
  if (exclusion !== "unknown_session") session?.usedNonces.add(says.nonce);
  const payer = session?.payer ?? "";
  const openable = isOpenable(fold, entry, authorization);
  const receipt = {
    index,
    statement,
    model: keyOf(says.revision),
    custody: session?.custody ?? ("gateway" as const),
    payer,
    session: keyOf(says.session),
    decision: says.decision === undefined ? id : payer + keyOf(says.decision),
    exclusion,
    acknowledged: false,
    node,
    openable,
    asked: openable && says.tier === "reexecuted",
    attested: fold.trust.attested.get(node),
    tier: undefined,
  };
  fold.receipts.set(id, receipt);
  const { model, custody } = receipt;
  fold.untimed.push({ kind: "inference", index, receipt: id, model, custody, payer, exclusion });
  applyPrice(fold, id, receipt, entry.says.price, node);
}

/** Whether a lot may draw it. That it does not count as use is no reason: who asks itself may answer itself falsely. */
function isOpenable(fold: FoldState, { says }: EntryOf<"receipt">, { says: asked }: Authorization): boolean {
  const isHere = says.status === "ok" && says.provenance === "executed";
  // Which call a commitment for a circuit is to, no opening shows: only a proof speaks of it.
  const isOpen = asked.openness === "lot" && asked.request.alg === "sha256";
  return isHere && isOpen && fold.models.has(keyOf(asked.revision));
}

/** The first reason for which a receipt is gross and not valid. */
function exclude(
  fold: FoldState,
  { says, signed }: EntryOf<"receipt">,
  authorization: Authorization,
): Exclusion | undefined {
  const asked = authorization.says;
  const session = fold.sessions.get(keyOf(asked.session));
  const model = fold.models.get(keyOf(asked.revision));
  if (session === undefined || session.sessionKeyId !== keyOf(authorization.signed.keyId)) return "unknown_session";
  if (session.usedNonces.has(asked.nonce)) return "reused_nonce";
  if (fold.keys.get(keyOf(signed.keyId))?.role !== "node") return "unknown_node";
  if (model === undefined) return "unknown_model";
  if (model.yanked) return "yanked_model";
  if (says.status !== "ok") return "not_ok";
  if (brokenTerm(says, asked, session, model.manifest) !== undefined) return "broken_terms";
  if (says.price > priceOf(model, says.units, says.outputUnits)) return "overpriced";
  if (!canPay(fold, session, says.price)) return "unpaid";
  if (asked.traffic === "test") return "test_traffic";
  if (asked.traffic === "probe") return "probe_traffic";
  return session.selfDealing ? "self_dealing" : undefined;
}

function applyAcknowledgement(fold: FoldState, index: number, { says }: EntryOf<"acknowledgement">): void {
  const receipt = fold.receipts.get(keyOf(says.receipt));
  if (receipt === undefined || receipt.acknowledged || receipt.exclusion !== undefined) return;
  receipt.acknowledged = true;
  fold.untimed.push({ kind: "acknowledgement", index, model: receipt.model, custody: receipt.custody });
}

/** A decision is relied on once, however many calls are behind it and however many say so. */
function applyReliance(fold: FoldState, index: number, { says, signed }: EntryOf<"reliance">): void {
  const receipt = fold.receipts.get(keyOf(says.receipt));
  const relier = fold.keys.get(keyOf(signed.keyId));
  if (receipt === undefined || receipt.exclusion !== undefined || relier?.role !== "relier") return;
  const statement = keyOf(signed.keyId) + receipt.decision;
  if (!fold.reliances.has(statement)) fold.reliances.set(statement, index);
  const firstOfDecision = addTo(fold.reliedDecisions, receipt.decision);
  const firstOfModel = addTo(fold.reliedByModel, receipt.decision + receipt.model);
  if (!firstOfModel) return;
  fold.untimed.push({
    kind: "reliance",
    index,
    model: receipt.model,
    custody: receipt.custody,
    firstOfDecision,
    firstOfModel,
  });
}

/** From here on this policy says whose cosignatures give epochs their time. What cannot be read changes nothing. */
function applyPolicy(fold: FoldState, { says }: EntryOf<"policy">): void {
  const policy = orUndefined(() => parsePolicy(says.policy));
  const handover = orUndefined(() => says.handover && parseHandover(says.handover));
  if (policy?.logs.length !== 1 || (says.handover !== undefined && handover === undefined)) return;
  fold.policy = policy;
  fold.policyDigest = keyOf(sha256(says.policy));
  if (handover !== undefined) fold.handovers.push(handover);
}

/** When the checkpoint was seen: by a quorum of the policy's witnesses, or by the log itself before it has any. */
function timeOfCheckpoint({ policy }: FoldState, { note, origin }: Checkpoint): number | undefined {
  if (policy === undefined || policy.quorum.kind === "none") return lowerMedian(cosignatureTimes(note, origin));
  const times = new Map(policy.witnesses.map(({ key }) => [key, cosignatureTimeBy(note, key)]));
  if (!isQuorum(policy.quorum, (key) => times.get(key) !== undefined)) return undefined;
  return lowerMedian([...times.values()].filter((time) => time !== undefined));
}

/** Gives every entry that this epoch is the first to cover its time: the lower median of the cosignature times. */
function applyEpoch(fold: FoldState, index: number, { says, signed }: EntryOf<"epoch">): void {
  const checkpoint = orUndefined(() => parseCheckpoint(says.checkpoint));
  if (checkpoint === undefined || checkpoint.size >= fold.size) return;
  const timeSeconds = timeOfCheckpoint(fold, checkpoint);
  if (timeSeconds === undefined || checkpoint.size <= (fold.epochs.at(-1)?.size ?? 0)) return;
  fold.epochs.push({ size: checkpoint.size, timeSeconds, index });
  fold.timeSeconds = timeSeconds; // The last, not the latest: one wrong clock is not for ever.
  expire(fold, timeSeconds);
  const day = dayOf(timeSeconds);
  const uncovered = fold.untimed.findIndex((event) => event.index >= checkpoint.size);
  const covered = fold.untimed.splice(0, uncovered < 0 ? fold.untimed.length : uncovered);
  for (const event of covered) {
    count(fold, day, event);
    const receipt = event.kind === "inference" ? fold.receipts.get(event.receipt) : undefined;
    if (event.kind === "inference" && receipt) gradeAt(fold, event.receipt, receipt, timeSeconds, day);
  }
  openLot(fold, signed.bytes, covered);
  if (covered.length > 0 && !fold.closedDays.has(day)) fold.unclosed.add(day);
  closeDays(fold, timeSeconds);
}

/** Cells and days by name: the part of the fold that events are counted into. */
export type Tally = { cells: Map<string, Cell>; days: Map<string, DayTotal> };

/** Counts one event on `day`. */
export function count({ cells, days }: Tally, day: string, event: Event): void {
  const cell = cellOf(cells, day, event);
  const total = dayTotalOf(days, day);
  if (event.kind === "acknowledgement") cell.acknowledged++;
  else if (event.kind === "payment") {
    cell.revenue.grossAtomic += event.priceAtomic;
    cell.revenue.subsidisedAtomic += event.subsidisedAtomic;
  } else if (event.kind === "refund") {
    cell.revenue.refundedAtomic += event.amountAtomic;
    cell.revenue.subsidisedAtomic -= event.subsidisedAtomic;
  } else if (event.kind === "reliance") {
    cell.reliedOn++;
    if (event.firstOfDecision) total.decisionsReliedOn++;
  } else {
    cell.gross++;
    if (event.exclusion !== undefined)
      cell.exclusions.set(event.exclusion, (cell.exclusions.get(event.exclusion) ?? 0) + 1);
    else {
      cell.valid++;
      cell.requesters.add(event.payer);
      total.requesters.add(event.payer);
    }
  }
}

function cellOf(cells: Map<string, Cell>, day: string, { model, custody }: Event): Cell {
  const name = `${day} ${custody} ${model}`;
  let cell = cells.get(name);
  if (cell === undefined) {
    const counts = { gross: 0, valid: 0, acknowledged: 0, reliedOn: 0 };
    const revenue = { grossAtomic: 0n, refundedAtomic: 0n, subsidisedAtomic: 0n };
    cell = { day, model, custody, ...counts, revenue, requesters: new Set(), exclusions: new Map() };
    cells.set(name, cell);
  }
  return cell;
}

function dayTotalOf(days: Map<string, DayTotal>, day: string): DayTotal {
  let total = days.get(day);
  if (total === undefined) {
    total = { requesters: new Set(), decisionsReliedOn: 0 };
    days.set(day, total);
  }
  return total;
}

function addTo<T>(set: Set<T>, value: T): boolean {
  return set.size !== set.add(value).size;
}

/** What `parse` gives, or undefined where its bytes are malformed: the fold is total. */
function orUndefined<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}
