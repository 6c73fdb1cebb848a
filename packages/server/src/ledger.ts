/** The log and its fold as one: what is appended here is durable, and `publish` waits until the fold has it. */
import { join } from "node:path";
import type { FoldState } from "@tallystick/protocol";
import { Log, type LogOptions } from "./log/service.ts";
import { DayDocuments } from "./usage/day-documents.ts";
import { Projection, replayDays } from "./usage/service.ts";

export type Ledger = {
  log: Log;
  projection: Projection;
  fold: FoldState;
  documents: DayDocuments;
  append(entry: Uint8Array): Promise<number>;
  /** Appends what room was asked for before, with `checkRoom`. */
  appendAdmitted(entry: Uint8Array): Promise<number>;
  /** Resolves once the fold has all that was appended before. */
  caughtUp(): Promise<void>;
  /** Appends and waits for the checkpoint and the fold. */
  publish(entry: Uint8Array): Promise<number>;
  close(): Promise<void>;
};

/** Opens the log and folds it; from then on each state is folded as it is signed. */
export async function openLedger(options: LogOptions, projections: string): Promise<Ledger> {
  const log = await Log.open(options);
  const { tree } = log;
  const signed = {
    ...log.head,
    readBundle: (index: number, width: number) => tree.readCheckedBundle(index, width),
  };
  const { clock, report } = options;
  const documents = new DayDocuments({ folder: join(projections, "documents"), nowMs: () => clock.nowMs(), report });
  const projection = await Projection.open(projections, signed, (size) => tree.rootAt(size), documents);
  const { fold } = projection;
  const rules = fold.series.map((series) => series.rules);
  await documents.begin(fold, (...shown) => replayDays({ ...signed, ...log.head }, rules, ...shown));
  log.follow((entries) => projection.apply(entries));

  return {
    log,
    projection,
    fold,
    documents,
    append: (entry) => log.append(entry),
    appendAdmitted: (entry) => log.appendAdmitted(entry),

    caughtUp: () => log.caughtUp(),

    async publish(entry) {
      const index = await log.append(entry);
      await log.followed(index);
      return index;
    },

    async close() {
      await documents.close();
      await log.close();
      await projection.save(log.head.root);
    },
  };
}
