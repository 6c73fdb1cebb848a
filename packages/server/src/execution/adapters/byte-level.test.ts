import { readFileSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "@tallystick/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { openByteLevel } from "./byte-level.ts";

const FOLDER = join(import.meta.dirname, "../../../../../models/state-of-the-union");
const file = new Uint8Array(readFileSync(join(FOLDER, "tokenizer.json")));
const linesOf = (name: string) => readFileSync(join(FOLDER, name), "utf8").trimEnd().split("\n");
const tokenizer = openByteLevel(file);

const textOf = (tokens: number[]) => new Uint8Array(tokens.flatMap((token) => [...tokenizer.bytesOf(token)]));

test("gives the tokens that the model was trained on", () => {
  const texts = linesOf("heldout.txt").filter((_, i) => i % 15 === 0);
  const tokens = linesOf("reference.txt").map((line) => line.split(" ").map(Number));
  expect(tokens.length).toBeGreaterThan(5);
  expect(texts.map(tokenizer.encode)).toEqual(tokens);
});

test("the bytes of its tokens are the text's, whatever the text, control tokens' names included", () => {
  const texts = fc.oneof(fc.string({ unit: "grapheme" }), fc.constantFrom("</s>", "<s> a", "\n\n  x", "it's €5\u00ad"));
  fc.assert(
    fc.property(texts, (text) => {
      const tokens = tokenizer.encode(text);
      expect(textOf(tokens)).toEqual(utf8(text));
      for (const id of tokenizer.controls.values()) expect(tokens).not.toContain(id);
    }),
  );
});

test("a tokenizer of another kind is refused", () => {
  const json = JSON.parse(new TextDecoder().decode(file));
  const changed = { ...json, decoder: { type: "Metaspace" } };
  expect(() => openByteLevel(utf8(JSON.stringify(changed)))).toThrow("is not of a byte-level BPE");
});
