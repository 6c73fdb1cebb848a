/** What the numbers of a day rest on: epochs, witnesses, calls without a receipt, who counted again. */
import { dayOf } from "../day.ts";
import { keyOf, timeOf } from "../state.ts";
import { rulesDigest } from "../wash-rules.ts";
import { DAY_SECONDS } from "./days.ts";
import type { Making } from "./documents.ts";
import { ratio } from "./formulas.ts";
import { put, putRatio, type Quad, type Row } from "./rows.ts";

const ofGross = (value: number | null): Quad => [value, null, null, null];

export function integrityRow(making: Making, row: Row): void {
  const { fold, endSeconds } = making;
  let [count, longest] = [0, 0];
  const { seconds } = fold.times;
  seconds.forEach((timeSeconds, i) => {
    if (timeSeconds < endSeconds - DAY_SECONDS || timeSeconds >= endSeconds) return;
    count++;
    longest = Math.max(longest, timeSeconds - (seconds[i - 1] ?? timeSeconds));
  });
  put(row, "epochs", ofGross(count));
  put(row, "epoch_gap_seconds", ofGross(longest));
  put(row, "witnesses", ofGross(fold.policy?.witnesses.length ?? 0));
  putNonces(making, row);
  putRecomputations(making, row);
}

/** The last words of the day, one for each auditor, on what these rules give. */
function putRecomputations({ fold, series, day }: Making, row: Row): void {
  const rules = keyOf(rulesDigest(series.rules));
  const ofDay = (index: number) => {
    const seconds = timeOf(fold, index);
    return seconds !== undefined && dayOf(seconds) === day;
  };
  const last = [...fold.recomputations.values()].flatMap((stated) => {
    const one = stated.findLast(({ index, rules: by }) => by === rules && ofDay(index));
    return one === undefined ? [] : [one];
  });
  put(row, "recomputations", ofGross(last.length));
  putRatio(row, "recompute_agreement", ofGross(ratio(last.filter(({ agrees }) => agrees).length, last.length)));
}

/** Of the sessions that are over, the calls that were numbered and are not in the log. */
function putNonces({ fold, endSeconds }: Making, row: Row): void {
  let [missing, spanned] = [0, 0];
  for (const { expiry, usedNonces } of fold.sessions.values()) {
    if (expiry >= endSeconds || expiry < endSeconds - DAY_SECONDS || usedNonces.size === 0) continue;
    let highest = 0;
    for (const nonce of usedNonces) highest = Math.max(highest, nonce);
    spanned += highest + 1;
    missing += highest + 1 - usedNonces.size;
  }
  put(row, "nonce_gaps", ofGross(missing));
  const share = ratio(missing, spanned);
  putRatio(row, "nonce_gap_rate", ofGross(share === null ? null : Math.round(share * 1e6)));
}
