/**
 * Texts that all versions of Unicode from 15.1 on compose, lower-case and classify alike, so that it does not matter by which
 * tables an adapter read them.
 */

/** Blocks in which no character was added since, as first and last code point. A character not assigned here may come yet. */
const SETTLED: readonly [first: number, last: number][] = [
  [0x0000, 0x052f], // Latin, Greek and Cyrillic
  [0x0590, 0x06ff], // Hebrew and Arabic
  [0x0900, 0x097f], // Devanagari
  [0x0e00, 0x0e7f], // Thai
  [0x1e00, 0x206f], // Latin and Greek with marks, and punctuation
  [0x2100, 0x22ff], // letterlike signs, number forms, arrows, mathematics
  [0x3000, 0x30ff], // CJK punctuation, Hiragana and Katakana
  [0x4e00, 0x9fff], // unified ideographs
  [0xac00, 0xd7a3], // Hangul syllables
  [0x1f300, 0x1f64f], // pictographs and emoticons
];

export function isSettledText(text: string): boolean {
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (!SETTLED.some(([first, last]) => code >= first && code <= last) || /\p{Cn}/u.test(character)) return false;
  }
  return true;
}
