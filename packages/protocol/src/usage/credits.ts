/** The folds of money: what payers have, what receipts cost them, what that earns. Rules: docs/spec/usage.md, "Credits". */
import type { EntryOf } from "../entry/entry.ts";
import type { SettlementPayload } from "../entry/settlement.ts";
import { signedId } from "../sign/cose.ts";
import type { Credits, Payee, Payer, Payment, SettlementFault } from "./credits-state.ts";
import type { Funding } from "./lanes.ts";
import { type Exclusion, type FoldState, isOperator, type Key, keyOf, type Session } from "./state.ts";

/** What a payer may still spend. */
export function balanceOf({ credits }: FoldState, payer: Key): bigint {
  const account = credits.payers.get(payer);
  return account === undefined ? 0n : account.toppedUpAtomic - account.spentAtomic + account.refundedAtomic;
}

/** What a payee has earned and not been paid; under 0 where a refund came after the payout. */
export function owedTo({ credits }: FoldState, payee: Key): bigint {
  const account = credits.payees.get(payee);
  return account === undefined ? 0n : account.earnedAtomic - account.paidOutAtomic;
}

/** What of a price each payee earns: 20 % the publisher, 10 % the gateway, rounded down; the node the rest. */
export function splitPrice(amountAtomic: bigint): { node: bigint; publisher: bigint; gateway: bigint } {
  const publisher = (amountAtomic * 20n) / 100n;
  const gateway = (amountAtomic * 10n) / 100n;
  return { node: amountAtomic - publisher - gateway, publisher, gateway };
}

/** Whether a receipt of this session may cost `priceAtomic` by what is in the log before it. */
export function canPay(fold: FoldState, session: Session, priceAtomic: bigint): boolean {
  if (priceAtomic === 0n) return true;
  if (session.paymentClass !== "credits") return false;
  return priceAtomic <= session.budgetAtomic - session.spentAtomic && priceAtomic <= balanceOf(fold, session.payer);
}

/** Exclusions that say something of who asked, and nothing against the price. */
const PAID_FOR: readonly (Exclusion | undefined)[] = [undefined, "test_traffic", "probe_traffic", "self_dealing"];

/** Takes a receipt's price from its payer, and says what it was paid with; undefined where nothing is paid. */
export function applyPrice(
  fold: FoldState,
  id: Key,
  session: Session | undefined,
  exclusion: Exclusion | undefined,
  priceAtomic: bigint,
  node: Key,
): Payment | undefined {
  if (priceAtomic === 0n || session === undefined || !PAID_FOR.includes(exclusion)) return undefined;
  const { credits } = fold;
  const payer = payerOf(credits, session.payer);
  // What others may give is spent last, or a gift would take calls that the payer's own money pays for out of organic.
  const othersAtomic = payer.subsidyLeftAtomic + payer.unattributedLeftAtomic;
  const namedAtomic = least(priceAtomic, balanceOf(fold, session.payer) - othersAtomic);
  const unattributedAtomic = least(priceAtomic - namedAtomic, payer.unattributedLeftAtomic);
  const subsidisedAtomic = priceAtomic - namedAtomic - unattributedAtomic;
  payer.subsidyLeftAtomic -= subsidisedAtomic;
  payer.unattributedLeftAtomic -= unattributedAtomic;
  payer.spentAtomic += priceAtomic;
  session.spentAtomic += priceAtomic;
  const parts = { priceAtomic, subsidisedAtomic, unattributedAtomic, refundedAtomic: 0n };
  const payment: Payment = { ...parts, node, charged: false };
  credits.payments.set(id, payment);
  credits.uncharged.add(id);
  return payment;
}

/** Whose money a payment is: by half of it or more, since a part that anybody may give would say nothing of the rest. */
export function fundingOf(payment: Payment | undefined): Funding {
  if (payment === undefined) return "free";
  const { priceAtomic, subsidisedAtomic, unattributedAtomic } = payment;
  if (2n * subsidisedAtomic >= priceAtomic) return "subsidised";
  return 2n * (subsidisedAtomic + unattributedAtomic) >= priceAtomic ? "unattributed" : "funded";
}

/** A settlement counts once, and as nothing where it has a fault. */
export function applySettlement(fold: FoldState, index: number, { says, signed }: EntryOf<"settlement">): void {
  const { settled, faults } = fold.credits;
  const statement = keyOf(signedId(signed));
  if (settled.has(statement)) return;
  settled.add(statement);
  const fault = settle(fold, index, says, keyOf(signed.keyId));
  if (fault !== undefined) faults.set(fault, (faults.get(fault) ?? 0) + 1);
}

function settle(fold: FoldState, index: number, says: SettlementPayload, gateway: Key): SettlementFault | undefined {
  if (says.action === "topup") return topUp(fold, index, says);
  if (says.action === "charge") return charge(fold, says, gateway);
  if (says.action === "refund") return refund(fold, index, says, gateway);
  return payOut(fold, says);
}

type Says<A extends SettlementPayload["action"]> = Extract<SettlementPayload, { action: A }>;

function topUp(fold: FoldState, index: number, says: Says<"topup">): SettlementFault | undefined {
  const { credits, demand } = fold;
  if (credits.references.has(keyOf(says.reference))) return "reused_reference";
  credits.references.add(keyOf(says.reference));
  const tag = keyOf(says.payerTag);
  const payer = payerOf(credits, tag);
  const funder = says.funder && keyOf(says.funder);
  const isOperators = says.source === "operator" || (funder !== undefined && isOperator(fold, funder));
  payer.toppedUpAtomic += says.amount;
  demand.funded.push({ index, payer: tag, funder, amountAtomic: says.amount, isOperators });
  if (isOperators) {
    payer.subsidisedAtomic += says.amount;
    payer.subsidyLeftAtomic += says.amount;
  } else if (funder === undefined) payer.unattributedLeftAtomic += says.amount;
  return undefined;
}

function charge(fold: FoldState, says: Says<"charge">, gateway: Key): SettlementFault | undefined {
  const { credits, receipts } = fold;
  const ids = new Set<Key>();
  let total = 0n;
  for (const id of says.receipts.map(keyOf)) {
    const [payment, receipt] = [credits.payments.get(id), receipts.get(id)];
    if (payment === undefined || receipt === undefined) return "unknown_receipt";
    if (receipt.payer !== keyOf(says.payerTag)) return "wrong_payer";
    if (receipt.lane.gateway !== gateway) return "wrong_gateway";
    if (payment.charged || ids.has(id)) return "charged_twice";
    ids.add(id);
    total += payment.priceAtomic - payment.refundedAtomic;
  }
  if (total !== says.amount) return "wrong_amount";
  for (const id of ids) {
    const payment = credits.payments.get(id);
    if (payment === undefined) continue;
    payment.charged = true;
    credits.uncharged.delete(id);
    earn(fold, id, payment, payment.priceAtomic - payment.refundedAtomic, 1n);
  }
  payerOf(credits, keyOf(says.payerTag)).chargedAtomic += total;
  return undefined;
}

function refund(fold: FoldState, index: number, says: Says<"refund">, gateway: Key): SettlementFault | undefined {
  const { credits } = fold;
  const id = keyOf(says.receipt);
  const payment = credits.payments.get(id);
  const receipt = fold.receipts.get(id);
  if (payment === undefined || receipt === undefined) return "unknown_receipt";
  if (receipt.payer !== keyOf(says.payerTag)) return "wrong_payer";
  if (receipt.lane.gateway !== gateway) return "wrong_gateway";
  if (payment.refundedAtomic > 0n) return "refunded_twice";
  if (says.amount === 0n || says.amount > payment.priceAtomic) return "wrong_amount";
  payment.refundedAtomic = says.amount;
  // The payer's own money first: what is left of a price that was partly subsidised is the subsidy.
  const ownAtomic = payment.priceAtomic - payment.subsidisedAtomic;
  const subsidisedAtomic = says.amount - least(says.amount, ownAtomic);
  // Of that part, first the money whose funder is known, as it was spent.
  const returnedAtomic = says.amount - subsidisedAtomic;
  const unattributedAtomic = returnedAtomic - least(returnedAtomic, ownAtomic - payment.unattributedAtomic);
  const payer = payerOf(credits, receipt.payer);
  payer.refundedAtomic += says.amount;
  payer.subsidyLeftAtomic += subsidisedAtomic;
  payer.unattributedLeftAtomic += unattributedAtomic;
  if (payment.charged) {
    earn(fold, id, payment, payment.priceAtomic, -1n);
    earn(fold, id, payment, payment.priceAtomic - says.amount, 1n);
  }
  if (receipt.exclusion !== undefined) return undefined;
  fold.demand.refunds.push({ index, receipt: id, amountAtomic: says.amount, subsidisedAtomic });
  const { lane } = receipt;
  fold.untimed.push({ kind: "refund", index, lane, receipt: id, amountAtomic: says.amount, subsidisedAtomic });
  return undefined;
}

function payOut(fold: FoldState, says: Says<"payout">): SettlementFault | undefined {
  const { credits } = fold;
  const reference = keyOf(says.reference);
  if (credits.references.has(reference)) return "reused_reference";
  const payee = keyOf(says.payee);
  if (says.amount > owedTo(fold, payee)) return "overpaid";
  credits.references.add(reference);
  payeeOf(credits, payee).paidOutAtomic += says.amount;
  return undefined;
}

/** Gives `amountAtomic` of a receipt's price to those who earned it, or takes it back. */
function earn(
  { credits, receipts, models, sessions }: FoldState,
  id: Key,
  by: Payment,
  amount: bigint,
  sign: 1n | -1n,
) {
  const receipt = receipts.get(id);
  const share = splitPrice(amount);
  const publisher = models.get(receipt?.model ?? "")?.publisher ?? "";
  const gateway = sessions.get(receipt?.session ?? "")?.gateway ?? "";
  payeeOf(credits, by.node).earnedAtomic += sign * share.node;
  payeeOf(credits, publisher).earnedAtomic += sign * share.publisher;
  payeeOf(credits, gateway).earnedAtomic += sign * share.gateway;
}

function payerOf({ payers }: Credits, tag: Key): Payer {
  let payer = payers.get(tag);
  if (payer === undefined) {
    const none = { toppedUpAtomic: 0n, subsidisedAtomic: 0n, spentAtomic: 0n, chargedAtomic: 0n };
    payer = { ...none, refundedAtomic: 0n, subsidyLeftAtomic: 0n, unattributedLeftAtomic: 0n };
    payers.set(tag, payer);
  }
  return payer;
}

function payeeOf({ payees }: Credits, key: Key): Payee {
  let payee = payees.get(key);
  if (payee === undefined) {
    payee = { earnedAtomic: 0n, paidOutAtomic: 0n };
    payees.set(key, payee);
  }
  return payee;
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
