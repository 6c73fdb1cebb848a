/** Epochs: entries that carry a cosigned checkpoint, so that folds have a clock that is in the log itself. */
import { encodeNote, type Note, parseSigned, type Signer, signEntry, utf8 } from "@tallystick/protocol";
import type { Follower } from "./service.ts";

export type EpochParts = {
  /** Signs for the role `log`. */
  signer: Signer;
  intervalMs: number;
  /** The newest state that a quorum of witnesses has cosigned; undefined while there is none. */
  witnessed(): { size: number; note: Note } | undefined;
  append(entry: Uint8Array): Promise<number>;
  /** How many entries the epochs so far cover, and up to where there are entries that are no epochs. */
  coveredSize: number;
  othersEnd: number;
  /** Whether a day that ended long enough ago waits for an epoch to close it. */
  isDayDue(): boolean;
};

export type Epochs = {
  follow: Follower;
  /** Writes one at once: what is witnessed by then has its time as soon as the epoch is. */
  write(): Promise<void>;
  close(): void;
};

const EPOCH = "application/vnd.tallystick.epoch+cbor";

/**
 * Writes an epoch each interval in which something else was witnessed or a day is to be closed, so that an idle log is still.
 * Of such a log the newest checkpoint is old: the epoch that carries it is itself what the next checkpoint, with its own time, is of.
 */
export function startEpochs({ signer, intervalMs, witnessed, append, isDayDue, ...start }: EpochParts): Epochs {
  let { coveredSize, othersEnd } = start;
  let writing = Promise.resolve();

  async function write(): Promise<void> {
    const state = witnessed();
    if (state === undefined) return;
    const { signed } = await signEntry(signer, "epoch", { version: 1, checkpoint: utf8(encodeNote(state.note)) });
    await append(signed.bytes);
    coveredSize = Math.max(coveredSize, state.size);
  }

  const isDue = () => (coveredSize < othersEnd || isDayDue()) && (witnessed()?.size ?? 0) > coveredSize;
  const timer = setInterval(() => {
    writing = writing.then(() => (isDue() ? write() : undefined)).catch(() => {}); // The log says why it cannot write; the next tick tries again.
  }, intervalMs);

  return {
    follow(entries, { size }) {
      const others = entries.findLastIndex((entry) => parseSigned(entry).contentType !== EPOCH);
      if (others >= 0) othersEnd = size - entries.length + others + 1;
    },
    write,
    close: () => clearInterval(timer),
  };
}
