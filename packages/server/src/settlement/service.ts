/** What the gateway states of money: top-ups, charges, refunds and payouts, each once. docs/operating/credits.md. */
import {
  CHARGED_RECEIPTS,
  type EntryOf,
  type FoldState,
  hex,
  type Key,
  keyId,
  keyOf,
  owedTo,
  type SettlementPayload,
  type Signer,
  signEntry,
  signedId,
} from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";
import type { Report } from "../platform/http.ts";

type Says<A extends SettlementPayload["action"]> = Omit<
  Extract<SettlementPayload, { action: A }>,
  "version" | "action"
>;

/** What was asked is in the log; `alreadyLogged` where it was before. */
export type Settled = { alreadyLogged: boolean };

export type Settlements = {
  topUp(says: Says<"topup">): Promise<Settled>;
  payOut(says: Says<"payout">): Promise<Settled>;
  /** Gives all or some of a receipt's price back to its payer: once, however often it is asked. */
  refund(receipt: Uint8Array, reason: Says<"refund">["reason"], amount?: bigint): Promise<Settled & { amount: bigint }>;
  /** Charges what receipts cost that no charge names yet, and refunds what its node signed two receipts for: of its own sessions. */
  settle(): Promise<void>;
  /** Settles what there is, and nothing from then on. */
  close(): Promise<void>;
};

export type SettlementParts = {
  /** The gateway's own key. */
  signer: Signer;
  fold: FoldState;
  /** Charges are written this often, where there are any. */
  intervalMs: number;
  /** Appends an entry and resolves once the fold has it. */
  publish(entry: Uint8Array): Promise<number>;
  /** Resolves once the fold has all that was acknowledged before. */
  caughtUp(): Promise<void>;
  /** Has the fold take that in at once. */
  flush(): Promise<void>;
  report: Report;
};

export function startSettlements(parts: SettlementParts): Settlements {
  const { signer, fold, publish, report } = parts;
  const { credits } = fold;
  const own = keyOf(keyId(signer.spki));
  /** One statement after another, each made by what the fold knows of those before it. */
  let last: Promise<unknown> = Promise.resolve();

  const sign = (says: SettlementPayload): Promise<EntryOf<"settlement">> => signEntry(signer, "settlement", says);

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work);
    last = turn.catch(() => {}); // Whoever asked is told.
    return turn;
  }

  /** Logs a statement that its reference makes once. */
  function state(says: Extract<SettlementPayload, { reference: Uint8Array }>, check: () => void): Promise<Settled> {
    const reference = keyOf(says.reference);
    return inTurn(async () => {
      const { signed } = await sign(says);
      if (credits.references.has(reference)) {
        if (credits.settled.has(keyOf(signedId(signed)))) return { alreadyLogged: true };
        throw new ServiceError(
          "conflict",
          `the reference ${hex(says.reference)} is of another settlement: use a new one for a new one`,
        );
      }
      check();
      await publish(signed.bytes);
      return { alreadyLogged: false };
    });
  }

  /** Whether this gateway granted the receipt's session: what it settles of another's calls counts as nothing. */
  const isOwn = (id: Key) => fold.receipts.get(id)?.lane.gateway === own;

  async function refund(
    receipt: Uint8Array,
    reason: Says<"refund">["reason"],
    amount?: bigint,
  ): Promise<Settled & { amount: bigint }> {
    const id = keyOf(receipt);
    return inTurn(async () => {
      const payment = credits.payments.get(id);
      const payer = fold.receipts.get(id)?.payer;
      if (payment === undefined || payer === undefined)
        throw new ServiceError("not_found", `no receipt ${hex(receipt)} that cost anything is published`);
      if (!isOwn(id))
        throw new ServiceError("forbidden", "another gateway granted the receipt's session: it alone refunds it");
      const asked = amount ?? payment.priceAtomic;
      if (payment.refundedAtomic > 0n) {
        if (payment.refundedAtomic === asked) return { amount: asked, alreadyLogged: true };
        throw new ServiceError("conflict", `${payment.refundedAtomic} of this receipt were refunded: it is done once`);
      }
      if (asked <= 0n || asked > payment.priceAtomic)
        throw new ServiceError("invalid_request", `the receipt cost ${payment.priceAtomic}: refund that or less`, {
          param: "amount",
        });
      const payerTag = bytesOf(payer);
      const { signed } = await sign({ version: 1, action: "refund", payerTag, amount: asked, receipt, reason });
      await publish(signed.bytes);
      return { amount: asked, alreadyLogged: false };
    });
  }

  /** What this gateway's sessions cost and no charge names, by payer. */
  function dueByPayer(): Map<Key, Key[]> {
    const due = new Map<Key, Key[]>();
    for (const id of credits.uncharged) {
      const receipt = fold.receipts.get(id);
      if (receipt === undefined || !isOwn(id)) continue;
      const ids = due.get(receipt.payer);
      if (ids === undefined) due.set(receipt.payer, [id]);
      else ids.push(id);
    }
    return due;
  }

  function charge(payer: Key, due: readonly Key[]): Promise<void> {
    return inTurn(async () => {
      const ids = due.filter((id) => credits.uncharged.has(id));
      let amount = 0n;
      for (const id of ids) {
        const payment = credits.payments.get(id);
        if (payment !== undefined) amount += payment.priceAtomic - payment.refundedAtomic;
      }
      if (ids.length === 0) return;
      const receipts = ids.map(bytesOf);
      const { signed } = await sign({ version: 1, action: "charge", payerTag: bytesOf(payer), amount, receipts });
      await publish(signed.bytes);
    });
  }

  async function settleNow(): Promise<void> {
    await parts.caughtUp();
    for (const id of fold.equivocations.keys())
      if (credits.payments.get(id)?.refundedAtomic === 0n && isOwn(id)) await refund(bytesOf(id), "disputed");
    for (const [payer, ids] of dueByPayer())
      for (let from = 0; from < ids.length; from += CHARGED_RECEIPTS)
        await charge(payer, ids.slice(from, from + CHARGED_RECEIPTS));
  }

  let settling: Promise<void> | undefined;
  function settle(): Promise<void> {
    settling ??= settleNow().finally(() => {
      settling = undefined;
    });
    return settling;
  }

  /** What was not charged is charged at the next turn, or the next start: the fold knows what is left. */
  const settleOrReport = () =>
    settle().catch((error: unknown) => report("receipts could not be charged", { error: String(error) }));
  const timer = setInterval(() => void settleOrReport(), parts.intervalMs);

  return {
    topUp: (says) => state({ version: 1, action: "topup", ...says }, () => {}),
    payOut: (says) =>
      state({ version: 1, action: "payout", ...says }, () => {
        const owed = owedTo(fold, keyOf(says.payee));
        if (says.amount > owed)
          throw new ServiceError("conflict", `${owed} are owed to ${hex(says.payee)}: pay that or less`, {
            param: "amount",
          });
      }),
    refund,
    settle,
    async close() {
      clearInterval(timer);
      await parts.flush(); // Whoever waits for the fold need not wait for its turn.
      await settling?.catch(() => {});
      await settleOrReport();
    },
  };
}

function bytesOf(key: Key): Uint8Array {
  return Uint8Array.from(key, (unit) => unit.charCodeAt(0));
}
