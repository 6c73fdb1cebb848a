/** The money of docs/spec/usage.md, "Credits", by its definitions: each amount is asked of all settlements and bills. */
import {
  type CreditFigures,
  type EarningFigures,
  type Entry,
  type EntryOf,
  type Funding,
  hex,
  keyId,
  type Revenue,
  type Role,
  type SettlementFault,
  type SettlementPayload,
  signedId,
} from "@tallystick/protocol";

/** What one receipt cost. */
export type Bill = {
  at: number;
  id: string;
  model: string;
  payer: string;
  session: string;
  price: bigint;
  /** Whether the receipt is valid, and so its price revenue. */
  counts: boolean;
  node: string;
  publisher: string | undefined;
  gateway: string;
};

/** Whose money it is, in the order in which it is spent and given back: of a named funder, of nobody named, of an operator. */
const SOURCES = ["named", "unnamed", "operator"] as const;
type Parts = Record<(typeof SOURCES)[number], bigint>;

type Settled = { at: number; says: SettlementPayload; fault: SettlementFault | undefined };
type Good<A extends SettlementPayload["action"]> = { at: number; says: Extract<SettlementPayload, { action: A }> };
export type RevenueEvent = Pick<Bill, "at" | "model"> & {
  gross: bigint;
  refunded: bigint;
  subsidy: bigint;
};

const sum = <T>(items: readonly T[], amountOf: (item: T) => bigint) =>
  items.reduce((all, item) => all + amountOf(item), 0n);

export class SlowMoney {
  readonly #entries: readonly Entry[];
  readonly #bills: readonly Bill[];
  readonly #settled: readonly Settled[];

  constructor(entries: readonly Entry[], bills: readonly Bill[]) {
    this.#entries = entries;
    this.#bills = bills;
    this.#settled = this.#judge();
  }

  /** Every settlement at its lowest index, with what is wrong with it by those before it. */
  #judge(): Settled[] {
    const all = this.#entries.flatMap((entry, at) => (entry.kind === "settlement" ? [{ at, entry }] : []));
    const idOf = ({ entry }: { entry: EntryOf<"settlement"> }) => hex(signedId(entry.signed));
    const unique = all.filter((some, i) => all.findIndex((other) => idOf(other) === idOf(some)) === i);
    const settled: Settled[] = [];
    for (const { at, entry } of unique)
      settled.push({ at, says: entry.says, fault: this.#faultOf(entry, at, settled) });
    return settled;
  }

  #faultOf(
    { says, signed }: EntryOf<"settlement">,
    at: number,
    before: readonly Settled[],
  ): SettlementFault | undefined {
    const billOf = (id: Uint8Array) => this.#bills.find((bill) => bill.at < at && bill.id === hex(id));
    if (says.action === "topup" || says.action === "payout") {
      const used = [...good("topup", before), ...good("payout", before)];
      if (used.some((other) => hex(other.says.reference) === hex(says.reference))) return "reused_reference";
      if (says.action === "payout" && says.amount > this.#owed(hex(says.payee), before)) return "overpaid";
      return undefined;
    }
    if (says.action === "refund") {
      const bill = billOf(says.receipt);
      if (bill === undefined) return "unknown_receipt";
      if (bill.payer !== hex(says.payerTag)) return "wrong_payer";
      if (bill.gateway !== hex(signed.keyId)) return "wrong_gateway";
      if (refundOf(bill.id, before) > 0n) return "refunded_twice";
      return says.amount === 0n || says.amount > bill.price ? "wrong_amount" : undefined;
    }
    const charged = good("charge", before).flatMap((other) => other.says.receipts.map(hex));
    for (const [i, id] of says.receipts.entries()) {
      const bill = billOf(id);
      if (bill === undefined) return "unknown_receipt";
      if (bill.payer !== hex(says.payerTag)) return "wrong_payer";
      if (bill.gateway !== hex(signed.keyId)) return "wrong_gateway";
      const isNamedBefore = says.receipts.slice(0, i).some((other) => hex(other) === hex(id));
      if (charged.includes(hex(id)) || isNamedBefore) return "charged_twice";
    }
    const due = sum(says.receipts, (id) => (billOf(id)?.price ?? 0n) - refundOf(hex(id), before));
    return due === says.amount ? undefined : "wrong_amount";
  }

  faults(): Partial<Record<SettlementFault, number>> {
    const faults = this.#settled.flatMap(({ fault }) => fault ?? []);
    const names = [...new Set(faults)].sort();
    return Object.fromEntries(names.map((name) => [name, faults.filter((fault) => fault === name).length]));
  }

  balanceOf(payer: string): bigint {
    const own = good("topup", this.#settled).filter(({ says }) => hex(says.payerTag) === payer);
    const bills = this.#bills.filter((bill) => bill.payer === payer);
    return sum(own, ({ says }) => says.amount) - sum(bills, (bill) => bill.price - refundOf(bill.id, this.#settled));
  }

  topUps(): Good<"topup">[] {
    return good("topup", this.#settled);
  }

  credits(): CreditFigures {
    const topups = good("topup", this.#settled);
    const refunded = sum(good("refund", this.#settled), ({ says }) => says.amount);
    const [toppedUp, spent] = [sum(topups, ({ says }) => says.amount), sum(this.#bills, ({ price }) => price)];
    const payers = new Set([...topups.map(({ says }) => hex(says.payerTag)), ...this.#bills.map(({ payer }) => payer)]);
    return {
      payers: payers.size,
      toppedUp: String(toppedUp),
      subsidised: String(sum(topups, (some) => (this.#sourceOf(some) === "operator" ? some.says.amount : 0n))),
      spent: String(spent),
      charged: String(sum(good("charge", this.#settled), ({ says }) => says.amount)),
      refunded: String(refunded),
      balance: String(toppedUp - spent + refunded),
    };
  }

  #sourceOf({ at, says: { source, funder } }: Good<"topup">): keyof Parts {
    const role = this.#entries
      .slice(0, at)
      .flatMap((entry) => (entry.kind === "key" && entry.says.action === "enrol" ? [entry.says] : []))
      .find(({ spki }) => funder !== undefined && hex(keyId(spki)) === hex(funder))?.role;
    if (source === "operator" || (role !== undefined && !["relier", "disputer", "auditor"].includes(role)))
      return "operator";
    return funder === undefined ? "unnamed" : "named";
  }

  /** What each bill was paid with, by bill: of each source what had been given, and was not used before. */
  #parts(): Map<string, Parts> {
    const parts = new Map<string, Parts>();
    for (const bill of this.#bills) {
      const given = good("topup", this.#settled).filter(
        (some) => some.at < bill.at && hex(some.says.payerTag) === bill.payer,
      );
      const earlier = this.#bills.filter((other) => other.at < bill.at && other.payer === bill.payer);
      const before = this.#settled.filter(({ at }) => at < bill.at);
      const used = earlier.map((other) => {
        const paid = parts.get(other.id) ?? NOTHING;
        return { paid, back: backOf(paid, refundOf(other.id, before)) };
      });
      const left = { ...NOTHING };
      for (const source of SOURCES) {
        const own = given.filter((some) => this.#sourceOf(some) === source);
        left[source] = sum(own, ({ says }) => says.amount) - sum(used, ({ paid, back }) => paid[source] - back[source]);
      }
      parts.set(bill.id, backOf(left, bill.price));
    }
    return parts;
  }

  /** Whose money each bill was, by bill: of a payer's own only where more than half of the price was that. */
  fundings(): Map<string, Funding> {
    const isHalf = (amount: bigint, price: bigint) => amount + amount >= price;
    const fundingOf = ({ named, unnamed, operator }: Parts): Funding => {
      const price = named + unnamed + operator;
      if (isHalf(operator, price)) return "subsidised";
      return isHalf(named, price) && named + named !== price ? "funded" : "unattributed";
    };
    return new Map([...this.#parts()].map(([id, parts]) => [id, fundingOf(parts)]));
  }

  /** What revenue comes of, each bill and each refund on its own. */
  revenues(): RevenueEvent[] {
    const parts = this.#parts();
    const bills = this.#bills.map((bill) => ({
      ...bill,
      gross: bill.price,
      refunded: 0n,
      subsidy: parts.get(bill.id)?.operator ?? 0n,
    }));
    const refunds = good("refund", this.#settled).flatMap(({ at, says }) => {
      const bill = this.#bills.find(({ id }) => id === hex(says.receipt));
      if (bill === undefined) return [];
      const subsidy = -backOf(parts.get(bill.id) ?? NOTHING, says.amount).operator;
      return [{ ...bill, at, gross: 0n, refunded: says.amount, subsidy }];
    });
    return [...bills, ...refunds].filter(({ counts }) => counts);
  }

  revenueOf(events: readonly RevenueEvent[]): Revenue {
    const [gross, refunded] = [sum(events, (some) => some.gross), sum(events, (some) => some.refunded)];
    const [net, subsidised] = [gross - refunded, sum(events, ({ subsidy }) => subsidy)].map(String);
    return { gross: String(gross), refunded: String(refunded), net: net ?? "", subsidised: subsidised ?? "" };
  }

  #earned(payee: string, settled: readonly Settled[]): bigint {
    const charged = good("charge", settled).flatMap(({ says }) => says.receipts.map(hex));
    return sum(
      this.#bills.filter(({ id }) => charged.includes(id)),
      (bill) => {
        const amount = bill.price - refundOf(bill.id, settled);
        const [publisher, gateway] = [amount / 5n, amount / 10n];
        const shares: [string | undefined, bigint][] = [
          [bill.node, amount - publisher - gateway],
          [bill.publisher, publisher],
          [bill.gateway, gateway],
        ];
        return sum(
          shares.filter(([key]) => key === payee),
          ([, share]) => share,
        );
      },
    );
  }

  #paidOut(payee: string, settled: readonly Settled[]): bigint {
    return sum(
      good("payout", settled).filter(({ says }) => hex(says.payee) === payee),
      ({ says }) => says.amount,
    );
  }

  #owed(payee: string, settled: readonly Settled[]): bigint {
    return this.#earned(payee, settled) - this.#paidOut(payee, settled);
  }

  earnings(roleOf: (key: string) => Role | null): EarningFigures[] {
    const charged = good("charge", this.#settled).flatMap(({ says }) => says.receipts.map(hex));
    const bills = this.#bills.filter(({ id }) => charged.includes(id));
    const earners = bills.flatMap(({ node, publisher, gateway }) => [node, publisher ?? "", gateway]);
    const paid = good("payout", this.#settled).map(({ says }) => hex(says.payee));
    return [...new Set([...earners, ...paid])].sort().map((key) => ({
      key,
      role: roleOf(key),
      earned: String(this.#earned(key, this.#settled)),
      paidOut: String(this.#paidOut(key, this.#settled)),
      owed: String(this.#owed(key, this.#settled)),
    }));
  }
}

function good<A extends SettlementPayload["action"]>(action: A, settled: readonly Settled[]): Good<A>[] {
  const isGood = (some: Settled): some is Settled & Good<A> => some.fault === undefined && some.says.action === action;
  return settled.filter(isGood);
}

function refundOf(id: string, settled: readonly Settled[]): bigint {
  return sum(
    good("refund", settled).filter(({ says }) => hex(says.receipt) === id),
    ({ says }) => says.amount,
  );
}

const NOTHING: Parts = { named: 0n, unnamed: 0n, operator: 0n };

/** Of `parts` an amount, from one source after the other; all of them where they are less. */
function backOf(parts: Parts, amount: bigint): Parts {
  const back = { ...NOTHING };
  for (const source of SOURCES) {
    const rest = amount - back.named - back.unnamed - back.operator;
    back[source] = parts[source];
    if (rest < parts[source]) back[source] = rest;
  }
  return back;
}
