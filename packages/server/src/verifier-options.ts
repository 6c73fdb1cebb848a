/** What an operator may say at the start of a verifier on a machine of its own. */
import { mebibytes, readArguments, wholeNumber } from "./option-values.ts";
import { ENTRANCE_HELP, parseRole, ROLE_OPTIONS, type RoleCommand } from "./role-options.ts";

export type VerifierCommand = RoleCommand & {
  keptBytes: number;
  cpuShare: number;
};

export const VERIFIER_HELP = `tallyd verifier: runs again what the lots of a network's log draw for it

  tallyd verifier --gateway URL --token-file FILE --log-key VKEY [--data DIR]

  --gateway URL   the network to verify: its operator started it with --verifier-token
${ENTRANCE_HELP}
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
  const { values } = readArguments("tallyd verifier", {
    args,
    allowPositionals: false,
    options: {
      ...ROLE_OPTIONS,
      data: { type: "string", default: ".tallystick-verifier" },
      "cache-mib": { type: "string", default: "4096" },
      cpu: { type: "string", default: "100" },
    },
  });
  if (values.help) return "help";
  return {
    ...parseRole("verifier", "the network to verify", values),
    keptBytes: mebibytes("cache-mib", values["cache-mib"], 1),
    cpuShare: wholeNumber("cpu", values.cpu, 1, 100) / 100,
  };
}
