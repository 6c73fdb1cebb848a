/**
 * SentencePiece's unigram segmentation (Kudo, 2018): of all ways to cut a text into pieces of the vocabulary, the one
 * whose pieces are likeliest together.
 */
import assert from "node:assert/strict";
import { parseUtf8 } from "@tallystick/protocol";

/** What stands for the space before a word. */
const SPACE = "\u2581";
const UNKNOWN = 0;
/** The first pieces of the list are marks, never found in a text. */
const RESERVED = 6;
/** How much less likely an unknown character is than the least likely piece. */
const UNKNOWN_PENALTY = 10;

export type Vocabulary = {
  /** Ids are 0 to one less than this. */
  size: number;
  pieces: Map<string, { id: number; score: number }>;
  longest: number;
  unknownScore: number;
};

/** The vocabulary of a JSON list of [piece, log probability], likeliest first. */
export function parseVocabulary(file: Uint8Array): Vocabulary {
  const list: unknown = JSON.parse(parseUtf8(file) ?? "");
  assert(Array.isArray(list), "the vocabulary is a list");
  const pieces: Vocabulary["pieces"] = new Map();
  let longest = 0;
  let least = 0;
  for (const [id, entry] of list.entries()) {
    assert(Array.isArray(entry) && typeof entry[0] === "string", `piece ${id} has a text`);
    if (id < RESERVED) continue;
    const [piece, given] = entry;
    // A few scores are lost in the file. The list is in their order, so the one before is close.
    const score: unknown = given ?? least;
    assert(typeof score === "number", `piece ${id} has a score`);
    if (!pieces.has(piece)) pieces.set(piece, { id, score });
    longest = Math.max(longest, piece.length);
    least = Math.min(least, score);
  }
  return { size: list.length, pieces, longest, unknownScore: least - UNKNOWN_PENALTY };
}

/** `text` as SentencePiece sees it: composed alike (NFKC), one space between words and one before the first. */
export function normaliseText(text: string): string {
  const words = text
    .normalize("NFKC")
    .split(/\s+/)
    .filter((word) => word !== "");
  return words.map((word) => SPACE + word).join("");
}

/** The ids of the pieces of `normal`. Unknown characters in a row are one unknown piece. */
export function segment(normal: string, { pieces, longest, unknownScore }: Vocabulary): number[] {
  const best: ({ score: number; id: number; start: number } | undefined)[] = [{ score: 0, id: UNKNOWN, start: 0 }];
  const offer = (start: number, end: number, id: number, score: number) => {
    const known = best[end];
    const sum = (best[start]?.score ?? 0) + score;
    if (known === undefined || sum > known.score) best[end] = { score: sum, id, start };
  };
  for (let start = 0; start < normal.length; start++) {
    if (best[start] === undefined) continue;
    for (let end = start + 1; end <= Math.min(normal.length, start + longest); end++) {
      const piece = pieces.get(normal.slice(start, end));
      if (piece) offer(start, end, piece.id, piece.score);
    }
    const character = String.fromCodePoint(normal.codePointAt(start) ?? 0);
    if (!pieces.has(character)) offer(start, start + character.length, UNKNOWN, unknownScore);
  }
  const ids: number[] = [];
  for (let end = normal.length; end > 0; ) {
    const step = best[end];
    assert(step, "every character is a piece, if an unknown one");
    if (!(step.id === UNKNOWN && ids.at(-1) === UNKNOWN)) ids.push(step.id);
    end = step.start;
  }
  return ids.reverse();
}
