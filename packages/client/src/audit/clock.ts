/**
 * What an audit checks of a log's keys and of its clock: that each epoch's checkpoint is of this very tree and signed by a key
 * that the log had at that size, with times that hold, and that each change of key or of policy is what it says.
 */
import {
  type Checkpoint,
  cosignatureTimes,
  type EntryOf,
  encodeNoteKey,
  equal,
  type FoldState,
  followHandovers,
  type LogTrust,
  Malformed,
  type Policy,
  parseCheckpoint,
  parseHandover,
  parsePolicy,
  verifyCheckpoint,
  verifyHandover,
} from "@tallystick/protocol";
import type { Report } from "./findings.ts";
import type { Tiles } from "./tiles.ts";

/** A checkpoint that keys have to be found for, once all changes of key are known. */
type Unsigned = { checkpoint: Checkpoint; policy: Policy | undefined; refuse(failure: string): void };

export class ClockCheck {
  readonly #trust: LogTrust;
  readonly #report: Report;
  /** Checkpoints by keys that are not known yet: a handover comes after what the old key signed. */
  readonly #unsigned: Unsigned[] = [];

  constructor(trust: LogTrust, report: Report) {
    this.#trust = trust;
    this.#report = report;
  }

  /** Checks a checkpoint by the log's keys, or keeps it until `finish`. Its time, where it can be told already. */
  async checkSigned(
    checkpoint: Checkpoint,
    policy: Policy | undefined,
    refuse: (failure: string) => void,
  ): Promise<number | undefined> {
    const verified = await verifyCheckpoint(checkpoint, { ...this.#trust, policy });
    if (verified.ok) return verified.timeSeconds;
    this.#unsigned.push({ checkpoint, policy, refuse });
    return undefined;
  }

  /** `fold` is of the entries before `index`, `tiles` is of those and the entry itself. */
  async checkEpoch({ says }: EntryOf<"epoch">, index: number, fold: FoldState, tiles: Tiles): Promise<void> {
    const report = (detail: string) => this.#report("epoch", detail, index);
    let checkpoint: Checkpoint;
    try {
      checkpoint = parseCheckpoint(says.checkpoint);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      report(`its checkpoint ${error.message}`);
      return;
    }
    if (checkpoint.size > index) report(`its checkpoint is of ${checkpoint.size} entries, more than are before it`);
    else if (!equal(tiles.rootAt(checkpoint.size), checkpoint.root)) report("its checkpoint is of another tree");
    else await this.#checkTime(checkpoint, fold, report);
  }

  /** Whose word a time is: the log's own before it had a policy, then those whom the policy asks and whom the auditor asks. */
  async #checkTime(checkpoint: Checkpoint, fold: FoldState, report: (detail: string) => void): Promise<void> {
    const refuse = (failure: string) => report(`its checkpoint is not one that the log signed: ${failure}`);
    const policies = fold.policy === undefined ? [undefined] : [fold.policy, this.#trust.policy ?? fold.policy];
    for (const policy of new Set(policies)) {
      const timeSeconds = await this.checkSigned(checkpoint, policy, refuse);
      if (timeSeconds !== undefined && policy === undefined && !this.#isOnlyTime(checkpoint, timeSeconds))
        report("its checkpoint has a time that no key of the log signed");
    }
  }

  #isOnlyTime({ note, origin }: Checkpoint, timeSeconds: number): boolean {
    return cosignatureTimes(note, origin).every((time) => time === timeSeconds);
  }

  /** That a policy is of this log, and that a key takes over only where the one before it says so, at its own size. */
  async checkPolicy({ says }: EntryOf<"policy">, index: number, fold: FoldState): Promise<void> {
    const report = (detail: string) => this.#report("policy", detail, index);
    try {
      const [log, ...others] = parsePolicy(says.policy).logs;
      if (log === undefined || others.length > 0 || log.key.name !== this.#trust.origin)
        return report(`it is not about ${this.#trust.origin} alone`);
      const before = fold.policy?.logs[0]?.key;
      const handover = says.handover && parseHandover(says.handover);
      if (handover === undefined) {
        if (before !== undefined && !equal(before.publicKey, log.key.publicKey))
          report("it names another key of the log, and no handover to it");
      } else if (!(await verifyHandover(handover))) report("its handover is not signed by both keys");
      else if (handover.size !== index + 1 || !equal(handover.to.publicKey, log.key.publicKey))
        report(`its handover is not to ${encodeNoteKey(log.key)} at ${index + 1} entries`);
      else if (before !== undefined && !equal(handover.from.publicKey, before.publicKey))
        report("its handover is from a key that the log did not have");
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      report(`it ${error.message}`);
    }
  }

  /** Checks what was kept, by all the keys that the log has had. */
  async finish({ handovers }: FoldState): Promise<void> {
    const { keys, origin } = await followHandovers(this.#trust, handovers);
    for (const { checkpoint, policy, refuse } of this.#unsigned) {
      const verified = await verifyCheckpoint(checkpoint, { keys, origin, policy });
      if (!verified.ok) refuse(verified.failure);
    }
  }
}
