/** What the log says of openings that a node keeps: which may be drawn yet, which are, and which nobody will ask for. */
import { awaitsDraw, type FoldState, type Key, keyOf } from "@tallystick/protocol";
import type { Fate } from "./lot-openings.ts";

export function fatesOf(fold: FoldState): (receiptId: Uint8Array) => Fate {
  const { receipts, epochs, lots, proofs } = fold;
  const open = new Set<Key>();
  for (const { population } of lots.open)
    for (const stratum of population) for (const receipt of stratum.receipts) open.add(receipt);
  const coveredSize = epochs.at(-1)?.size ?? 0;
  return (receiptId) => {
    const id = keyOf(receiptId);
    const receipt = receipts.get(id);
    if (receipt === undefined) return "undecided"; // It is on its way into the fold.
    const drawn = proofs.examinations.get(id)?.draw;
    if (drawn !== undefined) return lots.verifiers.get(drawn.verifier)?.waiting.has(id) ? "drawn" : "done";
    if (receipt.asked && awaitsDraw(fold, id)) return "drawn"; // By the next lot, or the one after: it is asked for in any case.
    return receipt.openable && (receipt.index >= coveredSize || open.has(id)) ? "undecided" : "done";
  };
}

/** Who is to check a receipt: undefined where nobody was drawn for it, or does not have to any more. */
export function drawnTo({ proofs, lots }: FoldState, receiptId: Uint8Array): Key | undefined {
  const verifier = proofs.examinations.get(keyOf(receiptId))?.draw?.verifier;
  return verifier !== undefined && lots.verifiers.get(verifier)?.waiting.has(keyOf(receiptId)) ? verifier : undefined;
}

/** Whether the log has a dispute of a receipt that nobody has decided. */
export function isDisputed({ proofs }: FoldState, receiptId: Uint8Array): boolean {
  const disputes = proofs.examinations.get(keyOf(receiptId))?.disputes ?? [];
  return disputes.some(({ outcome }) => outcome === undefined);
}
