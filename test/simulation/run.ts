/**
 * A run of the log, by a seed: 64 writers, a disk and two witnesses that fail, an operator who starts it again, and at times
 * one who puts an older copy of the disk in its place. It throws a Violation where anything that must never be was.
 */
import { utf8, verifyInclusion } from "@tallystick/protocol";
import { OperatorError } from "../../packages/server/src/platform/errors.ts";
import type { Fault, Image } from "./disk.ts";
import { must, readFolder, Violation } from "./evidence.ts";
import { HISTORY_ORIGIN, ORIGIN } from "./keys.ts";
import { FOLDER, HISTORY, type Life, Lives } from "./lives.ts";
import { NOTHING_SEEN, type Seen, World } from "./world.ts";
import { Writers } from "./writers.ts";

/** One run after another; throws with the first seed that fails. */
export async function simulateAll(firstSeed: number, count: number): Promise<Seen> {
  const sum = { ...NOTHING_SEEN };
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const seen = await simulate(seed);
    for (const key of Object.keys(sum) as (keyof Seen)[]) sum[key] += seen[key];
  }
  return sum;
}

async function simulate(seed: number): Promise<Seen> {
  const world = new World(seed);
  world.timeline.install();
  try {
    await new Simulation(world).run();
    return world.seen;
  } catch (cause) {
    const trace = world.disk.trace.join("\n");
    throw new Violation(`seed ${seed}: ${cause instanceof Error ? cause.message : cause}\n${trace}`, { cause });
  } finally {
    world.timeline.uninstall();
  }
}

class Simulation {
  readonly #world: World;
  readonly #lives: Lives;
  readonly #writers: Writers;

  constructor(world: World) {
    const lives = new Lives(world, () => this.#writers.wake());
    this.#world = world;
    this.#lives = lives;
    this.#writers = new Writers(world, () => (lives.life.isGone ? undefined : lives.life.opened?.log));
  }

  async run(): Promise<void> {
    const { random } = this.#world;
    this.#writers.start();
    this.#world.unsettle();
    for (let left = 1 + random.below(7); left > 0; left--) await this.#live();
    this.#world.quiet();
    this.#writers.stop();
    if (this.#lives.backup !== undefined) await this.#rollBack(this.#lives.backup);
    await this.#finish();
  }

  /** One life, to an end that it does not choose. */
  async #live(): Promise<void> {
    const { random, timeline } = this.#world;
    const life = this.#lives.start(this.#anyFault());
    await timeline.settle();
    const steps = random.chance(0.5) ? random.anyMagnitude(1_000) : random.below(1_000);
    for (let left = steps; left > 0 && life.failure === undefined; left--) {
      await this.#world.step();
      if (life.opened?.log.canWrite === false && random.chance(0.05)) break;
    }
    this.#lives.checkFailure();
    if (life.opened !== undefined && random.chance(0.25)) await this.#close();
    this.#lives.end(random.pick(["kill", "power loss"]));
  }

  #anyFault(): Fault | undefined {
    const { random } = this.#world;
    if (random.chance(0.5)) return undefined;
    return { step: random.anyMagnitude(300), code: random.pick(["EIO", "ENOSPC"]) };
  }

  /** A close, which may be cut short. */
  async #close(): Promise<void> {
    const { random, timeline } = this.#world;
    const closing = this.#lives.close();
    if (random.chance(0.7)) return this.#world.until("a close", () => closing.isDone);
    await timeline.settle();
    for (let left = random.below(20); left > 0 && !closing.isDone; left--) await this.#world.step();
  }

  /** An older copy of the disk is put in its place: where a witness that answers has seen more, nothing is signed. */
  async #rollBack({ image, size }: { image: Image; size: number }): Promise<void> {
    const { disk, evidence, random, seen, witnesses } = this.#world;
    const newest = disk.image();
    await this.#world.wait(10_000); // What is on its way to a witness comes there.
    this.#lives.isRolledBack = true;
    disk.restore(image);
    const isForked = witnesses.some((witness) => witness.lastSize() > size) && random.chance(0.5);
    if (isForked) await this.#fork();
    for (const witness of witnesses) witness.mode = isForked ? "well" : random.pick(["well", "away"]);
    const restored = random.chance(0.5);
    const reached = witnesses.filter(({ mode }) => mode === "well");
    const hasSeenMore = reached.some((witness) => witness.lastSize() > size);
    // A restored log must be known to somebody, and everybody must say what they have seen.
    const isKnown = size === 0 || witnesses.some((witness) => witness.knowsLog());
    const mustRefuse = hasSeenMore || (restored && (reached.length < witnesses.length || !isKnown));
    const before = evidence.signatureCount;
    const { opened, failure } = await this.#startAndWait(restored);
    must(failure === undefined || failure instanceof OperatorError, `a start ends by ${failure}`);
    must((opened === undefined) === mustRefuse, `a copy of ${size} entries opens as ${opened?.log.head.size}`);
    must(!mustRefuse || evidence.signatureCount === before, "an older copy signs");
    if (mustRefuse) seen.rollbacks++;
    this.#lives.end("kill");
    disk.restore(newest);
    this.#lives.isRolledBack = false;
  }

  async #startAndWait(restored: boolean): Promise<Life> {
    const life = this.#lives.start(undefined, restored);
    await this.#world.wait(10_000);
    return life;
  }

  /** The older copy goes on while no witness can say that it is one. That cannot be helped, but must end with the first. */
  async #fork(): Promise<void> {
    const { evidence, random, witnesses } = this.#world;
    for (const witness of witnesses) witness.mode = "away";
    evidence.isPaused = true;
    const { opened } = await this.#startAndWait(false);
    must(opened !== undefined, "without witnesses, nobody knows that a copy is older");
    for (let i = random.anyMagnitude(300); i > 0; i--) opened?.log.append(utf8(`forked ${i}`)).catch(() => {});
    await this.#world.wait(10_000);
    this.#lives.end("kill");
    evidence.isPaused = false;
  }

  /** All is well again: the log opens, takes entries, and is witnessed. And again, with nothing to do. */
  async #finish(): Promise<void> {
    const { disk, evidence, random, witnesses } = this.#world;
    for (const appends of [3, 0]) {
      for (const witness of witnesses) witness.mode = appends > 0 ? "well" : "away";
      const life = this.#lives.start(undefined);
      await this.#world.until("a start", () => {
        this.#lives.checkFailure();
        return life.opened !== undefined;
      });
      for (const witness of witnesses) witness.mode = "well";
      await this.#complete(life, appends);
      const closing = this.#lives.close();
      await this.#world.until("a close", () => closing.isDone);
      this.#lives.end(random.pick(["kill", "power loss"]));
    }
    const { leaves } = readFolder(disk.image(), FOLDER) ?? { leaves: [] };
    evidence.checkAcknowledged(leaves);
    evidence.checkStates(ORIGIN, leaves);
    evidence.checkStates(HISTORY_ORIGIN, readFolder(disk.image(), HISTORY)?.leaves ?? []);
    const reports = witnesses.flatMap((witness) => witness.reports);
    must(reports.length === 0, `a witness reports: ${reports[0]}`);
  }

  /** Appends, and waits until all is published, witnessed and recorded; then proves some of it. */
  async #complete({ opened }: Life, appends: number): Promise<void> {
    const { evidence } = this.#world;
    if (opened === undefined) return;
    const { log } = opened;
    const due = evidence.acknowledged.size + appends;
    for (let i = 0; i < appends; i++)
      this.#writers.append(log).catch((error: unknown) => {
        this.#world.violation = error;
      });
    const last = () => Math.max(-1, ...evidence.acknowledged.keys());
    const isAll = () => evidence.acknowledged.size === due && log.head.size > last();
    const isWitnessed = () => log.published.size === log.head.size && log.witnessed?.size === log.head.size;
    await this.#world.until("to be witnessed", () => isAll() && isWitnessed());
    await this.#checkProofs(opened);
    await this.#checkHistory(opened);
  }

  async #checkProofs({ log }: NonNullable<Life["opened"]>): Promise<void> {
    const { evidence, random } = this.#world;
    const { size, root } = log.head;
    const all = [...evidence.acknowledged];
    for (let i = 0; i < 4; i++) {
      const [index, leaf] = all[random.below(all.length)] ?? [0, ""];
      const proof = await this.#world.pass(log.tree.inclusionProof(index, size));
      must(verifyInclusion(Buffer.from(leaf, "hex"), index, size, proof, root), `the proof of entry ${index} fails`);
    }
  }

  /** Each recorded checkpoint is larger than the one before and found by its size, and the last is the newest. */
  async #checkHistory({ log, history, historyLog }: NonNullable<Life["opened"]>): Promise<void> {
    if (history === undefined || historyLog === undefined) return;
    await this.#world.pass(history.record());
    await this.#world.pass(historyLog.flush());
    let size = 0;
    for (;;) {
      const found = await this.#world.pass(history.findFrom(size + 1));
      if (found === undefined) break;
      must(found.size > size, `the history gives ${found.size} after ${size}`);
      size = found.size;
    }
    must(size === log.head.size, `the history ends at ${size} of ${log.head.size}`);
  }
}
