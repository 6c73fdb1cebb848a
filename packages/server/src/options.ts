/** What an operator may say at the start. */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { OperatorError } from "./platform/errors.ts";

export type Options = { data: string; port: number; host: string; models: string; workerCount: number; json: boolean };

export const HELP = `tallyd: a Tallystick network on this machine: hub, gateway, node, log, usage

  tallyd [--data DIR] [--port N] [--json]
  tallyd witness --help    cosigns the checkpoints of other logs

  --data DIR      where keys, log and artifacts lie      (.tallystick)
  --port N        the port to listen on; 0 is any         (8787)
  --host ADDRESS  a loopback address to listen on         (127.0.0.1)
  --models DIR    the models to publish                   (those that come with Tallystick)
  --workers N     processes' worth of model execution     (one a core)
  --json          print one line of JSON when ready, and nothing else
  --help
`;

const LOOPBACK = /^(127\.[0-9.]+|::1|localhost)$/;

/** Reads the command line. Throws an OperatorError; `help` where help is asked for. */
export function parseOptions(args: string[], defaultModels: string): Options | "help" {
  const options = {
    data: { type: "string", default: ".tallystick" },
    port: { type: "string", default: "8787" },
    host: { type: "string", default: "127.0.0.1" },
    models: { type: "string", default: defaultModels },
    workers: { type: "string", default: String(Math.min(4, availableParallelism())) },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];
  try {
    ({ values } = parseArgs({ args, options, allowPositionals: false }));
  } catch (cause) {
    throw new OperatorError(`${cause instanceof Error ? cause.message : cause}. tallyd --help lists the options`, {
      cause,
    });
  }
  if (values.help) return "help";
  const [port, workerCount] = [
    wholeNumber("port", values.port, 0, 65_535),
    wholeNumber("workers", values.workers, 1, 64),
  ];
  if (!LOOPBACK.test(values.host))
    throw new OperatorError(`--host ${values.host} is not a loopback address: this version serves this machine only`);
  return { data: values.data, port, host: values.host, models: values.models, workerCount, json: values.json };
}

/** Reads the whole number given with `--name`, within its range. Throws an OperatorError. */
export function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = /^[0-9]{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new OperatorError(`--${name} takes a whole number from ${least} to ${most}, not ${JSON.stringify(text)}`);
}
