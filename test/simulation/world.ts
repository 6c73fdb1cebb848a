/** What a run happens in: a time, a disk, two witnesses, and all that is known of what they saw. */

import { SimulatedDisk } from "./disk.ts";
import { Evidence, must } from "./evidence.ts";
import { logKey } from "./keys.ts";
import { Random } from "./random.ts";
import { Timeline } from "./timeline.ts";
import { SimulatedWitness } from "./witness.ts";

/** What a run met, so that a test can say that its runs met what they were to meet. */
export const NOTHING_SEEN = { entries: 0, lives: 0, powerLosses: 0, failedSteps: 0, refusals: 0, rollbacks: 0 };
export type Seen = typeof NOTHING_SEEN;

/** How long anything may take where nothing is wrong. */
const PATIENCE_MS = 10_000;

export class World {
  readonly random: Random;
  readonly timeline = new Timeline();
  readonly evidence = new Evidence();
  readonly disk: SimulatedDisk;
  readonly witnesses: SimulatedWitness[];
  readonly seen: Seen = { ...NOTHING_SEEN };
  /** What was wrong where the code that is tested would have caught it. */
  violation: unknown;
  /** Asked after every step whether all is right. */
  check: () => void = () => {};
  #isRestless = true;

  constructor(seed: number) {
    const { timeline, evidence } = this;
    const random = new Random(seed);
    this.random = random;
    this.disk = new SimulatedDisk(random, timeline);
    this.witnesses = ["one", "two"].map((name) => {
      return new SimulatedWitness(`witness.example/${name}`, { logKey, evidence, random, timeline });
    });
  }

  /** Lets one thing happen. */
  async step(): Promise<void> {
    must(await this.timeline.step(), "nothing is left to happen, and something is waited for");
    if (this.violation !== undefined) throw this.violation;
    this.check();
  }

  async wait(forMs: number): Promise<void> {
    let isOver = false;
    this.timeline.after(forMs, () => {
      isOver = true;
    });
    await this.timeline.settle();
    while (!isOver) await this.step();
  }

  async until(what: string, isSo: () => boolean): Promise<void> {
    const endMs = this.timeline.nowMs + PATIENCE_MS;
    await this.timeline.settle();
    while (!isSo()) {
      await this.step();
      must(this.timeline.nowMs < endMs, `${what} takes more than ${PATIENCE_MS} ms`);
    }
  }

  /** What `promise` gives, while time goes on. */
  async pass<T>(promise: Promise<T>): Promise<T> {
    let isDone = false;
    const done = promise.finally(() => {
      isDone = true;
    });
    done.catch(() => {}); // Whoever awaits it below is told.
    await this.until("an answer", () => isDone);
    return done;
  }

  /** Has something that is wrong end the run, and throws it. */
  demand(isTrue: boolean, otherwise: string): void {
    try {
      must(isTrue, otherwise);
    } catch (violation) {
      this.violation ??= violation;
      throw violation;
    }
  }

  /** Witnesses come and go, until all is quiet. */
  unsettle(): void {
    if (!this.#isRestless) return;
    for (const witness of this.witnesses) if (this.random.chance(0.5)) witness.change();
    this.timeline.after(this.random.anyMagnitude(20_000), () => this.unsettle());
  }

  quiet(): void {
    this.#isRestless = false;
  }
}
