/** What a fold keeps of money: payers, payees, and what each receipt cost. */
import type { Key } from "./state.ts";

/** What makes a settlement count as nothing, and evidence against the gateway that signed it. */
export type SettlementFault =
  | "reused_reference"
  | "unknown_receipt"
  | "wrong_payer"
  | "wrong_gateway"
  | "charged_twice"
  | "refunded_twice"
  | "wrong_amount"
  | "overpaid";

/** A payer's money, in atomic units; all of it only grows but what is left. */
export type Payer = {
  toppedUpAtomic: bigint;
  /** The part of it that was an operator's own money. */
  subsidisedAtomic: bigint;
  spentAtomic: bigint;
  chargedAtomic: bigint;
  refundedAtomic: bigint;
  /** What is left of operators' money: it is spent last. */
  subsidyLeftAtomic: bigint;
  /** What is left of money whose funder no top-up names: it is spent before that, and after all other. */
  unattributedLeftAtomic: bigint;
};

/** Who earns: a node, a publisher or a gateway, by its key. */
export type Payee = { earnedAtomic: bigint; paidOutAtomic: bigint };

/** What a receipt cost its payer. */
export type Payment = {
  priceAtomic: bigint;
  /** The part that was an operator's own money. */
  subsidisedAtomic: bigint;
  /** The part whose funder no top-up names. */
  unattributedAtomic: bigint;
  refundedAtomic: bigint;
  node: Key;
  charged: boolean;
};

export type Credits = {
  payers: Map<Key, Payer>;
  payees: Map<Key, Payee>;
  /** By receipt; those that cost nothing have none. */
  payments: Map<Key, Payment>;
  /** Receipts that no charge names yet, in order. */
  uncharged: Set<Key>;
  /** The signed ids of all settlements: each counts once. */
  settled: Set<Key>;
  /** The references of the top-ups and payouts that count. */
  references: Set<Key>;
  faults: Map<SettlementFault, number>;
};

export function createCredits(): Credits {
  return {
    payers: new Map(),
    payees: new Map(),
    payments: new Map(),
    uncharged: new Set(),
    settled: new Set(),
    references: new Set(),
    faults: new Map(),
  };
}
