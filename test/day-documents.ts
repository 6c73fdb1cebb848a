/** The documents of a log's days, each taken as it closes: a fold keeps those that closed last, and of the others a digest. */
import {
  applyEntry,
  createFold,
  type DayDocument,
  type Entry,
  type FoldState,
  type Query,
  type QueryRow,
  Question,
} from "@tallystick/protocol";

export type FoldedDays = { fold: FoldState; documents: Map<string, DayDocument> };

/** Takes the entries into `fold`, and gives the documents of the days that they close by its first rules, in order. */
export function foldDays(entries: readonly Entry[], fold: FoldState = createFold()): FoldedDays {
  const documents = new Map<string, DayDocument>();
  for (const entry of entries) {
    const closed = fold.closedDays.size;
    applyEntry(fold, entry);
    if (fold.closedDays.size === closed) continue;
    for (const [day, document] of fold.series[0]?.documents ?? []) documents.set(day, document);
  }
  return { fold, documents };
}

/** The answer to a question that documents in memory give. */
export function askDocuments(documents: ReadonlyMap<string, DayDocument>, query: Query): QueryRow[] {
  const question = new Question(query);
  for (const day of question.daysOf(documents.keys())) {
    const groups = documents.get(day)?.groups ?? [];
    question.take(
      day,
      groups.filter(({ per, by }) => per === query.per && by === query.by),
    );
  }
  return question.rows();
}
