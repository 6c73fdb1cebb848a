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
import { count, countWithReceipt } from "./counting.ts";
import { addOne } from "./counts.ts";
import { applyPrice, applySettlement, canPay, fundingOf } from "./credits.ts";
import { dayOf } from "./day.ts";
import { type Fact, findFact, laneOf, NO_MODEL } from "./lanes.ts";
import { applyLot, expire, openLot } from "./lots.ts";
import { gradeAt } from "./regrade.ts";
import { addRelied } from "./relied.ts";
import {
  type Asked,
  addEpoch,
  type Exclusion,
  type FoldState,
  isOperator,
  type Key,
  keyOf,
  type PublishedModel,
  type Session,
  timeOf,
} from "./state.ts";
import { applyAffiliation, applyRecomputation, applyReversal, applySnapshot } from "./statements.ts";
import { applyAppraisal, applyReference, applyRevocation } from "./trust.ts";

/** The version of the rules; another rule is another version. */
export const RULES = "tallystick-usage-v7";

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
  else if (entry.kind === "verification") applyVerification(fold, index, entry);
  else if (entry.kind === "dispute") applyDispute(fold, entry);
  else if (entry.kind === "resolution") applyResolution(fold, entry);
  else if (entry.kind === "appraisal") applyAppraisal(fold, entry);
  else if (entry.kind === "reference") applyReference(fold, entry);
  else if (entry.kind === "revocation") applyRevocation(fold, entry);
  else if (entry.kind === "affiliation") applyAffiliation(fold, entry);
  else if (entry.kind === "reversal") applyReversal(fold, index, entry);
  else if (entry.kind === "snapshot") applySnapshot(fold, index, entry);
  else applyRecomputation(fold, index, entry);
}

/** A key holds the first role it enrols for, for good; a retired key stays retired. */
function applyKey(fold: FoldState, index: number, { says }: EntryOf<"key">): void {
  const kid = keyOf(keyId(says.spki));
  const known = fold.keys.get(kid);
  if (says.action === "retire") {
    if (known !== undefined) known.retired = true;
  } else if (known === undefined) {
    const { role, name, domain } = says;
    const own = role === "relier" ? domain : undefined;
    fold.keys.set(kid, { role, spki: says.spki.slice(), name, domain: own, index, retired: false });
  }
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
    id: session,
    index,
    custody: says.custody,
    payer: keyOf(says.payerTag),
    tagMode: says.tagMode,
    app: says.app,
    gateway: keyOf(signed.keyId),
    sessionKey: says.sessionKey.slice(),
    sessionKeyId,
    expiry: says.expiry,
    paymentClass: says.paymentClass,
    budgetAtomic: says.budget,
    spentAtomic: 0n,
    selfDealing: isOperator(fold, sessionKeyId),
    usedNonces: new Set(),
    lane: undefined,
  });
}

function applyReceipt(fold: FoldState, index: number, entry: EntryOf<"receipt">): void {
  const node = entry.signed.keyIdLatin1;
  fold.nodeSequences.set(node, Math.max(fold.nodeSequences.get(node) ?? 0, entry.says.sequence + 1));
  const authorization = orUndefined(() => parseAuthorization(entry.says.authorization));
  if (authorization === undefined) return;
  const id = authorization.signed.idLatin1;
  const statement = entry.signed.idLatin1;
  const first = fold.receipts.get(id);
  if (first !== undefined) {
    // A receipt id counts at its lowest index. The same statement signed again says nothing new; another one by the same key
    // is evidence. Another node's is none: whoever reads the log can take the authorization out of a receipt and sign around it.
    if (first.node === node && first.statement !== statement && !fold.equivocations.has(id))
      fold.equivocations.set(id, { index, signer: node });
    return;
  }
  const { says } = authorization;
  const named = keyOf(says.session);
  const session = fold.sessions.get(named);
  const revision = keyOf(says.revision);
  const model = fold.models.get(revision);
  // What nobody published is of no model: else whoever names digests makes rows by them.
  const ofModel = model === undefined ? NO_MODEL : revision;
  const exclusion = exclude(fold, entry, authorization, { session, model, node });
  // Only the session's own key uses up its nonces: else anybody with a node could spend another's.
  if (exclusion !== "unknown_session") session?.usedNonces.add(says.nonce);
  const payment = applyPrice(fold, id, session, exclusion, entry.says.price, node);
  const lane = laneOf(fold.demand, session, { funding: fundingOf(payment), model: ofModel, node });
  const openable = model !== undefined && isOpenable(entry, authorization);
  const decision = says.decision && keyOf(says.decision);
  fold.receipts.set(id, {
    index,
    statement,
    model: lane.model,
    custody: lane.custody,
    payer: lane.payer,
    session: session?.id ?? named,
    decision: decision === undefined ? id : lane.payer + decision,
    exclusion,
    acknowledged: false,
    node: lane.node,
    openable,
    asked: openable && says.tier === "reexecuted",
    attested: fold.trust.attested.get(node),
    tier: undefined,
    lane,
  });
  const { status, units, outputUnits, price } = entry.says;
  const asked: Asked = { tier: says.tier, decision, status, outputUnits, priceAtomic: price };
  // What does not count as use is no revenue either.
  const { priceAtomic, subsidisedAtomic } = (exclusion === undefined && payment) || NOTHING_PAID;
  // One literal: of spreads the engine makes objects several times as slow.
  fold.untimed.push({
    kind: "inference",
    index,
    lane,
    receipt: id,
    exclusion,
    units,
    outputUnits: outputUnits ?? 0,
    priceAtomic,
    subsidisedAtomic,
    asked,
  });
}

const NOTHING_PAID = { priceAtomic: 0n, subsidisedAtomic: 0n };

/** Whether a lot may draw it. That it does not count as use is no reason: who asks itself may answer itself falsely. */
function isOpenable({ says }: EntryOf<"receipt">, { says: asked }: Authorization): boolean {
  const isHere = says.status === "ok" && says.provenance === "executed";
  // Which call a commitment for a circuit is to, no opening shows: only a proof speaks of it.
  const isOpen = asked.openness === "lot" && asked.request.alg === "sha256";
  return isHere && isOpen;
}

/** The first reason for which a receipt is gross and not valid. */
function exclude(
  fold: FoldState,
  { says }: EntryOf<"receipt">,
  authorization: Authorization,
  { session, model, node }: { session: Session | undefined; model: PublishedModel | undefined; node: Key },
): Exclusion | undefined {
  const asked = authorization.says;
  if (session === undefined || session.sessionKeyId !== authorization.signed.keyIdLatin1) return "unknown_session";
  if (session.usedNonces.has(asked.nonce)) return "reused_nonce";
  if (fold.keys.get(node)?.role !== "node") return "unknown_node";
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
  const id = keyOf(says.receipt);
  const receipt = fold.receipts.get(id);
  if (receipt === undefined || receipt.acknowledged || receipt.exclusion !== undefined) return;
  receipt.acknowledged = true;
  fold.untimed.push({ kind: "acknowledgement", index, lane: receipt.lane, receipt: id });
}

/** A decision is relied on once, however many calls are behind it and however many say so. */
function applyReliance(fold: FoldState, index: number, { says, signed }: EntryOf<"reliance">): void {
  const receipt = fold.receipts.get(keyOf(says.receipt));
  const relier = fold.keys.get(keyOf(signed.keyId));
  if (receipt === undefined || receipt.exclusion !== undefined || relier?.role !== "relier") return;
  // No rule reads a contract yet: what is said to stand behind it would be the relier's word alone.
  if (says.class !== undefined && says.class !== "stated") return;
  const statement = keyOf(signed.keyId) + receipt.decision;
  addRelied(fold, statement, {
    index,
    relier: keyOf(signed.keyId),
    receipt: keyOf(says.receipt),
    decision: receipt.decision,
    purpose: says.purpose,
    valueBucket: says.valueBucket,
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
  const coveredSize = fold.epochs.at(-1)?.size ?? 0;
  if (timeSeconds === undefined || checkpoint.size <= coveredSize) return;
  addEpoch(fold, { size: checkpoint.size, timeSeconds, index });
  fold.timeSeconds = timeSeconds; // The last, not the latest: one wrong clock is not for ever.
  expire(fold, timeSeconds);
  const day = dayOf(timeSeconds);
  if (!fold.dayStarts.has(day)) fold.dayStarts.set(day, coveredSize);
  const uncovered = fold.untimed.findIndex((event) => event.index >= checkpoint.size);
  const covered = fold.untimed.splice(0, uncovered < 0 ? fold.untimed.length : uncovered);
  for (const event of covered) {
    const fact = count(fold, day, timeSeconds, event);
    if (event.kind === "inference") dateReceipt(fold, event.receipt, fact, day, timeSeconds);
    else if (event.kind === "verification") countLag(fold, event.receipt, timeSeconds);
    else if (event.kind !== "reliance") countWithReceipt(fold, event);
  }
  openLot(fold, signed.bytes, covered);
  if (covered.some(({ kind }) => kind !== "verification") && !fold.closedDays.has(day)) fold.unclosed.add(day);
  closeDays(fold, timeSeconds);
}

/** Gives a receipt its time: from here on it is graded, and whatever changes its grade finds what it is counted in. */
function dateReceipt(fold: FoldState, id: Key, fact: Fact | undefined, day: string, timeSeconds: number): void {
  const receipt = fold.receipts.get(id);
  if (receipt === undefined) return;
  const { firstCalls } = fold.demand;
  const pair = receipt.payer + receipt.model;
  if (receipt.exclusion === undefined && !firstCalls.has(pair)) firstCalls.set(pair, timeSeconds);
  gradeAt(fold, id, receipt, { timeSeconds, day, fact });
}

/** How long a valid receipt waited for its first passed verification. */
function countLag(fold: FoldState, id: Key, timeSeconds: number): void {
  const receipt = fold.receipts.get(id);
  const since = receipt && timeOf(fold, receipt.index);
  if (receipt === undefined || receipt.exclusion !== undefined || since === undefined) return;
  const fact = findFact(fold.demand, dayOf(since), since, receipt.lane);
  if (fact !== undefined) addOne(fact.lags, Math.max(0, timeSeconds - since));
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
