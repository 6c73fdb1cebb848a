/** From how likely each window is speech to stretches of speech. */

export type Segment = { startS: number; endS: number };

/** Speech begins at this probability and ends below the lower one. */
const BEGIN = 0.5;
const END = 0.35;
const MIN_SPEECH_S = 0.25;
const MIN_SILENCE_S = 0.1;
/** What a stretch gains at both ends, for the soft sounds there. */
const MARGIN_S = 0.03;

/** Stretches in a recording of `durationS` whose windows are `windowS` long. Shorter silences do not part them. */
export function findSegments(probabilities: ArrayLike<number>, windowS: number, durationS: number): Segment[] {
  const segments: Segment[] = [];
  let start = -1;
  let silence = -1;
  for (let i = 0; i <= probabilities.length; i++) {
    const over = i === probabilities.length;
    const probability = over ? 0 : probabilities[i]!;
    if (probability >= BEGIN) {
      if (start < 0) start = i;
      silence = -1;
    }
    if (start < 0 || probability >= END) continue;
    if (silence < 0) silence = i;
    if (!over && (i + 1 - silence) * windowS < MIN_SILENCE_S) continue;
    if ((silence - start) * windowS >= MIN_SPEECH_S)
      segments.push({
        startS: Math.max(0, start * windowS - MARGIN_S),
        endS: Math.min(durationS, silence * windowS + MARGIN_S),
      });
    start = -1;
    silence = -1;
  }
  return segments;
}
