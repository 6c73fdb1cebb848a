/** `tally`: the commands of the client, and what each says on its way out. */
import { parseArgs } from "node:util";
import { Malformed } from "@tallystick/protocol";
import { systemEdges } from "../edges.ts";
import { UnreachableError, UnverifiedError } from "../errors.ts";
import { audit } from "./audit.ts";
import { models, rely, usage, verify } from "./commands.ts";
import type { Context } from "./context.ts";
import { openHome } from "./home.ts";
import { infer } from "./infer.ts";
import { EXIT, type Exit, type Terminal, UsageError } from "./terminal.ts";

const HELP = `tally: ask a Tallystick network, verify its receipts, recompute its figures

  tally models                          what is offered, the most used first
  tally infer MODEL --input X           run a model on a file or a text (--example: on the model's own example)
  tally verify RECEIPT                  every check of a receipt: by its id, its file or its URL
  tally rely RECEIPT                    sign that you act on an answer
  tally usage                           the network's figures
  tally audit [URL | FOLDER]            recompute all of them from the log's tiles, and print the difference

  --network URL|DIR   which network; else the one that runs in .tallystick here
  --api-key KEY       who asks; else the running network's own key
  --vkey VKEY         the log's key, from somewhere you trust
  --json              for programs
  --save FILE         infer: where to write the receipt's file
  --decision HEX      infer: 16 bytes that all calls behind one decision share
  --max-price N       infer: the most that the call may cost
  --key FILE          rely: the relier's key
  --usage FILE        audit: the published figures to compare with

Exit status: 0 fine, 1 failed or refused, 2 wrong usage, 3 verification failed, 4 inconclusive, 5 network unreachable.
`;

const OPTIONS = {
  network: { type: "string" },
  "api-key": { type: "string" },
  vkey: { type: "string" },
  json: { type: "boolean", default: false },
  input: { type: "string" },
  example: { type: "boolean", default: false },
  save: { type: "string" },
  decision: { type: "string" },
  "max-price": { type: "string" },
  key: { type: "string" },
  usage: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Which options each command takes besides those of all. */
const TAKES: Record<string, readonly string[]> = {
  models: [],
  infer: ["input", "example", "save", "decision", "max-price"],
  verify: [],
  rely: ["key"],
  usage: [],
  audit: ["usage"],
};
const TAKEN_BY_ALL = ["network", "api-key", "vkey", "json", "help"];

/** Runs one command. The process's exit status. */
export async function main(args: string[], env: NodeJS.ProcessEnv): Promise<Exit> {
  const terminal: Terminal = {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTty: process.stderr.isTTY === true,
  };
  try {
    return await run(args, { terminal, home: openHome(env), edges: systemEdges, env });
  } catch (error) {
    terminal.err(`tally: ${error instanceof Error ? error.message : error}\n`);
    if (error instanceof UsageError) return EXIT.usage;
    if (error instanceof Malformed || error instanceof UnverifiedError) return EXIT.unverified;
    return error instanceof UnreachableError ? EXIT.network : EXIT.failure;
  }
}

async function run(args: string[], context: Context): Promise<Exit> {
  const { values, positionals } = parse(args);
  const [command = "help", subject, ...rest] = positionals;
  if (values.help || command === "help") {
    context.terminal.out(HELP);
    return EXIT.ok;
  }
  const takes = TAKES[command];
  if (takes === undefined) throw new UsageError(`no command ${JSON.stringify(command)}: tally --help lists them`);
  if (rest.length > 0)
    throw new UsageError(`${command} takes one thing at a time; ${JSON.stringify(rest[0])} is one too many`);
  const stray = Object.entries(values).find(
    ([name, value]) => value !== false && !TAKEN_BY_ALL.includes(name) && !takes.includes(name),
  );
  if (stray !== undefined)
    throw new UsageError(`--${stray[0]} is not an option of ${command}: tally --help lists them`);
  return dispatch(command, subject, values, context);
}

type Values = ReturnType<typeof parse>["values"];

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (cause) {
    throw new UsageError(`${cause instanceof Error ? cause.message : cause}: tally --help lists the options`, {
      cause,
    });
  }
}

function dispatch(command: string, subject: string | undefined, values: Values, context: Context): Promise<Exit> {
  const { json, input, example, save, decision, key, usage: usageFile } = values;
  const network = defined({ network: values.network, apiKey: values["api-key"], vkey: values.vkey });
  const needed = (what: string): string => {
    if (subject === undefined) throw new UsageError(`${command} needs ${what}: tally --help`);
    return subject;
  };
  switch (command) {
    case "models":
      return models({ ...network, json }, context);
    case "infer":
      return infer(
        {
          ...network,
          model: needed("a model"),
          example,
          json,
          ...defined({ input, save, decision, maxPrice: values["max-price"] }),
        },
        context,
      );
    case "verify":
      return verify({ ...network, what: needed("a receipt"), json }, context);
    case "rely":
      return rely({ ...network, what: needed("a receipt"), json, ...defined({ key }) }, context);
    case "usage":
      return usage({ ...network, json }, context);
    default:
      return audit({ ...network, json, ...defined({ log: subject, usage: usageFile }) }, context);
  }
}

/** Without what is undefined: an option that was not given is not there. */
function defined<T extends Record<string, string | undefined>>(values: T): { [K in keyof T]?: string } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: string;
  };
}
