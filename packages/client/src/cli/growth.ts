/** How fast a log grows, by its own clock: its epochs, each a checkpoint and its time (docs/spec/log.md). */
import {
  cosignatureTimes,
  Malformed,
  parseBundle,
  parseCheckpoint,
  parseEntry,
  TILE_WIDTH,
  tileWidth,
} from "@tallystick/protocol";
import { findTile, type LogSource } from "../audit/source.ts";

/** A moment of the log: how many entries it had, and when. */
export type Moment = { size: number; timeSeconds: number };

export const DAY_SECONDS = 86_400;
/** Growth is that of the last week: long enough for a Sunday, short enough to follow a change. */
const WINDOW_SECONDS = 7 * DAY_SECONDS;
/** Less says nothing of a day. */
const WINDOW_LEAST_SECONDS = 3_600;
/** Bundles in which an epoch is looked for, backwards; a log has one each few seconds. */
const BUNDLES_SEARCHED = 256;

/** Entries a day over the last week of a log of `size`; undefined where its epochs span less than an hour. */
export async function findEntriesADay(source: LogSource, size: number): Promise<number | undefined> {
  const count = Math.ceil(size / TILE_WIDTH);
  const newest = await lastMoment(source, count - 1, size);
  if (newest === undefined) return undefined;
  const since = newest.timeSeconds - WINDOW_SECONDS;
  // The first bundle whose last epoch is within the window, by bisection: times go up with indexes.
  let [first, end] = [0, count - 1];
  while (first < end) {
    const middle = Math.floor((first + end) / 2);
    const moment = await lastMoment(source, middle, size);
    if (moment !== undefined && moment.timeSeconds >= since) end = middle;
    else first = middle + 1;
  }
  const oldest = (await moments(source, first, size)).find(({ timeSeconds }) => timeSeconds >= since) ?? newest;
  const seconds = newest.timeSeconds - oldest.timeSeconds;
  if (seconds < WINDOW_LEAST_SECONDS) return undefined;
  return ((newest.size - oldest.size) / seconds) * DAY_SECONDS;
}

/** The last epoch at or before the end of bundle `index`. */
async function lastMoment(source: LogSource, index: number, size: number): Promise<Moment | undefined> {
  for (let at = index; at >= Math.max(0, index - BUNDLES_SEARCHED); at--) {
    const last = (await moments(source, at, size)).at(-1);
    if (last !== undefined) return last;
  }
  return undefined;
}

/** The epochs in bundle `index`. What is damaged there is an audit's to say, and counts for nothing here. */
async function moments(source: LogSource, index: number, size: number): Promise<Moment[]> {
  const width = tileWidth("entries", index, size);
  const bundle = await findTile(source, { level: "entries", index, width });
  const entries = orNone(() => (bundle === undefined ? [] : parseBundle(bundle, width)));
  return entries.flatMap((entry) => orNone(() => momentOf(entry)));
}

function momentOf(bytes: Uint8Array): Moment[] {
  const entry = parseEntry(bytes);
  if (entry.kind !== "epoch") return [];
  const { size, note, origin } = parseCheckpoint(entry.says.checkpoint);
  const times = cosignatureTimes(note, origin).sort((a, b) => a - b);
  const timeSeconds = times[Math.floor((times.length - 1) / 2)];
  return timeSeconds === undefined ? [] : [{ size, timeSeconds }];
}

function orNone<T>(parse: () => T[]): T[] {
  try {
    return parse();
  } catch (error) {
    if (error instanceof Malformed) return [];
    throw error;
  }
}
