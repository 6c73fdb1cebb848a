/** Figures as they are shown: with the state of the log that they are figures of, and not computed more often than they cost. */
import type { Figures, FoldState, Note } from "@tallystick/protocol";

/** A state of the log that is signed. */
export type Head = { size: number; root: Uint8Array; note: Note };

/** Figures, and what they are figures of. */
export type Published = { figures: Figures; head: Head };

export type PublishedParts = {
  fold: FoldState;
  figures(): Figures;
  head(): Head;
  nowMs(): number;
};

/** Of fewer lanes than this the days that are not closed are judged in some tens of milliseconds, for whoever asks. */
const LANES_AT_ONCE = 500;
/** Else they are judged in at most a tenth of the time, and what is shown between is older, and says so. */
const REST = 10;

export function createPublished({ fold, figures, head, nowMs }: PublishedParts): () => Published {
  let known: Published | undefined;
  let nextMs = 0;
  return () => {
    const now = head();
    const startMs = nowMs();
    if (known !== undefined && (known.head.size === now.size || startMs < nextMs)) return known;
    known = { figures: figures(), head: now };
    nextMs = fold.demand.lanes.size < LANES_AT_ONCE ? 0 : nowMs() + REST * (nowMs() - startMs);
    return known;
  };
}
