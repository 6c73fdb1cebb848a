/** What an operator may say at the start. */
import { availableParallelism } from "node:os";
import { parseHex } from "@tallystick/protocol";
import { requireSafeExposure } from "./exposure.ts";
import { KEY_NAMES, type KeyName, type KeyPlaces } from "./keys.ts";
import { mebibytes, oneOf, parseUrl, readArguments, tlsFiles, wholeNumber } from "./option-values.ts";
import { OperatorError } from "./platform/errors.ts";
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from "./platform/logging.ts";
import type { TlsFiles } from "./platform/tls.ts";

export type Options = {
  data: string;
  port: number;
  host: string;
  models: string;
  upstreamsPath?: string;
  workerCount: number;
  json: boolean;
  keys: KeyPlaces;
  tls?: TlsFiles;
  publishIntervalMs: number;
  policyPath?: string;
  rotateLogKey: boolean;
  newWitnesses: boolean;
  /** Where clients are told that the network is; else where it listens. */
  url?: string;
  /** The token by which nodes elsewhere come in; without one, none do. */
  nodeTokenPath?: string;
  /** SHA-256 of the key whose simulated evidence of nodes is played along with. */
  simulatedRoot?: Uint8Array;
  /** The token by which verifiers elsewhere come in; without one, none do. */
  verifierTokenPath?: string;
  /** The share of one core that its own verifier may take; 0 leaves it to verifiers elsewhere. */
  verifyShare: number;
  /** The most that its node keeps of what opens receipts. */
  openingBytes: number;
  behindTlsProxy: boolean;
  /** How long contents of calls with `store: true` are kept. */
  contentDays: number;
  /** Whether anybody may ask in SQL; else the operator alone. */
  openQuery: boolean;
  /** What is said on standard error. */
  log: { format: LogFormat; level: LogLevel };
};

export const HELP = `tallyd: a Tallystick network on this machine: hub, gateway, node, log, usage

  tallyd [--data DIR] [--port N] [--json]
  tallyd keys --keys DIR   makes the keys of a network that others reach
  tallyd node --help       runs models for the network of a gateway elsewhere
  tallyd verifier --help   runs again what the lots of a log draw for it
  tallyd witness --help    cosigns the checkpoints of other logs
  tallyd reference --help  approves what a release of the node measures

  --data DIR      where keys, log and artifacts lie      (.tallystick)
  --port N        the port to listen on; 0 is any         (8787)
  --host ADDRESS  the address to listen on; for others
                  than this machine it takes TLS          (127.0.0.1)
  --models DIR    the models to publish                   (those that come with Tallystick)
  --upstreams FILE
                  whom models are relayed to: vLLM, llama.cpp,
                  Ollama, a provider                      (nobody)
  --workers N     processes' worth of model execution;
                  0 leaves it to nodes elsewhere          (one a core)
  --json          print one line of JSON when ready, and nothing else
  --help

  --keys DIR      a folder of keys, made by tallyd keys   (keys in the data folder)
  --key NAME=FILE one key that lies elsewhere: ${KEY_NAMES.slice(0, 3).join(", ")},
                  ${KEY_NAMES.slice(3).join(", ")}
  --tls-cert FILE the certificate, PEM, its chain behind it
  --tls-key FILE  its private key, PEM
  --behind-tls-proxy
                  a reverse proxy on this machine ends TLS
  --policy FILE   the log's witnesses and their quorum, a
                  tlog-policy                             (two witnesses of its own)
  --checkpoint-interval MS
                  the least time between two public
                  checkpoints                             (1000)
  --rotate-log-key
                  begin by giving the log a new key
  --new-witnesses the stores of its own witnesses are lost:
                  they begin as others, with new keys
  --url URL       where clients are told to come          (the address listened on)
  --node-token FILE
                  let nodes in that have the token in
                  this file, which is made if need be     (no nodes elsewhere)
  --simulated-root HEX
                  play along with simulated evidence of
                  nodes, by the key of this SHA-256: it is
                  never counted as attested               (none)
  --verify PERCENT
                  of one core, that running calls again to
                  check them may take; 0 leaves it to
                  verifiers elsewhere                     (25)
  --verifier-token FILE
                  let verifiers in that have the token in
                  this file, which is made if need be     (no verifiers elsewhere)
  --openings-mib N
                  calls and answers to keep, sealed, until
                  it is known whether they are checked    (1024)
  --content-days N
                  how long content is kept of calls with
                  store: true; 0 keeps none               (30)
  --open-query    let anybody ask in SQL: one question at a time,
                  each half a minute at most              (the operator alone)
  --log-level LEVEL
                  what is said on standard error: error,
                  warn, info or debug                     (info, with each request)
  --log-format FORMAT
                  json or text                            (text on a terminal, else json)
`;

/** Reads the command line. Throws an OperatorError; `help` where help is asked for. */
export function parseOptions(
  args: string[],
  defaultModels: string,
  defaultFormat: LogFormat = "json",
): Options | "help" {
  const { values } = readArguments("tallyd", {
    args,
    allowPositionals: false,
    options: {
      data: { type: "string", default: ".tallystick" },
      port: { type: "string", default: "8787" },
      host: { type: "string", default: "127.0.0.1" },
      models: { type: "string", default: defaultModels },
      upstreams: { type: "string" },
      workers: { type: "string", default: String(Math.min(4, availableParallelism())) },
      json: { type: "boolean", default: false },
      keys: { type: "string" },
      key: { type: "string", multiple: true },
      "tls-cert": { type: "string" },
      "tls-key": { type: "string" },
      "behind-tls-proxy": { type: "boolean", default: false },
      policy: { type: "string" },
      "checkpoint-interval": { type: "string", default: "1000" },
      "rotate-log-key": { type: "boolean", default: false },
      "new-witnesses": { type: "boolean", default: false },
      url: { type: "string" },
      "node-token": { type: "string" },
      "simulated-root": { type: "string" },
      verify: { type: "string", default: "25" },
      "verifier-token": { type: "string" },
      "openings-mib": { type: "string", default: "1024" },
      "content-days": { type: "string", default: "30" },
      "open-query": { type: "boolean", default: false },
      "log-level": { type: "string", default: "info" },
      "log-format": { type: "string", default: defaultFormat },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  const { data, host, models, json, keys } = values;
  const [port, workerCount] = [
    wholeNumber("port", values.port, 0, 65_535),
    wholeNumber("workers", values.workers, 0, 64),
  ];
  const publishIntervalMs = wholeNumber("checkpoint-interval", values["checkpoint-interval"], 1, 60_000);
  const tls = tlsFiles(values["tls-cert"], values["tls-key"]);
  const url = values.url === undefined ? undefined : parseUrl("url", values.url);
  const keyPlaces: KeyPlaces = { ...(keys === undefined ? {} : { folder: keys }), files: keyFiles(values.key ?? []) };
  requireSafeExposure({ host, port, data, keys, tls, url, behindTlsProxy: values["behind-tls-proxy"] });
  return {
    ...{ data, port, host, models, workerCount, json, keys: keyPlaces, publishIntervalMs },
    rotateLogKey: values["rotate-log-key"],
    newWitnesses: values["new-witnesses"],
    ...(values.upstreams === undefined ? {} : { upstreamsPath: values.upstreams }),
    behindTlsProxy: values["behind-tls-proxy"],
    openQuery: values["open-query"],
    contentDays: wholeNumber("content-days", values["content-days"], 0, 3_650),
    verifyShare: wholeNumber("verify", values.verify, 0, 100) / 100,
    openingBytes: mebibytes("openings-mib", values["openings-mib"], 0),
    log: {
      format: oneOf("log-format", LOG_FORMATS, values["log-format"]),
      level: oneOf("log-level", LOG_LEVELS, values["log-level"]),
    },
    ...(values.policy === undefined ? {} : { policyPath: values.policy }),
    ...(tls === undefined ? {} : { tls }),
    ...(url === undefined ? {} : { url }),
    ...(values["node-token"] === undefined ? {} : { nodeTokenPath: values["node-token"] }),
    ...simulatedRoot(values["simulated-root"]),
    ...(values["verifier-token"] === undefined ? {} : { verifierTokenPath: values["verifier-token"] }),
  };
}

function simulatedRoot(text: string | undefined): { simulatedRoot?: Uint8Array } {
  if (text === undefined) return {};
  const root = parseHex(text);
  if (root?.length === 32) return { simulatedRoot: root };
  throw new OperatorError("--simulated-root takes the 64 digits of hex that a node with --attest simulated reports");
}

function keyFiles(given: readonly string[]): Partial<Record<KeyName, string>> {
  const files: Partial<Record<KeyName, string>> = {};
  for (const text of given) {
    const [, name, file] = /^([^=]*)=(.+)$/.exec(text) ?? [];
    const known = KEY_NAMES.find((one) => one === name);
    if (known === undefined || file === undefined)
      throw new OperatorError(`--key takes NAME=FILE with one of ${KEY_NAMES.join(", ")}, not ${JSON.stringify(text)}`);
    files[known] = file;
  }
  return files;
}
