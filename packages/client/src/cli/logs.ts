/** Which log a command is about: that of a network, or one that a server of files or a folder has; and by which key. */
import { parseCheckpoint, parseNoteKey } from "@tallystick/protocol";
import { fetchSource, type LogSource } from "../audit/source.ts";
import { orUnverified, RefusedError } from "../errors.ts";
import type { Context } from "./context.ts";
import { openFolderSource } from "./folder-source.ts";
import {
  findNetwork,
  findRunning,
  GIVEN,
  isUrl,
  keyInPolicy,
  type LogKey,
  MET_BEFORE,
  type NetworkOptions,
} from "./networks.ts";
import { printable, UsageError } from "./terminal.ts";

export type LogArguments = NetworkOptions & { log?: string };

export type OpenedLog = {
  source: LogSource;
  logKey: LogKey;
  /** The network that serves it, where one does. */
  url?: string;
};

/** Opens the log that `log` names, a URL or a folder; else that of the network which is meant. */
export async function openLog(args: LogArguments, context: Context): Promise<OpenedLog> {
  const { log } = args;
  if (log !== undefined && !isUrl(log)) {
    const source = await openFolderSource(log);
    const running = args.vkey === undefined ? await findRunning(log) : undefined;
    if (running === undefined) return { source, logKey: await findLogKey(source, args, context) };
    const { logKey } = await findNetwork({ ...args, network: log }, context);
    return { source, logKey };
  }
  const place = await findNetwork({ ...args, ...(log === undefined ? {} : { network: log }) }, context).catch(
    (error: unknown) => {
      if (log === undefined || !(error instanceof RefusedError) || error.status !== 404) throw error;
      // No network, then: a copy of its tiles on any server of files. A network that hides its figures looks the same.
      context.terminal.err(
        `tally: ${printable(log)} answers as no network: it is read as a copy of a log, which shows no figures\n`,
      );
      return undefined;
    },
  );
  const source = fetchSource(place?.url ?? log ?? "", context.edges);
  return place === undefined
    ? { source, logKey: await findLogKey(source, args, context) }
    : { source, logKey: place.logKey, url: place.url };
}

/** The key of a log that cannot say itself whose it is. */
async function findLogKey(source: LogSource, { vkey: given }: LogArguments, context: Context): Promise<LogKey> {
  const { home } = context;
  const handoversOf = (origin: string) => home.findHandovers(origin);
  const read = async () => {
    const bytes = await source.checkpoint();
    return orUnverified("the checkpoint", () => parseCheckpoint(bytes)).origin;
  };
  const origin = given === undefined ? await read() : parseNoteKey(given).name;
  const vkey = given ?? keyInPolicy(context, origin);
  if (vkey !== undefined) return { vkey, because: GIVEN, handovers: await handoversOf(origin) };
  const known = await home.findLog(origin);
  if (known !== undefined) return { vkey: known, because: MET_BEFORE, handovers: await handoversOf(origin) };
  throw new UsageError(
    `the log ${origin} was not met before: give its key with --vkey, as its network's page and ready.json have it`,
  );
}
