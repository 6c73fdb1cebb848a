/** What an operator may say at the start of a witness. */
import { join } from "node:path";
import { Malformed, type NoteKey, parseNoteKey } from "@tallystick/protocol";
import { isLoopback } from "./exposure.ts";
import { readArguments, wholeNumber } from "./option-values.ts";
import { OperatorError } from "./platform/errors.ts";
import type { LogToWitness } from "./witness/open.ts";

export type WitnessCommand = {
  data: string;
  keyPath: string;
  isKeyUnused: boolean;
  name: string | undefined;
  logs: LogToWitness[];
  host: string;
  port: number;
  json: boolean;
};

export const WITNESS_HELP = `tallyd witness: cosigns the checkpoints of logs, each only where it extends the last

  tallyd witness --log VKEY [--log VKEY …] [--data DIR]

  --log VKEY      the key of a log to witness; two of one name are one log's
  --data DIR      where it keeps what it cosigned         (.tallystick-witness)
  --key FILE      its key, made when its store is         (keys/witness.pem in the data folder)
  --unused-key    the key is there already and never cosigned anything: begin its store
  --name NAME     the name in its cosignatures            (one that follows from its key)
  --port N        the port to listen on; 0 is any         (8788)
  --host ADDRESS  a loopback address to listen on         (127.0.0.1)
  --json          print one line of JSON when ready, and nothing else
  --help
`;

/** Reads the command line behind `tallyd witness`. Throws an OperatorError; `help` where help is asked for. */
export function parseWitnessOptions(args: string[]): WitnessCommand | "help" {
  const { values } = readArguments("tallyd witness", {
    args,
    allowPositionals: false,
    options: {
      log: { type: "string", multiple: true, default: [] as string[] },
      data: { type: "string", default: ".tallystick-witness" },
      key: { type: "string" },
      "unused-key": { type: "boolean", default: false },
      name: { type: "string" },
      port: { type: "string", default: "8788" },
      host: { type: "string", default: "127.0.0.1" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  const { data, host, json, name } = values;
  const logs = logsOf(values.log.map(parseLogKey));
  if (logs.length === 0) throw new OperatorError("a witness needs a log: give its key with --log VKEY");
  const port = wholeNumber("port", values.port, 0, 65_535);
  if (!isLoopback(host))
    throw new OperatorError(`--host ${host} is not a loopback address: put a proxy before the witness to serve others`);
  const keyPath = values.key ?? join(data, "keys", "witness.pem");
  return { data, keyPath, isKeyUnused: values["unused-key"], name, logs, host, port, json };
}

function parseLogKey(vkey: string): NoteKey {
  try {
    const key = parseNoteKey(vkey);
    if (key.type === "ed25519") return key;
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new OperatorError(`--log ${JSON.stringify(vkey)} ${cause.message}`, { cause });
  }
  throw new OperatorError(`--log ${vkey} is not the Ed25519 key of a log, type 1, but another kind`);
}

/** A log's origin is the name of its keys (C2SP tlog-policy). */
function logsOf(keys: readonly NoteKey[]): LogToWitness[] {
  const origins = new Set(keys.map(({ name }) => name));
  return [...origins].map((origin) => ({ origin, keys: keys.filter(({ name }) => name === origin) }));
}
