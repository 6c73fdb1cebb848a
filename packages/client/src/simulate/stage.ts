/** Where honest demand and attacks are put on: one network, one agenda, and how much time there is. */
import { sha256, utf8 } from "@tallystick/protocol";
import type { Agenda } from "./agenda.ts";
import type { Random } from "./random.ts";
import type { Holder, World } from "./world.ts";

export const HOUR_SECONDS = 3_600;
export const DAY_SECONDS = 24 * HOUR_SECONDS;
/** 2026-01-05T00:00:00Z, a Monday. */
export const START_SECONDS = Date.UTC(2026, 0, 5) / 1_000;

export type Stage = {
  world: World;
  agenda: Agenda;
  random: Random;
  days: number;
  /** Calls of honest demand; of an attack, about how many it makes. */
  calls: number;
  /** The network's own gateway. */
  gateway: Holder;
  /** Every gateway there is; an attacker may add one of its own. */
  gateways: Holder[];
};

/** Key ids of exchanges, from which anybody withdraws to anywhere: the same in every run, since the rules name them. */
export const EXCHANGES: readonly Uint8Array[] = ["first", "second"].map((name) =>
  sha256(utf8(`tallystick simulation: exchange ${name}`)),
);

/** How busy each hour of a day is, UTC. */
const HOURS = [3, 2, 2, 2, 2, 3, 4, 6, 8, 9, 9, 8, 8, 9, 10, 10, 9, 8, 7, 6, 6, 5, 5, 4];

/** A moment between two days, as likely as people are awake; a weekend has six tenths of a working day. */
export function momentIn(random: Random, fromDay: number, toDay: number): number {
  const weights = Array.from({ length: toDay - fromDay }, (_, i) => ((fromDay + i) % 7 < 5 ? 10 : 6));
  const day = fromDay + random.weighted(weights);
  return START_SECONDS + day * DAY_SECONDS + random.weighted(HOURS) * HOUR_SECONDS + random.below(HOUR_SECONDS);
}
