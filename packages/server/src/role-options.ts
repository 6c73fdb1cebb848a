/** What an operator may say at the start of any role on a machine of its own that works for a network elsewhere. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type LogTrust, parseNoteKey, parsePolicy, trustInLog } from "@tallystick/protocol";
import { hostnameOf, isLoopback } from "./exposure.ts";
import { parseUrl } from "./option-values.ts";
import { OperatorError } from "./platform/errors.ts";

export type RoleCommand = {
  gateway: string;
  tokenPath: string;
  trust: LogTrust;
  data: string;
  keyPath: string;
  name: string | undefined;
  json: boolean;
};

/** Those options, but for `--data`, whose default is each role's own. */
export const ROLE_OPTIONS = {
  gateway: { type: "string" },
  "token-file": { type: "string" },
  "log-key": { type: "string" },
  policy: { type: "string" },
  key: { type: "string" },
  name: { type: "string" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** How a role gets in, in the words of its help. */
export const ENTRANCE_HELP = `  --token-file FILE
                  the token that its operator gave you, readable by this user alone
  --log-key VKEY  the key of the network's log
  --policy FILE   the log's witnesses and their quorum, a
                  tlog-policy: then they have to agree    (the log's key alone)`;

type RoleValues = {
  [name in "gateway" | "token-file" | "log-key" | "policy" | "key" | "name"]?: string | undefined;
} & { data: string; json: boolean };

/** What was given with ROLE_OPTIONS to a role, and what the network is to it. Throws an OperatorError. */
export function parseRole(role: "node" | "verifier", network: string, values: RoleValues): RoleCommand {
  const { data, json, name, key } = values;
  const required = (value: string | undefined, option: string, what: string) => {
    if (value !== undefined) return value;
    throw new OperatorError(`a ${role} needs ${what}: give it with ${option}`);
  };
  const gateway = parseUrl("gateway", required(values.gateway, "--gateway URL", network));
  requireTlsAbroad(gateway);
  if (name !== undefined && !/^[a-z0-9][a-z0-9-]{0,63}$/.test(name))
    throw new OperatorError(
      `--name takes a name of lower-case letters, digits and hyphens, not ${JSON.stringify(name)}`,
    );
  return {
    ...{ gateway, data, json, name },
    tokenPath: required(values["token-file"], "--token-file FILE", "the token that its operator gave you"),
    trust: parseTrust(required(values["log-key"], "--log-key VKEY", "the key of the network's log"), values.policy),
    keyPath: key ?? join(data, "keys", `${role}.pem`),
  };
}

/** The token and every call would be read on the way. */
function requireTlsAbroad(gateway: string): void {
  if (gateway.startsWith("http:") && !isLoopback(hostnameOf(gateway)))
    throw new OperatorError(`--gateway ${gateway} is plain HTTP to another machine: give its https address`);
}

/** Whom to believe about the log. */
function parseTrust(vkey: string, policyPath: string | undefined): LogTrust {
  try {
    const key = parseNoteKey(vkey);
    if (key.type !== "ed25519") throw new OperatorError(`--log-key ${vkey} is not the Ed25519 key of a log, type 1`);
    return trustInLog(key, policyPath === undefined ? undefined : parsePolicy(readFileSync(policyPath)));
  } catch (cause) {
    if (cause instanceof OperatorError) throw cause;
    const why = cause instanceof Error ? cause.message : cause;
    throw new OperatorError(`the log's key or its policy cannot be read: ${why}`, { cause });
  }
}
