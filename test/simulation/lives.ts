/** The process around a log, one life after another: how it starts, what must be so when it has, and how it ends. */
import { type History, startHistory } from "../../packages/server/src/log/history.ts";
import { Log, type LogOptions, type Signed } from "../../packages/server/src/log/service.ts";
import { createWitnessing, NO_WITNESSES } from "../../packages/server/src/log/witnesses.ts";
import { OperatorError } from "../../packages/server/src/platform/errors.ts";
import type { Crash, Fault, Image } from "./disk.ts";
import { must, readFolder, Violation } from "./evidence.ts";
import { historySigner, logKey, logSigner } from "./keys.ts";
import { policyOf } from "./witness.ts";
import type { World } from "./world.ts";

export const FOLDER = "/log";
export const HISTORY = "/log/checkpoints";
const HISTORY_MS = 5_000;

/** `isGone` after its end: nothing of it goes on. */
export type Life = {
  opened: { log: Log; history: History | undefined; historyLog: Log | undefined } | undefined;
  failure: unknown;
  isGone: boolean;
};

export class Lives {
  life: Life = { opened: undefined, failure: undefined, isGone: true };
  /** A copy of the disk as an operator keeps one, and how many entries the log had then. */
  backup: { image: Image; size: number } | undefined;
  /** Whether the disk is an older copy: then less than was seen is right. */
  isRolledBack = false;
  readonly #world: World;
  readonly #onOpen: () => void;
  /** How many witnesses have to cosign. */
  readonly #threshold: number;
  readonly #hasHistory: boolean;
  readonly #pace: Pick<LogOptions, "integrateIntervalMs" | "publishIntervalMs" | "queueLength">;
  #created = { log: false, history: false };
  /** What was seen by a reader, which must never be less later. */
  #most = { head: 0, published: 0 };
  #lastWitnessed: Signed | undefined;

  constructor(world: World, onOpen: () => void) {
    const { random } = world;
    this.#world = world;
    this.#onOpen = onOpen;
    this.#threshold = random.pick([0, 1, 2, 2]);
    this.#hasHistory = random.chance(0.3);
    this.#pace = {
      integrateIntervalMs: random.pick([1, 50, 200]),
      publishIntervalMs: random.pick([20, 200, 1_000]),
      queueLength: random.pick([4_096, 4_096, 20]),
    };
    world.check = () => this.#check();
  }

  start(fault: Fault | undefined, restored = false): Life {
    const { disk, random, timeline, witnesses, seen } = this.#world;
    const life: Life = { opened: undefined, failure: undefined, isGone: false };
    this.life = life;
    seen.lives++;
    const skewMs = random.chance(0.2) ? random.below(20_000) - 10_000 : 0;
    const clock = { nowMs: () => timeline.nowMs + skewMs };
    const links = witnesses.map((witness) => witness.link(() => life.isGone));
    const policy = policyOf(logKey, witnesses, this.#threshold);
    const report = () => {};
    const options: LogOptions = {
      folder: FOLDER,
      disk: disk.start(fault),
      signer: this.#watched(logSigner, life),
      formerKeys: [],
      witnessing: createWitnessing({ policy, links, clock, timeoutMs: 1_000, report }),
      restored,
      clock,
      report,
      ...this.#pace,
    };
    const signer = this.#watched(historySigner, life);
    const historyOptions = { ...options, folder: HISTORY, signer, witnessing: NO_WITNESSES, restored: false };
    this.#open(life, options, historyOptions).catch((error: unknown) => {
      life.failure = error;
    });
    return life;
  }

  /** What signs for one life; every signature is evidence. */
  #watched(signer: typeof logSigner, life: Life): LogOptions["signer"] {
    return {
      key: signer.key,
      sign: (message) => {
        const text = new TextDecoder().decode(message);
        this.#world.demand(!life.isGone, "a process that is gone signs");
        this.#world.evidence.sign("log", text);
        return signer.sign(text).signature;
      },
    };
  }

  async #open(life: Life, options: LogOptions, historyOptions: LogOptions): Promise<void> {
    if (!this.#created.log) await Log.create(options);
    this.#created.log = true;
    if (this.#hasHistory && !this.#created.history) await Log.create(historyOptions);
    this.#created.history = true;
    const log = await Log.open(options);
    this.#checkOpened(log);
    let told = log.head.size;
    log.follow((entries, { size }) => {
      told += entries.length;
      this.#world.demand(told === size, `a follower was told of ${told} entries at size ${size}`);
    });
    // No witness can say that a history is an older copy, so where one is, it is not gone on with.
    const hasHistory = this.#hasHistory && !this.isRolledBack;
    const historyLog = hasHistory ? await Log.open(historyOptions) : undefined;
    const history =
      historyLog && (await startHistory({ log: historyLog, intervalMs: HISTORY_MS, witnessed: () => log.witnessed }));
    life.opened = { log, history, historyLog };
    this.#onOpen();
  }

  /** What an open log must be: all that was acknowledged, and nothing less than was seen. */
  #checkOpened(log: Log): void {
    const { disk, evidence, random } = this.#world;
    const { leaves } = readFolder(disk.image(), FOLDER) ?? { leaves: [] };
    must(leaves.length === log.head.size, "a log that is open has published what it has");
    if (this.isRolledBack) return;
    evidence.checkAcknowledged(leaves);
    this.#observe(log);
    if (random.chance(0.1)) this.backup = { image: disk.image(), size: log.head.size };
  }

  #check(): void {
    const { random, disk } = this.#world;
    if (this.life.opened !== undefined && !this.isRolledBack) this.#observe(this.life.opened.log);
    if (random.chance(0.002)) readFolder(disk.image(), FOLDER);
  }

  #observe(log: Log): void {
    const { head, published, witnessed } = log;
    const { witnesses } = this.#world;
    must(head.size >= this.#most.head, `the log was of ${this.#most.head} entries and is of ${head.size}`);
    const before = this.#most.published;
    must(published.size >= before, `a checkpoint of ${before} entries was public, and one of ${published.size} is`);
    this.#most = { head: head.size, published: published.size };
    if (witnessed === this.#lastWitnessed) return;
    this.#lastWitnessed = witnessed;
    const lines = published.note.signatures.length;
    must(lines <= 2 + witnesses.length, `a checkpoint of ${lines} signatures`);
    if (witnessed === undefined) return;
    const cosigners = witnesses.filter((witness) => witness.hasCosigned(witnessed.note));
    must(cosigners.length >= this.#threshold, `a state of ${witnessed.size} has ${cosigners.length} cosignatures`);
  }

  /** Throws where the start failed and should not have. */
  checkFailure(): void {
    const { failure } = this.life;
    const { disk, seen } = this.#world;
    if (failure === undefined) return;
    if (failure instanceof Violation) throw failure;
    // No disk here loses what was durable, so there is nothing to refuse; where it fails, so may the start.
    if (failure instanceof OperatorError || disk.failedSteps === 0) throw failure;
    seen.refusals++;
  }

  /** Ends the life as its operator would, as far as the disk lets it. */
  close(): { isDone: boolean } {
    const { opened } = this.life;
    const closing = { isDone: false };
    const close = async () => {
      await opened?.history?.close();
      await opened?.historyLog?.close();
      await opened?.log.close();
    };
    const isDone = () => {
      closing.isDone = true;
    };
    close().then(isDone, (error: unknown) => {
      if (this.#world.disk.failedSteps === 0) this.#world.violation = error;
      isDone();
    });
    return closing;
  }

  /** The process is no more. */
  end(kind: Crash): void {
    const { disk, seen, timeline } = this.#world;
    this.life.isGone = true;
    seen.failedSteps += disk.failedSteps;
    timeline.dropProcess();
    disk.crash(kind);
    if (kind === "kill") return; // What can be read then is as it was.
    seen.powerLosses++;
    readFolder(disk.image(), FOLDER);
    readFolder(disk.image(), HISTORY);
  }
}
