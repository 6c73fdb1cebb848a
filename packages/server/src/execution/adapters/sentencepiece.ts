/**
 * `sentencepiece@1`: texts as embeddings. Each text becomes ids of SentencePiece, upper and lower case as they are,
 * and is run alone, so that it is never padded. A form with `ids` and `mask` takes what the graph takes.
 */
import assert from "node:assert/strict";
import { type Tensor, textElements } from "@tallystick/protocol";
import type { Adapter, Kit, Outcome } from "../adapter.ts";
import { eachAlone, findInput, refuse, remembered } from "./inputs.ts";
import { floatTensorOf, floatValues, integerTensor, integerValues } from "./numbers.ts";
import { normaliseText, parseVocabulary, segment } from "./unigram.ts";

const MAX_TEXTS = 64;
const MAX_CHARACTERS = 4096;
const MAX_IDS = 128;

export const sentencepiece: Adapter = {
  name: "sentencepiece",
  version: 1,
  run: (calls, kit) => eachAlone(calls, (call) => answer(call, kit)),
};

const vocabularyOf = remembered((kit: Kit) => parseVocabulary(kit.file("vocabulary.json")));

async function answer(call: Tensor[], kit: Kit): Promise<Outcome> {
  const ids = findInput(call, "ids");
  if (ids) return answerIds(ids, findInput(call, "mask"), kit);
  const input = findInput(call, "text");
  const texts = input && textElements(input);
  if (texts === undefined) return refuse(`"text" is missing or not UTF-8`);
  if (texts.length < 1 || texts.length > MAX_TEXTS)
    return refuse(`"text" has ${texts.length} elements: send 1 to ${MAX_TEXTS}`);
  const sequences: number[][] = [];
  for (const [i, text] of texts.entries()) {
    if (text.length > MAX_CHARACTERS)
      return refuse(`text ${i} is longer than ${MAX_CHARACTERS} characters: send its sentences`);
    const sequence = segment(normaliseText(text), vocabularyOf(kit));
    if (sequence.length === 0) return refuse(`text ${i} is empty`);
    if (sequence.length > MAX_IDS)
      return refuse(
        `text ${i} is ${sequence.length} word pieces long and the model reads ${MAX_IDS}: send its sentences`,
      );
    sequences.push(sequence);
  }
  return embed(sequences, kit);
}

async function embed(sequences: number[][], kit: Kit): Promise<Outcome> {
  const rows: Float32Array[] = [];
  for (const ids of sequences) {
    const mask = new Float32Array(ids.length).fill(1);
    const shape = [1, ids.length];
    const [output] = await kit.run("encoder.onnx", [
      integerTensor("ids", shape, ids),
      floatTensorOf("mask", shape, mask),
    ]);
    assert(output, "the graph gives an embedding");
    rows.push(floatValues(output));
  }
  const width = rows[0]?.length ?? 0;
  const embedding = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) embedding.set(row, i * width);
  return { ok: true, outputs: [floatTensorOf("embedding", [rows.length, width], embedding)], unitCount: rows.length };
}

async function answerIds(ids: Tensor, mask: Tensor | undefined, kit: Kit): Promise<Outcome> {
  const [rows = 0, length = 0] = ids.shape;
  if (rows < 1 || rows > MAX_TEXTS || length < 1 || length > MAX_IDS)
    return refuse(`"ids" is [${ids.shape}]: send 1 to ${MAX_TEXTS} rows of 1 to ${MAX_IDS} ids`);
  if (mask === undefined || mask.shape.join() !== ids.shape.join()) return refuse(`"mask" has not the shape of "ids"`);
  const { size } = vocabularyOf(kit);
  const at = integerValues(ids).findIndex((id) => id < 0n || id >= BigInt(size));
  if (at >= 0) return refuse(`"ids" has at element ${at} an id that is not 0 to ${size - 1}`);
  const marks = floatValues(mask);
  if (marks.some((mark) => mark !== 0 && mark !== 1)) return refuse(`"mask" has a number that is neither 0 nor 1`);
  for (let row = 0; row < rows; row++)
    if (!marks.subarray(row * length, (row + 1) * length).includes(1))
      return refuse(`"mask" leaves nothing of row ${row}`);
  const [output] = await kit.run("encoder.onnx", [ids, mask]);
  assert(output, "the graph gives an embedding");
  return { ok: true, outputs: [{ ...output, name: "embedding" }], unitCount: rows };
}
