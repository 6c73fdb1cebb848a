/** Settlement, joined with accounts and the log: who may spend, and the gateway's own statements of it. */
import type { Figures, PublishedModel, Signer } from "@tallystick/protocol";
import type { Hono } from "hono";
import type { Account, Accounts, Caller } from "./gateway/accounts.ts";
import { budgetOf, requireScope } from "./gateway/api-keys.ts";
import type { Ledger } from "./ledger.ts";
import type { Clock } from "./platform/clock.ts";
import type { Database } from "./platform/database.ts";
import type { Report } from "./platform/http.ts";
import { type Credits, createCredits } from "./settlement/credits.ts";
import { createKeyBudgets } from "./settlement/key-budgets.ts";
import { settlementRoutes } from "./settlement/routes.ts";
import { type Settlements, startSettlements } from "./settlement/service.ts";
import { createSpendingStore } from "./settlement/store.ts";

/** Charges are written this often, where anything was spent. */
const CHARGE_INTERVAL_MS = 60_000;

export type SettlingParts = {
  database: Database.Database;
  ledger: Pick<Ledger, "fold" | "publish" | "caughtUp" | "log">;
  /** The gateway's own key. */
  signer: Signer;
  clock: Clock;
  report: Report;
};

export type Settling = {
  credits: Credits;
  settlements: Settlements;
  balanceOf(account: Account): bigint;
  routes(parts: SettlingRoutes): Hono;
  close(): Promise<void>;
};

export type SettlingRoutes = {
  accounts: Accounts;
  authenticate(authorizationHeader: string | undefined): Caller;
  figures(): Figures;
  findModel(name: string, version?: string): PublishedModel;
  isAdmin(header: string | undefined): boolean;
};

export function openSettling({ database, ledger, signer, clock, report }: SettlingParts): Settling {
  const { fold, publish, caughtUp, log } = ledger;
  const flush = () => log.flush();
  const budgets = createKeyBudgets({ store: createSpendingStore(database), clock });
  const credits = createCredits({ fold, budgets, clock });
  const settlements = startSettlements({
    signer,
    fold,
    publish,
    caughtUp,
    flush,
    report,
    intervalMs: CHARGE_INTERVAL_MS,
  });

  return {
    credits,
    settlements,
    balanceOf: ({ payerTag }) => credits.balance(Buffer.from(payerTag, "hex").toString("latin1")).availableAtomic,

    routes: ({ accounts, authenticate, ...parts }) =>
      settlementRoutes({
        ...{ fold, settlements, credits, budgets, ...parts },
        requireAccount: (payerTag) => void accounts.get(payerTag),
        payerOf(header) {
          const { payerTag, key } = authenticate(header);
          requireScope(key, "read");
          return { payerTag, key: { id: key.id, budget: budgetOf(key) } };
        },
      }),

    async close() {
      await settlements.close();
      budgets.close();
    },
  };
}
