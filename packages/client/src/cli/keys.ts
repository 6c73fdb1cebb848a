/** `tally keys`: makes, lists and revokes the API keys of an account. docs/operating/requesters.md. */
import { join } from "node:path";
import { acceptanceJson } from "@tallystick/protocol";
import { createHttp, fieldOf, type Http } from "../http.ts";
import { readAcceptance } from "./accept.ts";
import type { Context } from "./context.ts";
import { findFile } from "./home.ts";
import { findNetwork, isUrl, type NetworkOptions } from "./networks.ts";
import { EXIT, type Exit, printable, table, UsageError } from "./terminal.ts";

export type KeysArguments = NetworkOptions & {
  account?: string;
  /** The folder with the operator's token. */
  keys?: string;
  json: boolean;
};

/** The options that say what a key may do. */
export type TermOptions = {
  scopes?: string;
  models?: string;
  budget?: string;
  dayBudget?: string;
  priceLimit?: string;
  requests?: string;
  units?: string;
  calls?: string;
  days?: string;
  app?: string;
  accept?: string;
};

export async function createKey(
  { name, terms, ...args }: KeysArguments & { name: string; terms: TermOptions },
  context: Context,
): Promise<Exit> {
  const { post } = await manage(args, context);
  const { accept, ...limits } = terms;
  const policy = accept === undefined ? {} : { policy: acceptanceJson(await readAcceptance(accept)) };
  const made = await post({ name, ...termsOf(limits, context.edges.nowMs()), ...policy });
  if (args.json) context.terminal.out(`${JSON.stringify(made)}\n`);
  else {
    context.terminal.out(`${printable(String(fieldOf(made, "apiKey")))}\n`);
    context.terminal.err(printable(`this is ${fieldOf(made, "id")}, shown this once: keep it`).concat("\n"));
  }
  return EXIT.ok;
}

export async function listKeys(args: KeysArguments, context: Context): Promise<Exit> {
  const { list } = await manage(args, context);
  const keys = await list();
  const rows = keys.map((key) => {
    const text = (name: string) => String(fieldOf(key, name) ?? "");
    return [text("id"), text("name"), text("scopes"), text("lastUsed") || "never", stateOf(key, context.edges.nowMs())];
  });
  const { terminal } = context;
  terminal.out(args.json ? `${JSON.stringify(keys)}\n` : table(["KEY", "NAME", "SCOPES", "LAST USED", "STATE"], rows));
  return EXIT.ok;
}

export async function revokeKey({ id, ...args }: KeysArguments & { id: string }, context: Context): Promise<Exit> {
  const { revoke } = await manage(args, context);
  const revoked = await revoke(id);
  const said = `${fieldOf(revoked, "id")} is revoked: neither it nor a session that it was granted opens anything`;
  context.terminal.out(args.json ? `${JSON.stringify(revoked)}\n` : `${printable(said)}\n`);
  return EXIT.ok;
}

type Management = {
  post(body: unknown): Promise<unknown>;
  list(): Promise<unknown[]>;
  revoke(id: string): Promise<unknown>;
};

/** Manages with an API key that may, else as the operator, whose token lies with a network on this machine. */
async function manage({ account, keys, ...options }: KeysArguments, context: Context): Promise<Management> {
  const { url } = await findNetwork(options, context);
  const http = createHttp(url, context.edges);
  const apiKey = options.apiKey ?? context.env.TALLYSTICK_API_KEY;
  const secret = apiKey ?? (await operatorToken(options.network, keys, context));
  const headers = { authorization: `Bearer ${secret}` };
  const whose = account ?? (apiKey === undefined ? await accountFor(http, headers) : undefined);
  const path = (id?: string) =>
    `/v1/keys${id === undefined ? "" : `/${encodeURIComponent(id)}`}${whose === undefined ? "" : `?account=${encodeURIComponent(whose)}`}`;
  return {
    post: (body) => http.json(path(), { method: "POST", headers, body: JSON.stringify(body) }),
    list: async () => listOf(await http.json(path(), { headers }), "keys"),
    revoke: (id) => http.json(path(id), { method: "DELETE", headers }),
  };
}

/** The operator's token, from the keys of a network on this machine. */
export async function operatorToken(
  network: string | undefined,
  keys: string | undefined,
  { env }: Context,
): Promise<string> {
  const place = network ?? env.TALLYSTICK_NETWORK ?? ".tallystick";
  if (keys === undefined && isUrl(place))
    throw new UsageError('who asks? Give --api-key, a key with the scope "keys", or --keys, the network\'s own folder');
  const path = join(keys ?? join(place, "keys"), "admin-token");
  const bytes = await findFile(path);
  if (bytes === undefined)
    throw new UsageError(`there is no ${path}: say with --keys where the network's keys lie, or give --api-key`);
  return new TextDecoder().decode(bytes).trim();
}

/** The account, where there is only one. */
export async function accountFor(http: Http, headers: Record<string, string>): Promise<string> {
  const accounts = listOf(await http.json("/v1/accounts", { headers }), "accounts");
  if (accounts.length === 1) return String(fieldOf(accounts[0], "payerTag"));
  const known = accounts.map((one) => printable(`${fieldOf(one, "payerTag")} (${fieldOf(one, "name")})`));
  throw new UsageError(`whose? Say so with --account: ${known.join(", ")}`);
}

function termsOf(options: Omit<TermOptions, "accept">, nowMs: number): Record<string, unknown> {
  const { scopes, models, budget, dayBudget, priceLimit, requests, units, calls, days, app } = options;
  const terms = {
    app,
    scopes: scopes?.split(","),
    models: models?.split(","),
    budgetAtomic: budget,
    dayBudgetAtomic: dayBudget,
    maxPriceAtomic: priceLimit,
    requestsPerMinute: countOf("requests", requests),
    unitsPerMinute: countOf("units", units),
    concurrentCalls: countOf("calls", calls),
    expiry: days === undefined ? undefined : Math.floor(nowMs / 1000) + 86_400 * (countOf("days", days) ?? 0),
  };
  return Object.fromEntries(Object.entries(terms).filter(([, value]) => value !== undefined));
}

function countOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9][0-9]{0,9}$/.test(text)) throw new UsageError(`--${option} is a number from 1: not ${printable(text)}`);
  return Number(text);
}

function stateOf(key: unknown, nowMs: number): string {
  const [revoked, expiry] = [fieldOf(key, "revoked"), fieldOf(key, "expiry")];
  if (typeof revoked === "number") return "revoked";
  return typeof expiry === "number" && expiry * 1000 <= nowMs ? "expired" : "usable";
}

function listOf(value: unknown, name: string): unknown[] {
  const list = fieldOf(value, name);
  return Array.isArray(list) ? list : [];
}
