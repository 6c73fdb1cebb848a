/** The checkpoint of a log, verified. */
import {
  type Checkpoint,
  type CheckpointFailure,
  type LogTrust,
  parseCheckpoint,
  verifyCheckpoint,
} from "@tallystick/protocol";
import type { LogSource } from "../audit/source.ts";
import { orUnverified, UnverifiedError } from "../errors.ts";

/** A checkpoint that the log signed, with the bytes it came in and the time its cosigners give. */
export type VerifiedCheckpoint = { checkpoint: Checkpoint; bytes: Uint8Array; timeSeconds: number };

/** The checkpoint that `source` has. Throws UnverifiedError where it is not one to believe. */
export async function readCheckpoint(source: LogSource, trust: LogTrust): Promise<VerifiedCheckpoint> {
  return verifiedCheckpoint(await source.checkpoint(), trust);
}

export async function verifiedCheckpoint(bytes: Uint8Array, trust: LogTrust): Promise<VerifiedCheckpoint> {
  const checkpoint = orUnverified("the checkpoint", () => parseCheckpoint(bytes));
  const verified = await verifyCheckpoint(checkpoint, trust);
  if (verified.ok) return { checkpoint, bytes, timeSeconds: verified.timeSeconds };
  throw new UnverifiedError(`the checkpoint of ${checkpoint.origin} is not to be believed: ${verified.failure}`);
}

const NOT_THE_LOGS: ReadonlySet<string> = new Set<CheckpointFailure>(["wrong_origin", "bad_signature", "unsigned"]);

/** Whether the log's own signature holds, whoever else may be missing: what it signed, it can be held to. */
export async function isSignedByLog(checkpoint: Checkpoint, trust: LogTrust): Promise<boolean> {
  const verified = await verifyCheckpoint(checkpoint, trust);
  return verified.ok || !NOT_THE_LOGS.has(verified.failure);
}
