/** What a log says about one receipt and about its node, gathered entry by entry while the log is folded. */
import { equal } from "../bytes.ts";
import type { Entry, EntryOf } from "../entry/entry.ts";
import type { Technology } from "../entry/verification.ts";
import { signedId } from "../sign/cose.ts";

export type Logged<E extends Entry> = { index: number; entry: E };

export type History = {
  receipt: Uint8Array;
  /** Where the log has it, and the id of the key that signed it. */
  index: number;
  node: Uint8Array;
  /** The last appraisal of the node's evidence before the receipt, of each technology. */
  appraisals: Map<Technology, Logged<EntryOf<"appraisal">>>;
  verifications: Logged<EntryOf<"verification">>[];
  disputes: Logged<EntryOf<"dispute">>[];
  resolutions: Logged<EntryOf<"resolution">>[];
};

export function createHistory(of: Pick<History, "receipt" | "index" | "node">): History {
  return { ...of, appraisals: new Map(), verifications: [], disputes: [], resolutions: [] };
}

/** Takes the next entry of the log, in order. */
export function noteInHistory(history: History, index: number, entry: Entry): void {
  const { receipt, node, disputes } = history;
  if (entry.kind === "appraisal" && index < history.index && equal(entry.says.key, node))
    history.appraisals.set(entry.says.technology, { index, entry });
  if (entry.kind === "verification" && equal(entry.says.receipt, receipt)) history.verifications.push({ index, entry });
  if (entry.kind === "dispute" && equal(entry.says.receipt, receipt)) disputes.push({ index, entry });
  if (entry.kind === "resolution" && disputes.some((one) => equal(signedId(one.entry.signed), entry.says.dispute)))
    history.resolutions.push({ index, entry });
}
