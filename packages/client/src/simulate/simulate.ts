/**
 * A simulation: honest demand and attacks in one network, its log folded as it grows, each day judged when it closes, and
 * what the rules made of it held against what is known of it (docs/usage-simulator.md).
 */
import { dayOf, hex, judgeDay, timeOf, WASH_RULES, type WashRules } from "@tallystick/protocol";
import { Agenda } from "./agenda.ts";
import { ATTACKS } from "./attacks/table.ts";
import { type Demand, stageHonest } from "./honest.ts";
import type { Keyring } from "./keyring.ts";
import { createMeasured, type Measured, measureDay } from "./measure.ts";
import { Random } from "./random.ts";
import { DAY_SECONDS, EXCHANGES, HOUR_SECONDS, START_SECONDS, type Stage } from "./stage.ts";
import { type Holder, type Made, World } from "./world.ts";

export type SimulationOptions = {
  seed: number;
  days: number;
  /** Calls of honest demand. */
  calls: number;
  keyring: Keyring;
  /** Whether the log is to be audited: then it has a snapshot of each closed day, by the rules of this release. */
  withSnapshots?: boolean;
  onProgress?: (done: number, total: number) => void;
};

/** A run that is over. */
export type Simulation = { seed: number; days: number; world: World; demand: Demand; measured: Measured };

/** The rules of this release, with the exchanges of the simulated world: whoever judges a network names its own. */
export const SIMULATED_RULES: WashRules = { ...WASH_RULES, sharedFunders: EXCHANGES.map(hex) };

/** How many calls each attack makes, of those of honest demand: one in fifty, and enough to be a cohort. */
const attackCalls = (calls: number) => Math.max(120, Math.floor(calls / 50));

const EPOCH_SECONDS = 600;

export async function simulate({ seed, days, calls, ...options }: SimulationOptions): Promise<Simulation> {
  const random = new Random(`seed ${seed}`);
  const { keyring, onProgress, withSnapshots = false } = options;
  const world = new World(keyring, random.fork("world"), withSnapshots ? [WASH_RULES] : []);
  const agenda = new Agenda();
  const log = await world.enrolled("log", "log", "honest/log");
  const gateway = await world.enrolled("gateway", "gateway", "honest/gateway");
  const stage: Stage = { world, agenda, random: random.fork("honest"), days, calls, gateway, gateways: [gateway] };
  const demand = await stageHonest(stage);
  for (const attack of ATTACKS) {
    const own = { ...stage, random: random.fork(attack.name), calls: attackCalls(calls) };
    await attack.stage(own, attack.name);
  }
  stageSettlements(stage);
  const measured = createMeasured();
  await play(stage, log, measured, onProgress);
  return { seed, days, world, demand, measured };
}

/** Ten minutes before each midnight, and once more when all is over. */
function stageSettlements({ world, agenda, days, gateways }: Stage): void {
  for (let day = 1; day <= days + 1; day++)
    agenda.at(START_SECONDS + day * DAY_SECONDS - 600, () => world.settle(gateways));
}

/** When the last day of a simulation is closed, and with it the simulation. */
export const endSecondsOf = (days: number) => START_SECONDS + (days + 2) * DAY_SECONDS + HOUR_SECONDS;

/** Does what is on the agenda, with an epoch every ten minutes, and a day longer, until the last day is closed. */
async function play(
  { world, agenda, days }: Stage,
  log: Holder,
  measured: Measured,
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  const acts = agenda.inOrder();
  let next = 0;
  let judgedCount = 0;
  const endSeconds = endSecondsOf(days);
  for (let now = START_SECONDS + EPOCH_SECONDS; now <= endSeconds; now += EPOCH_SECONDS) {
    for (let due = acts[next]; due !== undefined && due.atSeconds < now; due = acts[next]) {
      await due.act();
      next++;
    }
    await world.epoch(log, now);
    const closed = [...world.fold.closedDays.keys()];
    for (const day of closed.slice(judgedCount)) measureDay(measured, madeOn(world, day), judgementOf(world, day));
    judgedCount = closed.length;
    onProgress?.(next, acts.length);
  }
}

const judgementOf = ({ fold }: World, day: string) => judgeDay(fold, day, SIMULATED_RULES);

/** The receipts that are counted on that day. */
function madeOn({ fold, made }: World, day: string): Made[] {
  return made.filter(({ receipt }) => {
    const seconds = timeOf(fold, receipt.index);
    return seconds !== undefined && dayOf(seconds) === day;
  });
}
