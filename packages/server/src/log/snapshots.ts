/** Snapshots: entries that say what a closed day came to, so that nobody can say something else of it later. */
import { type DaySummary, hex, type Signer, signEntry } from "@tallystick/protocol";
import type { Follower } from "./service.ts";

export type SnapshotParts = {
  /** Signs for the role `log`. */
  signer: Signer;
  /** Days that are closed and of which the log says nothing yet. */
  due(): DaySummary[];
  append(entry: Uint8Array): Promise<number>;
};

export type Snapshots = {
  follow: Follower;
  /** Resolves once what was due is appended. */
  written(): Promise<void>;
};

/** Writes a snapshot of each day as it is closed, and at the start of those that were closed when nobody was there to say so. */
export function startSnapshots({ signer, due, append }: SnapshotParts): Snapshots {
  /** What was appended and is not folded yet. */
  const written = new Set<string>();
  const nameOf = ({ day, rules }: DaySummary) => `${day} ${hex(rules)}`;
  let writing = Promise.resolve();

  async function write(): Promise<void> {
    for (const snapshot of due()) {
      const name = nameOf(snapshot);
      if (written.has(name)) continue;
      await append((await signEntry(signer, "snapshot", { version: 1, ...snapshot })).signed.bytes);
      written.add(name);
    }
  }

  const writeSoon = () => {
    writing = writing.then(write).catch(() => {}); // The log says why it cannot write; the next state of it tries again.
  };
  writeSoon();
  return { follow: writeSoon, written: () => writing };
}
