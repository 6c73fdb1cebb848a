/** Money over HTTP: quotes and earnings for anybody, a balance for its key, settlements for the operator. */
import {
  type Figures,
  type FoldState,
  hex,
  type Key,
  keyOf,
  owedTo,
  type PublishedModel,
  parseHex,
  priceOf,
} from "@tallystick/protocol";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { ServiceError } from "../platform/errors.ts";
import { readJson } from "../platform/http.ts";
import type { Credits } from "./credits.ts";
import type { KeyBudgets, SpendingKey } from "./key-budgets.ts";
import type { Settlements } from "./service.ts";

const SMALL_BODY_BYTES = 16_384;

export type SettlementRoutes = {
  fold: FoldState;
  settlements: Settlements;
  credits: Credits;
  budgets: KeyBudgets;
  figures(): Figures;
  findModel(name: string, version?: string): PublishedModel;
  /** Who asks with an API key that may read. Throws unauthenticated or forbidden. */
  payerOf(authorizationHeader: string | undefined): { payerTag: string; key: SpendingKey };
  /** Throws not_found where there is no such account. */
  requireAccount(payerTag: string): void;
  /** Whether a request's authorization header is the operator's. */
  isAdmin(header: string | undefined): boolean;
};

const atomic = z
  .string()
  .regex(/^[1-9][0-9]{0,19}$/, "must be a number of atomic units over 0, in digits")
  .transform(BigInt)
  .refine((amount) => amount < 1n << 64n, "must be less than 2^64");
const bytes = (length: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${2 * length}}$`), `must be ${2 * length} digits of lower-case hex`)
    .transform((text) => parseHex(text) ?? new Uint8Array(0));

const Topup = z.strictObject({
  account: bytes(16),
  amount: atomic,
  source: z.enum(["operator", "transfer"]),
  funder: bytes(32).exactOptional(),
  reference: bytes(16),
});
const Refund = z.strictObject({
  receipt: bytes(32),
  amount: atomic.exactOptional(),
  reason: z.enum(["failed", "unproved", "disputed", "goodwill"]),
});
const Payout = z.strictObject({ payee: bytes(32), amount: atomic, reference: bytes(16) });

export function settlementRoutes(parts: SettlementRoutes): Hono {
  const { fold, settlements, credits, budgets, figures, findModel, payerOf } = parts;
  const app = new Hono();

  app.get("/v1/quote", (c) => c.json(quoteJson(findModel(needed(c, "model"), c.req.query("version")), c)));

  app.get("/v1/balance", (c) => {
    const { payerTag, key } = payerOf(c.req.header("authorization"));
    const payer = keyOf(parseHex(payerTag) ?? new Uint8Array(16));
    const { availableAtomic, heldAtomic } = credits.balance(payer);
    const spent = budgets.spent(key);
    return c.json({
      payerTag,
      available: String(availableAtomic),
      held: String(heldAtomic),
      ...payerJson(fold, payer),
      key: {
        id: key.id,
        budget: textOf(key.budget.totalAtomic),
        dayBudget: textOf(key.budget.dayAtomic),
        spent: String(spent.totalAtomic),
        spentToday: String(spent.dayAtomic),
      },
    });
  });

  app.get("/v1/earnings", (c) => {
    const { rules, size, earnings, credits: money, settlementFaults, totals } = figures();
    const named = earnings.map((row) => ({
      ...row,
      name: fold.keys.get(keyOf(parseHex(row.key) ?? NO_KEY))?.name ?? null,
    }));
    const split = { node: 70, publisher: 20, gateway: 10 };
    return c.json({ rules, size, split, earnings: named, credits: money, revenue: totals.revenue, settlementFaults });
  });

  app.post("/v1/settlements/topups", async (c) => {
    const { account, ...says } = await operatorAsks(parts, c, Topup, "{account, amount, source, funder?, reference}");
    parts.requireAccount(hex(account));
    const { alreadyLogged } = await settlements.topUp({ payerTag: account, ...says });
    const { availableAtomic } = credits.balance(keyOf(account));
    return c.json({ account: hex(account), available: String(availableAtomic), alreadyLogged }, 201);
  });

  app.post("/v1/settlements/refunds", async (c) => {
    const { receipt, reason, amount } = await operatorAsks(parts, c, Refund, "{receipt, reason, amount?}");
    const done = await settlements.refund(receipt, reason, amount);
    return c.json({ receipt: hex(receipt), amount: String(done.amount), alreadyLogged: done.alreadyLogged }, 201);
  });

  app.post("/v1/settlements/payouts", async (c) => {
    const says = await operatorAsks(parts, c, Payout, "{payee, amount, reference}");
    const { alreadyLogged } = await settlements.payOut(says);
    const payee = keyOf(says.payee);
    const paidOut = String(fold.credits.payees.get(payee)?.paidOutAtomic ?? 0n);
    return c.json({ payee: hex(says.payee), paidOut, owed: String(owedTo(fold, payee)), alreadyLogged }, 201);
  });

  return app;
}

const NO_KEY = new Uint8Array(32);

/** What a call of so many units costs. Without units, what each price is. */
function quoteJson(model: PublishedModel, c: Context): Record<string, unknown> {
  const { manifest, revision, priceAtomic, unitPriceAtomic, outputUnitPriceAtomic } = model;
  const [units, outputUnits] = [countOf(c, "units"), countOf(c, "output_units")];
  return {
    model: manifest.name,
    version: manifest.version,
    revision: hex(revision),
    unit: manifest.unit,
    price: String(priceAtomic),
    unitPrice: String(unitPriceAtomic),
    outputUnitPrice: String(outputUnitPriceAtomic),
    units,
    outputUnits,
    total: String(priceOf(model, units, outputUnits)),
  };
}

function countOf(c: Context, name: string): number {
  const text = c.req.query(name) ?? "0";
  if (/^[0-9]{1,12}$/.test(text)) return Number(text);
  throw new ServiceError("invalid_request", `${name} is a whole number of at most 12 digits`, { param: name });
}

function needed(c: Context, name: string): string {
  const value = c.req.query(name);
  if (value !== undefined) return value;
  throw new ServiceError("invalid_request", `name the ${name}: ?${name}=`, { param: name });
}

/** What the fold says of a payer. */
function payerJson({ credits }: FoldState, payer: Key): Record<string, string> {
  const account = credits.payers.get(payer);
  return {
    toppedUp: String(account?.toppedUpAtomic ?? 0n),
    subsidised: String(account?.subsidisedAtomic ?? 0n),
    spent: String(account?.spentAtomic ?? 0n),
    charged: String(account?.chargedAtomic ?? 0n),
    refunded: String(account?.refundedAtomic ?? 0n),
  };
}

function textOf(amount: bigint | undefined): string | null {
  return amount === undefined ? null : String(amount);
}

async function operatorAsks<T>(
  { isAdmin }: SettlementRoutes,
  c: Context,
  schema: z.ZodType<T>,
  takes: string,
): Promise<T> {
  if (!isAdmin(c.req.header("authorization")))
    throw new ServiceError("forbidden", "only the operator settles: send the token in keys/admin-token");
  const parsed = schema.safeParse(await readJson(c, SMALL_BODY_BYTES));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = issue?.path.map(String).join(".") ?? "";
  throw new ServiceError(
    "invalid_request",
    `a settlement here takes ${takes}; ${at || "the body"}: ${issue?.message}`,
    {
      ...(at === "" ? {} : { param: at }),
    },
  );
}
