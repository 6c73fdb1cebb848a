/** What an operator may say at the start of a verifier on a machine of its own. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { LogTrust } from "@tallystick/protocol";
import { parseTrust, requireTlsAbroad } from "./node-options.ts";
import { parseUrl, wholeNumber } from "./options.ts";
import { OperatorError } from "./platform/errors.ts";

export type VerifierCommand = {
  gateway: string;
  tokenPath: string;
  trust: LogTrust;
  data: string;
  keyPath: string;
  name: string | undefined;
  keptBytes: number;
  cpuShare: number;
  json: boolean;
};

export const VERIFIER_HELP = `tallyd verifier: runs again what the lots of a network's log draw for it

  tallyd verifier --gateway URL --token-file FILE --log-key VKEY [--data DIR]

  --gateway URL   the network to verify: its operator started it with --verifier-token
  --token-file FILE
                  the token that its operator gave you, readable by this user alone
  --log-key VKEY  the key of the network's log
  --policy FILE   the log's witnesses and their quorum, a
                  tlog-policy: then they have to agree    (the log's key alone)
  --data DIR      where its key, its hash chain and models
                  lie                                     (.tallystick-verifier)
  --key FILE      its key, made when it is not there      (keys/verifier.pem in the data folder)
  --name NAME     the name that its key enrols under      (one that follows from its key)
  --cache-mib N   models' files to keep                   (4096)
  --cpu PERCENT   of one core, that running models again
                  may take                                (100)
  --json          print one line of JSON when ready, and nothing else
  --help
`;

/** Reads the command line behind `tallyd verifier`. Throws an OperatorError; `help` where help is asked for. */
export function parseVerifierOptions(args: string[]): VerifierCommand | "help" {
  const options = {
    gateway: { type: "string" },
    "token-file": { type: "string" },
    "log-key": { type: "string" },
    policy: { type: "string" },
    data: { type: "string", default: ".tallystick-verifier" },
    key: { type: "string" },
    name: { type: "string" },
    "cache-mib": { type: "string", default: "4096" },
    cpu: { type: "string", default: "100" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];
  try {
    ({ values } = parseArgs({ args, options, allowPositionals: false }));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new OperatorError(`${why}. tallyd verifier --help lists the options`, { cause });
  }
  if (values.help) return "help";
  const { data, json, name, key } = values;
  const gateway = parseUrl("gateway", required(values.gateway, "--gateway URL", "the network to verify"));
  requireTlsAbroad(gateway);
  if (name !== undefined && !/^[a-z0-9][a-z0-9-]{0,63}$/.test(name))
    throw new OperatorError(
      `--name takes a name of lower-case letters, digits and hyphens, not ${JSON.stringify(name)}`,
    );
  return {
    ...{ gateway, data, json, name },
    tokenPath: required(values["token-file"], "--token-file FILE", "the token that its operator gave you"),
    trust: parseTrust(required(values["log-key"], "--log-key VKEY", "the key of the network's log"), values.policy),
    keyPath: key ?? join(data, "keys", "verifier.pem"),
    keptBytes: wholeNumber("cache-mib", values["cache-mib"], 1, 999_999) * 1024 * 1024,
    cpuShare: wholeNumber("cpu", values.cpu, 1, 100) / 100,
  };
}

function required(value: string | undefined, option: string, what: string): string {
  if (value !== undefined) return value;
  throw new OperatorError(`a verifier needs ${what}: give it with ${option}`);
}
