/**
 * The history of a log's checkpoints: a small log of its own, each of whose entries is a checkpoint that a quorum had cosigned.
 * A log's tiles give the newest checkpoint alone; by these, what was there at a time stays provable.
 */
import assert from "node:assert";
import { type Checkpoint, encodeNote, type Note, parseCheckpoint, utf8 } from "@tallystick/protocol";
import type { Log } from "./service.ts";

export type HistoryParts = {
  log: Pick<Log, "append" | "head" | "tree">;
  intervalMs: number;
  /** The newest state that is witnessed. */
  witnessed(): { size: number; note: Note } | undefined;
};

export type History = {
  /** The recorded checkpoint of exactly `size` entries, or else the next larger one; undefined where there is none. */
  findFrom(size: number): Promise<Checkpoint | undefined>;
  /** Records the newest at once, where it is new. */
  record(): Promise<void>;
  /** Records the last. */
  close(): Promise<void>;
};

/** Records each interval in which something was witnessed. */
export async function startHistory({ log, intervalMs, witnessed }: HistoryParts): Promise<History> {
  const read = async (index: number) => parseCheckpoint(await log.tree.readEntry(index));
  const last = log.head.size === 0 ? undefined : await read(log.head.size - 1);
  let recordedSize = last?.size ?? 0;
  let recording = Promise.resolve();

  async function recordNow(): Promise<void> {
    const state = witnessed();
    if (state === undefined || state.size <= recordedSize) return;
    await log.append(utf8(encodeNote(state.note)));
    recordedSize = state.size;
  }

  const record = () => {
    const recorded = recording.then(recordNow);
    recording = recorded.catch(() => {}); // The log says why it cannot write; the next time tries again.
    return recorded;
  };
  const timer = setInterval(() => void record().catch(() => {}), intervalMs);

  return {
    async findFrom(size) {
      let [low, high] = [0, log.head.size];
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        if ((await read(middle)).size < size) low = middle + 1;
        else high = middle;
      }
      if (low >= log.head.size) return undefined;
      const found = await read(low);
      assert(found.size >= size, "recorded checkpoints are in the order of their sizes");
      return found;
    },
    record,
    async close() {
      clearInterval(timer);
      await record().catch(() => {});
    },
  };
}
