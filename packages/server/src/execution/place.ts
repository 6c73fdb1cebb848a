/** A worker's place in a crew, the line of a revision, and who of those that write text sits where. */
import type { ExecutionProfile } from "@tallystick/protocol";
import type { Call } from "./call.ts";
import { advance, type Generating } from "./generating.ts";
import type { ExecutionLimits } from "./limits.ts";
import type { CheckedRevision } from "./revision.ts";
import type { Slot } from "./slot.ts";

/** A revision and the calls that wait for it, oldest first. */
export type Line = {
  revision: CheckedRevision;
  profile: ExecutionProfile;
  waiting: Set<Call>;
  /** Generations that no worker has a seat for. */
  generations: Set<Generating>;
  /** What a call took of a worker so far, on the average; not known before the first. */
  callMs: number | undefined;
  openMs: number;
  patience: NodeJS.Timeout | undefined;
};

export type Place = {
  slot: Slot;
  busy: boolean;
  /** The generations under way here, each with its line; the one whose turn is next comes first. */
  generations: Map<Generating, Line>;
  /** The one that runs just now. */
  current: Generating | undefined;
};

/** What a generation costs that must be loaded first, in generations that it would otherwise share its worker with. */
const LOADING_COST = 2;

/** What is in use here between two turns, so that it is not unloaded to make room. */
export function keptBy({ generations }: Place): Map<string, CheckedRevision> {
  return new Map([...generations.values()].map(({ revision }) => [revision.key, revision]));
}

/** Whether there is room for `revision` beside what is in use here. */
export function fits(place: Place, revision: CheckedRevision, { loadedBytes }: ExecutionLimits): boolean {
  const kept = keptBy(place).set(revision.key, revision);
  return [...kept.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) <= loadedBytes;
}

/** Gives the generations that wait in `line` to workers that have a seat, sooner to one that has the model loaded. */
export function seat(line: Line, places: Place[], limits: ExecutionLimits): void {
  const cost = ({ slot, generations }: Place) => generations.size + (slot.has(line.revision.key) ? 0 : LOADING_COST);
  for (const one of line.generations) {
    const open = places.filter(
      (place) => place.generations.size < limits.workerGenerations && fits(place, line.revision, limits),
    );
    const [place] = open.sort((a, b) => cost(a) - cost(b));
    if (place === undefined) return;
    line.generations.delete(one);
    place.generations.set(one, line);
  }
}

/** Gives the place's next generation its turn; then it waits behind the others. */
export async function writeNext(place: Place, limits: ExecutionLimits): Promise<void> {
  const [next] = place.generations;
  if (next === undefined) return;
  const [one, line] = next;
  place.generations.delete(one);
  place.generations.set(one, line);
  place.current = one;
  const fault = one.settled ? undefined : await place.slot.open(line.revision, keptBy(place));
  if (fault === undefined) await advance(one, line.revision.key, place.slot, limits);
  else one.settle({ kind: "failed", reason: fault.reason, message: fault.message });
  place.current = undefined;
  clearTimeout(one.grace);
  if (one.settled) place.generations.delete(one);
}
