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

/** A checkpoint whose signer has to be looked at once all changes of key are known. */
type Open = {
  checkpoint: Checkpoint;
  policy: Policy | undefined;
  accept(timeSeconds: number): void;
  refuse(failure: string): void;
};

export class ClockCheck {
  readonly #trust: LogTrust;
  readonly #report: Report;
  /** Checkpoints that were read before the handovers that say whose they had to be. */
  readonly #open: Open[] = [];
  /** The trust that the handovers so far carry over; each follows from those before it. */
  #carried: { count: number; trust: LogTrust };

  constructor(trust: LogTrust, report: Report) {
    this.#trust = trust;
    this.#report = report;
    this.#carried = { count: 0, trust };
  }

  /** A checkpoint that is read before the entries, and so before any handover: whose it had to be is for `finish` to say. */
  checkSigned(checkpoint: Checkpoint, policy: Policy | undefined, refuse: (failure: string) => void): void {
    this.#open.push({ checkpoint, policy, accept: () => {}, refuse });
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
    const trust = await this.#trustAfter(fold);
    for (const policy of new Set(policies)) {
      const accept = (timeSeconds: number) => {
        if (policy === undefined && !this.#isOnlyTime(checkpoint, timeSeconds))
          report("its checkpoint has a time that no key of the log signed");
      };
      const verified = await verifyCheckpoint(checkpoint, { ...trust, policy });
      if (verified.ok) accept(verified.timeSeconds);
      else this.#open.push({ checkpoint, policy, accept, refuse }); // The handover from its key may be still to come.
    }
  }

  async #trustAfter({ handovers }: FoldState): Promise<LogTrust> {
    if (this.#carried.count !== handovers.length)
      this.#carried = { count: handovers.length, trust: await followHandovers(this.#trust, handovers) };
    return this.#carried.trust;
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
  async finish(fold: FoldState): Promise<void> {
    const { keys, origin } = await this.#trustAfter(fold);
    for (const { checkpoint, policy, accept, refuse } of this.#open) {
      const verified = await verifyCheckpoint(checkpoint, { keys, origin, policy });
      if (verified.ok) accept(verified.timeSeconds);
      else refuse(verified.failure);
    }
  }
}
