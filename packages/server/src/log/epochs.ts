/** Epochs: entries that carry a cosigned checkpoint, so that folds have a clock that is in the log itself. */
import { encodeNote, type Note, parseSigned, type Signer, signEntry, utf8 } from "@tallystick/protocol";
import type { Follower } from "./service.ts";

export type EpochParts = {
  /** Signs for the role `log`. */
  signer: Signer;
  intervalMs: number;
  published(): { size: number; note: Note };
  append(entry: Uint8Array): Promise<number>;
  /** Whether there are entries that no epoch covers at the start. */
  uncovered: boolean;
};

export type Epochs = {
  follow: Follower;
  /** Writes one at once: what is published by then has its time as soon as the epoch is. */
  write(): Promise<void>;
  close(): void;
};

const EPOCH = "application/vnd.tallystick.epoch+cbor";

/** Writes an epoch each interval in which something else was published. */
export function startEpochs({ signer, intervalMs, published, append, uncovered }: EpochParts): Epochs {
  let due = uncovered;
  let writing = Promise.resolve();

  async function write(): Promise<void> {
    const checkpoint = utf8(encodeNote(published().note));
    const { signed } = await signEntry(signer, "epoch", { version: 1, checkpoint });
    await append(signed.bytes);
  }

  const timer = setInterval(() => {
    if (!due) return;
    due = false;
    writing = writing.then(write).catch(() => {
      due = true; // The log says why it cannot write; the next tick tries again.
    });
  }, intervalMs);

  return {
    follow(entries) {
      due ||= entries.some((entry) => parseSigned(entry).contentType !== EPOCH);
    },
    write,
    close: () => clearInterval(timer),
  };
}
