/** `tally`: the commands of the client, and what each says on its way out. */
import { parseArgs } from "node:util";
import { Malformed, type Policy, parseNoteKey, parsePolicy } from "@tallystick/protocol";
import { systemEdges } from "../edges.ts";
import { UnreachableError, UnverifiedError } from "../errors.ts";
import { audit } from "./audit.ts";
import { backup } from "./backup/backup.ts";
import { restore } from "./backup/restore.ts";
import { chat, embed } from "./chat.ts";
import { models } from "./commands.ts";
import type { Context } from "./context.ts";
import { disk } from "./disk.ts";
import { dispute } from "./dispute.ts";
import { COMMANDS, helpOf, overview } from "./help.ts";
import { findFile, openHome } from "./home.ts";
import { infer } from "./infer.ts";
import { createKey, listKeys, revokeKey } from "./keys.ts";
import { exportLog, fsck, prove } from "./log.ts";
import { balance, earnings, quote, topup } from "./money.ts";
import { monitor } from "./monitor.ts";
import { OPTIONS } from "./options.ts";
import { query, rows } from "./query.ts";
import { rely } from "./rely.ts";
import { simulateCommand } from "./simulate.ts";
import { affiliate, disputeLabel, resolve, reverse } from "./statements.ts";
import { EXIT, type Exit, printable, type Terminal, UsageError } from "./terminal.ts";
import { revokeRoot, trust } from "./trust.ts";
import { usage } from "./usage.ts";
import { verify } from "./verify.ts";

/** Runs one command. The process's exit status. */
export async function main(args: string[], env: NodeJS.ProcessEnv): Promise<Exit> {
  const terminal: Terminal = {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTty: process.stderr.isTTY === true,
    ...(process.stdout.isTTY ? { columns: process.stdout.columns } : {}),
  };
  process.stdout.on("error", ignoreClosedPipe);
  try {
    return await run(args, { terminal, home: openHome(env), edges: systemEdges, env });
  } catch (error) {
    terminal.err(`tally: ${printable(error instanceof Error ? error.message : String(error))}\n`);
    if (error instanceof UsageError) return EXIT.usage;
    if (error instanceof UnverifiedError) return EXIT.unverified;
    return error instanceof UnreachableError ? EXIT.network : EXIT.failure;
  }
}

/** Whoever reads the output may have seen enough of it: `tally usage | head`. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}

async function run(args: string[], context: Context): Promise<Exit> {
  const { values, positionals } = parse(args);
  const [first = "help"] = positionals;
  if (first === "help") {
    context.terminal.out(helpAbout(positionals.slice(1)));
    return EXIT.ok;
  }
  const name = nameIn(positionals);
  const command = COMMANDS.get(name);
  if (command === undefined) throw new UsageError(`no command ${JSON.stringify(name)}: tally --help lists them`);
  if (values.help) {
    context.terminal.out(helpOf(name, command));
    return EXIT.ok;
  }
  const words = positionals.slice(name.split(" ").length);
  const stray = words[command.words ?? (command.takes === "" ? 0 : 1)];
  if (stray !== undefined) throw new UsageError(`${name} does not take ${JSON.stringify(stray)}: tally ${name} --help`);
  const allowed: readonly string[] = command.options;
  const option = Object.entries(values).find(([key, value]) => value !== false && !allowed.includes(key));
  if (option !== undefined) throw new UsageError(`--${option[0]} is not an option of ${name}: tally ${name} --help`);
  if (values.vkey !== undefined) checkVkey(values.vkey);
  const policy = values.policy === undefined ? undefined : await readPolicy(values.policy);
  return dispatch(name, words, values, { ...context, ...(policy === undefined ? {} : { policy }) });
}

/** What commands of two words begin with, where that is none itself. */
const FAMILIES: ReadonlySet<string> = new Set(["log", "keys"]);

/** The command that the words begin with: one word, or two, as of `log fsck`. */
function nameIn([first = "", second = ""]: readonly string[]): string {
  if (COMMANDS.has(`${first} ${second}`)) return `${first} ${second}`;
  return COMMANDS.has(first)
    ? first
    : [first, second].filter((word) => FAMILIES.has(first) && word !== "").join(" ") || first;
}

function helpAbout(words: readonly string[]): string {
  const name = nameIn(words);
  const command = COMMANDS.get(name);
  return command === undefined ? overview() : helpOf(name, command);
}

async function readPolicy(path: string): Promise<Policy> {
  const bytes = await findFile(path);
  if (bytes === undefined) throw new UsageError(`there is no policy in ${path}`);
  try {
    return parsePolicy(bytes);
  } catch (cause) {
    if (cause instanceof Malformed) throw new UsageError(`${path} ${cause.message}`, { cause });
    throw cause;
  }
}

function checkVkey(vkey: string): void {
  try {
    parseNoteKey(vkey);
  } catch (cause) {
    if (cause instanceof Malformed) throw new UsageError(`--vkey ${cause.message}`, { cause });
    throw cause;
  }
}

type Values = ReturnType<typeof parse>["values"];

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (cause) {
    const [problem = ""] = String(cause instanceof Error ? cause.message : cause).split(". ");
    throw new UsageError(`${problem}: tally --help`, { cause });
  }
}

function dispatch(name: string, words: readonly string[], values: Values, context: Context): Promise<Exit> {
  const [subject, second] = words;
  const { json, input, example, save, decision, key, usage: usageFile, out, size, checkpoint, data, keys } = values;
  const { accept, app, open, fresh, publish, day, model, evidence } = values;
  const network = defined({ network: values.network, apiKey: values["api-key"], vkey: values.vkey });
  const managed = { ...network, json, ...defined({ account: values.account, keys }) };
  const needed = (what: string): string => {
    if (subject === undefined) throw new UsageError(`${name} needs ${what}: tally ${name} --help`);
    return subject;
  };
  switch (name) {
    case "models":
      return models({ ...network, json }, context);
    case "infer":
      return infer(
        {
          ...network,
          model: needed("a model"),
          example,
          json,
          ...defined({ app, input, save, decision, open, accept, tier: values.tier, maxPrice: values["max-price"] }),
        },
        context,
      );
    case "chat": {
      if (second === undefined) throw new UsageError("chat needs a prompt: tally chat --help");
      const own = { model: needed("a model"), prompt: second, hold: values.hold, json };
      const limits = { maxPrice: values["max-price"], maxTokens: values["max-tokens"] };
      return chat({ ...network, ...own, ...defined({ app, save, decision, open, accept, ...limits }) }, context);
    }
    case "embed": {
      if (second === undefined) throw new UsageError("embed needs a text: tally embed --help");
      const own = { model: needed("a model"), text: second, json };
      return embed(
        { ...network, ...own, ...defined({ app, save, decision, open, accept, maxPrice: values["max-price"] }) },
        context,
      );
    }
    case "verify":
      return verify(
        { ...network, what: needed("a receipt"), json, ...defined({ log: second, accept, proof: values.proof }) },
        context,
      );
    case "rely":
      return rely(
        {
          ...network,
          what: needed("a receipt"),
          json,
          ...defined({ key, accept, purpose: values.purpose, atStake: values["at-stake"], domain: values.domain }),
        },
        context,
      );
    case "reverse":
      return reverse({ ...network, what: needed("a receipt"), json, ...defined({ key }) }, context);
    case "affiliate":
      needed("the id of a key");
      return affiliate({ ...network, keyIds: words, json, ...defined({ key }) }, context);
    case "resolve":
      if (second === undefined) throw new UsageError("resolve needs a dispute and its outcome: tally resolve --help");
      return resolve(
        { ...network, dispute: needed("a dispute"), outcome: second, json, ...defined({ key, evidence }) },
        context,
      );
    case "dispute":
      if (values.label)
        return disputeLabel({ ...network, what: needed("a receipt"), json, ...defined({ key, evidence }) }, context);
      return dispute(
        { ...network, what: needed("a receipt"), json, ...defined({ key, opening: values.opening }) },
        context,
      );
    case "keys create": {
      const { scopes, models: allowed, budget, requests, units, calls, days } = values;
      const [dayBudget, priceLimit] = [values["day-budget"], values["price-limit"]];
      const terms = {
        scopes,
        models: allowed,
        budget,
        dayBudget,
        priceLimit,
        requests,
        units,
        calls,
        days,
        accept,
        app,
      };
      return createKey({ ...managed, name: needed("a name"), terms: defined(terms) }, context);
    }
    case "keys list":
      return listKeys(managed, context);
    case "keys revoke":
      return revokeKey({ ...managed, id: needed("the id of a key") }, context);
    case "backup":
      if (out === undefined) throw new UsageError("backup needs a folder: --out DIR");
      return backup({ out, withKeys: values["with-keys"], json, ...defined({ data, keys }) }, context);
    case "restore":
      return restore({ backup: needed("a backup"), json, ...defined({ data, keys }) }, context);
    case "disk":
      return disk({ json, ...defined({ data }) }, context);
    case "quote": {
      const units = defined({ units: second, outputUnits: words[2] });
      return quote({ ...network, json, model: needed("a model"), ...units }, context);
    }
    case "balance":
      return balance({ ...network, json }, context);
    case "earnings":
      return earnings({ ...network, json }, context);
    case "topup": {
      const { source, reference } = values;
      return topup({ ...managed, amount: needed("an amount"), ...defined({ source, reference }) }, context);
    }
    case "usage": {
      const { by, from, to, per, strata, csv } = values;
      const asked = defined({ by, from, to, per, strata });
      return usage({ ...network, json, csv, query: asked, ...defined({ metric: subject }) }, context);
    }
    case "simulate": {
      const { seed, days, calls } = values;
      if (seed === undefined) throw new UsageError("simulate needs a seed: --seed N");
      return simulateCommand({ seed, json, ...defined({ days, calls, out }) }, context);
    }
    case "trust":
      return trust({ ...network, json, ...defined({ log: subject }) }, context);
    case "trust revoke": {
      if (second === undefined) throw new UsageError("trust revoke needs a kind and a root: tally trust lists them");
      const { reason, since, sign } = values;
      const own = { kind: needed("a kind of root"), root: second, json };
      return revokeRoot({ ...network, ...own, ...defined({ reason, since, sign, keys }) }, context);
    }
    case "monitor": {
      const { interval, stale, once, witness: witnesses = [] } = values;
      return monitor({ ...network, once, witnesses, json, ...defined({ log: subject, interval, stale }) }, context);
    }
    case "rows":
      if (out === undefined) throw new UsageError("rows needs a folder: --out DIR");
      return rows({ ...network, out, json, ...defined({ log: subject }) }, context);
    case "query": {
      const { segments, format, rules } = values;
      const own = { sql: needed("a select, in quotes"), json };
      return query({ ...network, ...own, ...defined({ segments, format, keys, rules }) }, context);
    }
    case "log fsck":
      return fsck({ ...network, json, ...defined({ log: subject }) }, context);
    case "log export":
      if (out === undefined) throw new UsageError(`log export needs a folder: --out DIR`);
      return exportLog({ ...network, out, json, ...defined({ log: subject }) }, context);
    case "log prove":
      return prove(
        { ...network, index: needed("an entry's index"), json, ...defined({ log: second, size, checkpoint, out }) },
        context,
      );
    default:
      return audit(
        {
          ...network,
          json,
          fresh,
          publish,
          ...defined({ log: subject, usage: usageFile, day, model, name: values.name }),
        },
        context,
      );
  }
}

/** Without what is undefined: an option that was not given is not there. */
function defined<T extends Record<string, string | undefined>>(values: T): { [K in keyof T]?: string } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: string;
  };
}
