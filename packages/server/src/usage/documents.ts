/** The documents of days: those of closed days as they lie on disk, and of later days as they stand. */
import {
  closesAt,
  type Dimension,
  type FoldState,
  type Group,
  hex,
  openDocuments,
  type Period,
  rulesDigest,
  type Series,
  type WashRules,
} from "@tallystick/protocol";
import type { DayDocuments } from "./day-documents.ts";
import type { Head } from "./published.ts";

/** The documents by one version of the rules. */
export type Documents = {
  rules: WashRules;
  /** SHA-256 of the rules, hex. */
  rulesDigest: string;
  /** Those that there is a document of, in order. */
  days: readonly string[];
  /** The state of the log, and its time, that those of days that are not closed are of. */
  head: Head;
  timeSeconds: number | undefined;
  /** Whether nothing changes a day any more: by the log's clock a day has passed since its end. */
  isClosed(day: string): boolean;
  /** SHA-256 of the document of a closed day, hex; undefined of a day without one. */
  digestOf(day: string): string | undefined;
  /** The document of that day as JSON. Throws a ServiceError where a closed day's has to be made again. */
  findText(day: string): Promise<string | undefined>;
  /** What the document of that day says of one period by one dimension. */
  groups(day: string, per: Period, by: Dimension): Promise<readonly Group[]>;
};

/** Days that are not closed are judged again at most this often, and in at most a tenth of the time. */
const DRAFT_LEAST_MS = 5_000;
const DRAFT_REST = 10;

export type DocumentsParts = {
  fold: FoldState;
  closed: Pick<DayDocuments, "read" | "groups">;
  head(): Head;
  nowMs(): number;
};

/** Gives the documents by the rules of that version or digest, by the first that the fold keeps where none is named. */
export function createDocuments({
  fold,
  closed,
  head,
  nowMs,
}: DocumentsParts): (rules?: string) => Documents | undefined {
  const drafts = new Map<Series, { documents: Documents; closedCount: number; nextMs: number }>();

  function draft(series: Series): Documents {
    const known = drafts.get(series);
    const startMs = nowMs();
    const isFresh = known !== undefined && (known.documents.head.size === head().size || startMs < known.nextMs);
    // What never changes is shown as soon as it is there.
    const closedCount = series.digests.size;
    if (isFresh && known.closedCount === closedCount) return known.documents;
    const documents = documentsOf(fold, series, closed, head());
    const endMs = nowMs();
    const nextMs = endMs + Math.max(DRAFT_LEAST_MS, DRAFT_REST * (endMs - startMs));
    drafts.set(series, { documents, closedCount, nextMs });
    return documents;
  }

  return (rules) => {
    const series = rules === undefined ? fold.series[0] : fold.series.find((one) => isNamed(one, rules));
    return series === undefined ? undefined : draft(series);
  };
}

const isNamed = ({ rules }: Series, name: string) => rules.version === name || hex(rulesDigest(rules)) === name;

function documentsOf(fold: FoldState, series: Series, closed: DocumentsParts["closed"], head: Head): Documents {
  const digests = new Map(series.digests); // As of this head: what closes later is not closed here.
  const open = new Map(openDocuments(fold, series).map((document) => [document.day, document]));
  const { timeSeconds = 0 } = fold;
  return {
    rules: series.rules,
    rulesDigest: hex(rulesDigest(series.rules)),
    days: [...digests.keys(), ...open.keys()].sort(),
    head,
    timeSeconds: fold.timeSeconds,
    // A day on which nothing happened has no document, and is over like any other.
    isClosed: (day) => digests.has(day) || (!open.has(day) && closesAt(day) <= timeSeconds),
    digestOf(day) {
      const digest = digests.get(day);
      return digest && hex(digest);
    },
    async findText(day) {
      const digest = digests.get(day);
      if (digest !== undefined) return closed.read(day, digest);
      const document = open.get(day);
      return document && JSON.stringify(document);
    },
    async groups(day, per, by) {
      const digest = digests.get(day);
      if (digest !== undefined) return closed.groups(day, digest, per, by);
      return open.get(day)?.groups.filter((group) => group.per === per && group.by === by) ?? [];
    },
  };
}
