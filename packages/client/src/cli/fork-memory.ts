/** What a log signed before, remembered: it is held to that whenever it is met again. */
import type { Checkpoint } from "@tallystick/protocol";
import { BEFORE } from "../audit/audit.ts";
import type { Finding } from "../audit/findings.ts";
import type { LogSource } from "../audit/source.ts";
import { IncompleteLogError, UnverifiedError } from "../errors.ts";
import { type Alarm, contradictionOf, forked, shrunk } from "../log/alarm.ts";
import { type VerifiedCheckpoint, verifiedCheckpoint } from "../log/head.ts";
import { openTree } from "../log/tree.ts";
import type { Context } from "./context.ts";
import type { OpenedLog } from "./logs.ts";
import { trustOf } from "./networks.ts";
import { printable } from "./terminal.ts";

/**
 * The log's newest checkpoint, which extends the one that was kept, and is kept from now on. Throws UnverifiedError
 * where it is not to be believed, or contradicts that one: then both are kept as evidence.
 */
export async function readHeldCheckpoint(opened: OpenedLog, context: Context): Promise<VerifiedCheckpoint> {
  const served = await verifiedCheckpoint(
    await opened.source.checkpoint(),
    await trustOf(opened.logKey, context.policy),
  );
  await hold(served, opened, context);
  return served;
}

export type Remembered = {
  /** The log with one checkpoint read. */
  source: LogSource;
  /** The state of it that was kept before: an audit finds whether its entries begin with that. */
  before?: Checkpoint;
  /** Keeps what was served, where the audit found that it holds, and as evidence where it contradicts what was kept. */
  conclude(findings: readonly Finding[]): Promise<void>;
};

/**
 * The log with one checkpoint read, and that held to the one that was kept. What is wrong with its signature or its tiles
 * is left to whoever reads the log, who is told what to hold its entries to: tiles that were not there when they were asked
 * for here may be there then.
 */
export async function rememberLog(opened: OpenedLog, context: Context): Promise<Remembered> {
  const { home, policy, terminal } = context;
  const bytes = await opened.source.checkpoint();
  const source = { ...opened.source, checkpoint: async () => bytes };
  const served = await verifiedCheckpoint(bytes, await trustOf(opened.logKey, policy)).catch(unlessUnverified);
  if (served === undefined) return { source, conclude: async () => {} };
  const { origin } = served.checkpoint;
  const kept = await home.findCheckpoint(origin);
  await hold(served, opened, context).catch((error: unknown) => {
    if (error instanceof ContradictionError) throw error;
    return unlessUnverified(error);
  });
  return {
    source,
    ...(kept === undefined ? {} : { before: kept.checkpoint }),
    async conclude(findings) {
      if (kept !== undefined && findings.some(({ check }) => check === BEFORE)) {
        const { message } = await contradiction(forked(kept, served), origin, context);
        terminal.err(`tally: ${printable(message)}\n`);
      } else if (findings.length === 0 && served.checkpoint.size >= (kept?.checkpoint.size ?? 0))
        await home.keepCheckpoint(served);
    },
  };
}

function unlessUnverified(error: unknown): undefined {
  if (!(error instanceof UnverifiedError || error instanceof IncompleteLogError)) throw error;
  return undefined;
}

class ContradictionError extends UnverifiedError {}

async function hold(served: VerifiedCheckpoint, { source, url }: OpenedLog, context: Context): Promise<void> {
  const { home, terminal } = context;
  const { origin, size } = served.checkpoint;
  const kept = await home.findCheckpoint(origin);
  if (kept === undefined) return home.keepCheckpoint(served);
  if (size < kept.checkpoint.size) {
    // A copy may be older than what was seen of the log; the log itself may not.
    if (url !== undefined) throw await contradiction(shrunk(kept, served), origin, context);
    terminal.err(
      `this copy has ${size} entries; the log had ${kept.checkpoint.size} when it was met last, to which these cannot be held\n`,
    );
    return;
  }
  const alarm = await contradictionOf(kept, served, await openTree(source, served.checkpoint));
  if (alarm !== undefined) throw await contradiction(alarm, origin, context);
  await home.keepCheckpoint(served);
}

/** The error over `alarm`, whose evidence is kept. */
export async function contradiction(
  { detail, evidence }: Alarm,
  origin: string,
  { home }: Context,
): Promise<UnverifiedError> {
  return new ContradictionError(
    `${detail}: do not trust ${origin}. The evidence is in ${await home.keepEvidence(origin, evidence)}`,
  );
}
