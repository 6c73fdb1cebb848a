/** Accounts and their API keys over HTTP: for the operator, and for keys with the scope `keys`. docs/operating/requesters.md. */
import { type Context, Hono } from "hono";
import { z } from "zod";
import { ServiceError } from "../platform/errors.ts";
import { readJson } from "../platform/http.ts";
import type { Accounts, Caller } from "./accounts.ts";
import { KeyTerms, keyJson, requireScope } from "./api-keys.ts";
import type { Apps } from "./apps-store.ts";

const SMALL_BODY_BYTES = 16_384;

export type KeyRoutes = {
  accounts: Accounts;
  apps: Apps;
  authenticate(authorizationHeader: string | undefined): Caller;
  /** Whether a request's authorization header is the operator's. */
  isAdmin(header: string | undefined): boolean;
  nowSeconds(): number;
};

export function keyRoutes({ accounts, apps, authenticate, isAdmin, nowSeconds }: KeyRoutes): Hono {
  const app = new Hono();
  const isOperator = (c: Context) => isAdmin(c.req.header("authorization"));

  function requireOperator(c: Context): void {
    if (isOperator(c)) return;
    throw new ServiceError(
      "forbidden",
      "only the operator sees and makes accounts: send the token in keys/admin-token",
    );
  }

  /** The account whose keys a request is about. */
  function managed(c: Context): string {
    const named = c.req.query("account");
    if (isOperator(c)) {
      if (named !== undefined) return accounts.get(named).payerTag;
      throw new ServiceError("invalid_request", "name the account: ?account=TAG; GET /v1/accounts lists them", {
        param: "account",
      });
    }
    const { payerTag, key } = authenticate(c.req.header("authorization"));
    requireScope(key, "keys");
    if (named === undefined || named === payerTag) return payerTag;
    throw new ServiceError("forbidden", "a key manages its own account's keys: leave ?account= out", {
      param: "account",
    });
  }

  app.post("/v1/accounts", async (c) => {
    requireOperator(c);
    const parsed = z.strictObject({ name: z.string().min(1).max(64) }).safeParse(await readJson(c, SMALL_BODY_BYTES));
    if (!parsed.success)
      throw new ServiceError(
        "invalid_request",
        "an account takes {name}: 1 to 64 characters, for the operator's eyes alone",
      );
    const { account, apiKey } = accounts.create(parsed.data.name, nowSeconds());
    return c.json({ name: account.name, payerTag: account.payerTag, apiKey }, 201);
  });

  app.get("/v1/accounts", (c) => {
    requireOperator(c);
    const rows = accounts.list().map(({ createdSeconds, ...row }) => ({ ...row, created: createdSeconds }));
    return c.json({ accounts: rows });
  });

  app.post("/v1/keys", async (c) => {
    const payerTag = managed(c);
    const terms = parseTerms(await readJson(c, SMALL_BODY_BYTES));
    if (terms.scopes.includes("keys") && !isOperator(c))
      throw new ServiceError("forbidden", 'only the operator makes a key with the scope "keys": leave it out', {
        param: "scopes",
      });
    if (terms.expiry !== undefined && terms.expiry <= nowSeconds())
      throw new ServiceError("invalid_request", "expiry is before now: Unix seconds, later than now", {
        param: "expiry",
      });
    const { key, apiKey } = accounts.addKey(payerTag, terms, nowSeconds());
    return c.json({ ...keyJson(key), apiKey }, 201);
  });

  app.get("/v1/keys", (c) => c.json({ keys: accounts.keys(managed(c)).map(keyJson) }));

  app.get("/v1/keys/:id", (c) => {
    const key = accounts.keys(managed(c)).find(({ id }) => id === c.req.param("id"));
    if (key !== undefined) return c.json(keyJson(key));
    throw new ServiceError("not_found", "the account has no such API key: GET /v1/keys lists them");
  });

  app.delete("/v1/keys/:id", (c) => c.json(keyJson(accounts.revoke(managed(c), c.req.param("id"), nowSeconds()))));

  app.get("/v1/apps", (c) => {
    let payerTag: string | undefined;
    if (!isOperator(c)) {
      const caller = authenticate(c.req.header("authorization"));
      requireScope(caller.key, "read");
      ({ payerTag } = caller);
    }
    return c.json({ note: "self-declared, never ranked on", apps: apps.list(payerTag, nowSeconds()) });
  });

  return app;
}

function parseTerms(body: unknown): KeyTerms {
  const parsed = KeyTerms.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = issue?.code === "unrecognized_keys" ? issue.keys.join(", ") : (issue?.path.map(String).join(".") ?? "");
  throw new ServiceError("invalid_request", `${at || "the body"} cannot be a term of an API key: ${issue?.message}`, {
    ...(at === "" ? {} : { param: at }),
  });
}
