/** `tally quote`, `balance`, `earnings` and `topup`: what calls cost, who has what, and the operator's top-ups. docs/operating/credits.md. */
import { hex, type Revenue } from "@tallystick/protocol";
import { createHttp, fieldOf } from "../http.ts";
import type { Context } from "./context.ts";
import { accountFor, operatorToken } from "./keys.ts";
import { findNetwork, type NetworkOptions } from "./networks.ts";
import { EXIT, type Exit, printable, table, UsageError } from "./terminal.ts";

type MoneyArguments = NetworkOptions & { json: boolean };

export async function quote(
  {
    model,
    units,
    outputUnits,
    json,
    ...options
  }: MoneyArguments & { model: string; units?: string; outputUnits?: string },
  context: Context,
): Promise<Exit> {
  const { url } = await findNetwork(options, context);
  const query = new URLSearchParams({ model, units: units ?? "0", output_units: outputUnits ?? "0" });
  const said = await createHttp(url, context.edges).json(`/v1/quote?${query}`);
  const text = (name: string) => String(fieldOf(said, name));
  const rows: [string, string][] = [
    ["a call", text("price")],
    [`a million ${text("unit")} units`, text("unitPrice")],
    ["a million output units", text("outputUnitPrice")],
    [`${text("units")} units and ${text("outputUnits")} output units`, text("total")],
  ];
  context.terminal.out(json ? `${JSON.stringify(said)}\n` : table([text("model"), "ATOMIC UNITS"], rows));
  return EXIT.ok;
}

export async function balance({ json, ...options }: MoneyArguments, context: Context): Promise<Exit> {
  const { url, apiKey } = await findNetwork(options, context);
  if (apiKey === undefined) throw new UsageError("whose balance? Give --api-key, or TALLYSTICK_API_KEY");
  const headers = { authorization: `Bearer ${apiKey}` };
  const said = await createHttp(url, context.edges).json("/v1/balance", { headers });
  const names = ["available", "held", "toppedUp", "subsidised", "spent", "charged", "refunded"];
  const rows = names.map((name) => [name, creditsText(fieldOf(said, name))] as const);
  context.terminal.out(json ? `${JSON.stringify(said)}\n` : table(["ACCOUNT", "CREDITS"], rows));
  return EXIT.ok;
}

export async function earnings({ json, ...options }: MoneyArguments, context: Context): Promise<Exit> {
  const { url } = await findNetwork(options, context);
  const said = await createHttp(url, context.edges).json("/v1/earnings");
  const list = fieldOf(said, "earnings");
  const rows = (Array.isArray(list) ? list : []).map((row: unknown) => [
    printable(String(fieldOf(row, "name") ?? fieldOf(row, "key"))),
    String(fieldOf(row, "role") ?? "unknown"),
    ...["earned", "paidOut", "owed"].map((name) => creditsText(fieldOf(row, name))),
  ]);
  const hint = "Recompute it from the log: tally audit\n";
  const text = `${table(["WHO", "ROLE", "EARNED", "PAID OUT", "OWED"], rows)}\n${hint}`;
  context.terminal.out(json ? `${JSON.stringify(said)}\n` : text);
  return EXIT.ok;
}

export type TopupArguments = MoneyArguments & {
  amount: string;
  account?: string;
  keys?: string;
  source?: string;
  reference?: string;
};

export async function topup(
  { amount, account, keys, source = "operator", reference, json, ...options }: TopupArguments,
  context: Context,
): Promise<Exit> {
  if (!/^[1-9][0-9]{0,19}$/.test(amount))
    throw new UsageError(`an amount is a number of atomic units, in digits, not ${JSON.stringify(amount)}`);
  const { url } = await findNetwork(options, context);
  const http = createHttp(url, context.edges);
  const headers = { authorization: `Bearer ${await operatorToken(options.network, keys, context)}` };
  const whose = account ?? (await accountFor(http, headers));
  const once = reference ?? hex(context.edges.random(16));
  context.terminal.err(`reference ${once}: with it the same top-up can be sent again, and is made once\n`);
  const body = { account: whose, amount, source, reference: once };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  const said = await http.json("/v1/settlements/topups", init);
  const done = fieldOf(said, "alreadyLogged") === true ? "topped up before" : "topped up";
  const text = `${done}: the account may spend ${creditsText(fieldOf(said, "available"))} credits\n`;
  context.terminal.out(json ? `${JSON.stringify(said)}\n` : printable(text.trimEnd()).concat("\n"));
  return EXIT.ok;
}

/** Atomic units as credits: 1.25 is 1,250,000 of them. */
export function creditsText(atomic: unknown): string {
  const text = String(atomic);
  if (!/^-?[0-9]{1,40}$/.test(text)) return printable(text);
  const digits = text.replace("-", "").padStart(7, "0");
  const fraction = digits.slice(-6).replace(/0+$/, "");
  return `${text.startsWith("-") ? "-" : ""}${digits.slice(0, -6)}${fraction === "" ? "" : `.${fraction}`}`;
}

/** Revenue on one line, the part that operators paid themselves beside it. */
export function revenueText({ gross, refunded, net, subsidised }: Revenue): string {
  const [g, r, n, s] = [gross, refunded, net, subsidised].map(creditsText);
  return `${n} credits net, of which ${s} subsidised   (${g} gross, ${r} refunded)`;
}
