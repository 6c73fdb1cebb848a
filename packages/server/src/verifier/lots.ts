/** What the fold gives a verifier, and a referee, to do. */
import { bytesOf, drawnFor, type FoldState, keyOf, lastReveal, revealDue } from "@tallystick/protocol";
import type { Archive } from "./archive-store.ts";
import type { OpenDispute } from "./referee.ts";
import type { Lots } from "./service.ts";

export function lotsOf(fold: FoldState, verifier: Uint8Array): Lots {
  const key = keyOf(verifier);
  return {
    drawn: () => drawnFor(fold, key).map(({ receipt, ...rest }) => ({ receipt: bytesOf(receipt), ...rest })),
    revealDue: () => revealDue(fold, key),
    lastReveal: () => lastReveal(fold, key),
    newest: () => fold.lots.verifiers.get(key)?.chains.at(-1),
  };
}

/** The disputes that no referee has looked at, in the order of the log. */
export function openDisputes({ proofs, receipts }: FoldState): OpenDispute[] {
  return [...proofs.disputes.values()].flatMap(({ id, receipt, outcome }) => {
    const index = receipts.get(receipt)?.index;
    if (outcome !== undefined || index === undefined) return [];
    return [{ id: bytesOf(id), receipt: bytesOf(receipt), index }];
  });
}

/** Destroys what came with disputes that are decided, or that the log never got: a crash may have left it. */
export function forgetDecided(fold: FoldState, archive: Pick<Archive, "disputesOpened" | "forgetOpening">): void {
  const open = new Set(openDisputes(fold).map(({ id }) => keyOf(id)));
  for (const dispute of archive.disputesOpened()) if (!open.has(keyOf(dispute))) archive.forgetOpening(dispute);
}
