/** What the page of usage shows beyond the figures: closed days with what the log said of them, and who counted again. */
import { bytesOf, type FoldState, findSnapshot, hex, rulesDigest } from "@tallystick/protocol";
import type { Documents } from "./documents.ts";
import type { ListRecomputations } from "./recomputations.ts";

/** As many as a page has room for; the API has the rest. */
const DAYS_SHOWN = 30;
const RECOMPUTATIONS_SHOWN = 50;

export function usageView(fold: FoldState, documents: Documents | undefined, list: ListRecomputations) {
  if (documents === undefined) throw new Error("a fold keeps a series by at least one version of the rules");
  const { rules, rulesDigest: digest, days, digestOf } = documents;
  const closed = days
    .flatMap((day) => {
      const own = digestOf(day);
      return own === undefined ? [] : [{ day, digest: own }];
    })
    .slice(-DAYS_SHOWN);
  // However many disagree, those who agree have room too, and the other way round.
  const half = { limit: RECOMPUTATIONS_SHOWN / 2 };
  const [against, inFavour] = [list({ ...half, agrees: "no" }), list({ ...half, agrees: "yes" })];
  return {
    organicRules: { version: rules.version, digest },
    closedDays: closed.reverse().map((one) => {
      const said = findSnapshot(fold, one.day, rulesDigest(rules));
      return { ...one, snapshot: said && { index: said.index, digest: hex(bytesOf(said.result)) } };
    }),
    auditors: { agreed: against.agreed, disagreed: against.disagreed },
    recomputations: [...against.recomputations, ...inFavour.recomputations].map(
      ({ time, result_digest: result, disagrees_with: disputedDay, ...one }) => ({
        ...{ index: one.index, name: one.name, auditor: one.auditor, size: one.size, agrees: one.agrees, result },
        ...{ day: time?.slice(0, 10), disputedDay: disputedDay ?? undefined },
      }),
    ),
  };
}
