/** What an operator may say at the start of a node on a machine of its own. */
import { availableParallelism } from "node:os";
import { hostnameOf, isEveryAddress, isLoopback } from "./exposure.ts";
import { mebibytes, parseUrl, readArguments, tlsFiles, wholeNumber } from "./option-values.ts";
import { OperatorError } from "./platform/errors.ts";
import type { TlsFiles } from "./platform/tls.ts";
import { ENTRANCE_HELP, parseRole, ROLE_OPTIONS, type RoleCommand } from "./role-options.ts";

export type NodeCommand = RoleCommand & {
  upstreamsPath: string | undefined;
  attest: Attest | undefined;
  workerCount: number;
  priceFloorAtomic: bigint;
  modelSizeMostBytes: number;
  keptBytes: number;
  openingBytes: number;
  host: string;
  port: number;
  tls: TlsFiles | undefined;
  /** Where the gateway is told to come; else where it listens. */
  url: string | undefined;
};

/** How a node shows what its machine runs. */
export type Attest =
  | { kind: "tsm"; collateralPath: string | undefined }
  | { kind: "command"; path: string }
  | { kind: "simulated" };

export const NODE_HELP = `tallyd node: runs models for the network of a gateway elsewhere

  tallyd node --gateway URL --token-file FILE --log-key VKEY [--data DIR]

  --gateway URL   the network to work for: its operator started it with --node-token
${ENTRANCE_HELP}
  --data DIR      where its key, models and receipts on
                  their way to the log lie                (.tallystick-node)
  --key FILE      its key, made when it is not there      (keys/node.pem in the data folder)
  --name NAME     what the gateway shows it as            (one that follows from its key)
  --upstreams FILE
                  whom models are relayed to              (nobody)
  --attest HOW    how it shows what this machine runs: tsm, the
                  kernel's of a TDX or SEV-SNP guest; the path
                  of a command that prints evidence; or
                  simulated, which never counts           (not at all)
  --attest-collateral FILE
                  for tsm: certificates in PEM, or Intel's
                  collateral in JSON, read each time      (what the host gives)
  --workers N     processes' worth of model execution     (one a core)
  --price-floor N atomic units: calls whose maximum is less
                  are left to others                      (0)
  --model-mib N   models whose files are larger are left to
                  others                                  (256)
  --cache-mib N   models' files to keep                   (4096)
  --openings-mib N
                  calls and answers to keep, sealed, until
                  it is known whether they are checked    (1024)
  --port N        the port to listen on; 0 is any         (8789)
  --host ADDRESS  the address to listen on; for others
                  than this machine it takes TLS          (127.0.0.1)
  --tls-cert FILE the certificate, PEM, its chain behind it
  --tls-key FILE  its private key, PEM
  --url URL       where the gateway reaches it            (the address listened on)
  --json          print one line of JSON when ready, and nothing else
  --help
`;

/** Reads the command line behind `tallyd node`. Throws an OperatorError; `help` where help is asked for. */
export function parseNodeOptions(args: string[]): NodeCommand | "help" {
  const { values } = readArguments("tallyd node", {
    args,
    allowPositionals: false,
    options: {
      ...ROLE_OPTIONS,
      data: { type: "string", default: ".tallystick-node" },
      upstreams: { type: "string" },
      attest: { type: "string" },
      "attest-collateral": { type: "string" },
      workers: { type: "string", default: String(Math.min(4, availableParallelism())) },
      "price-floor": { type: "string", default: "0" },
      "model-mib": { type: "string", default: "256" },
      "cache-mib": { type: "string", default: "4096" },
      "openings-mib": { type: "string", default: "1024" },
      port: { type: "string", default: "8789" },
      host: { type: "string", default: "127.0.0.1" },
      "tls-cert": { type: "string" },
      "tls-key": { type: "string" },
      url: { type: "string" },
    },
  });
  if (values.help) return "help";
  const role = parseRole("node", "the network to work for", values);
  const { host } = values;
  const tls = tlsFiles(values["tls-cert"], values["tls-key"]);
  const url = values.url === undefined ? undefined : parseUrl("url", values.url);
  requireReachable(host, tls, url);
  const floor = values["price-floor"];
  if (!/^(0|[1-9][0-9]{0,18})$/.test(floor))
    throw new OperatorError(`--price-floor takes a whole number of atomic units, not ${JSON.stringify(floor)}`);
  return {
    ...{ ...role, host, tls, url },
    upstreamsPath: values.upstreams,
    attest: parseAttest(values.attest, values["attest-collateral"]),
    workerCount: wholeNumber("workers", values.workers, 1, 64),
    priceFloorAtomic: BigInt(floor),
    modelSizeMostBytes: mebibytes("model-mib", values["model-mib"], 1, 256),
    keptBytes: mebibytes("cache-mib", values["cache-mib"], 1),
    openingBytes: mebibytes("openings-mib", values["openings-mib"], 0),
    port: wholeNumber("port", values.port, 0, 65_535),
  };
}

function parseAttest(how: string | undefined, collateralPath: string | undefined): Attest | undefined {
  if (collateralPath !== undefined && how !== "tsm")
    throw new OperatorError("--attest-collateral goes with --attest tsm: a command prints its collateral itself");
  if (how === undefined) return undefined;
  if (how === "tsm") return { kind: "tsm", collateralPath };
  if (how === "simulated") return { kind: "simulated" };
  if (how.includes("/")) return { kind: "command", path: how };
  throw new OperatorError(`--attest takes tsm, simulated or the path of a command, not ${JSON.stringify(how)}`);
}

function requireReachable(host: string, tls: TlsFiles | undefined, url: string | undefined): void {
  if (tls === undefined && !isLoopback(host))
    throw new OperatorError(
      `--host ${host} is no loopback address, and calls come by TLS alone: give --tls-cert and --tls-key, or put a proxy before the node`,
    );
  if (tls !== undefined && url === undefined && isEveryAddress(host))
    throw new OperatorError(
      `where does the gateway reach this node? ${host} is every address: give --url https://NAME`,
    );
  if (url?.startsWith("http:") && !isLoopback(hostnameOf(url)))
    throw new OperatorError(`--url ${url} is plain HTTP to another machine: the gateway comes by https alone`);
}
