/**
 * Byte-level BPE, as GPT-2 brought it and Llama 3, Qwen and others have it: Hugging Face's tokenizer.json, and the bytes
 * that a token stands for. A caller's text is never read for control tokens: whoever writes "</s>" gets its four letters.
 */
import { Tokenizer } from "@huggingface/tokenizers";
import { z } from "zod";

const Json = z.object({
  added_tokens: z.array(z.object({ id: z.number().int(), content: z.string() })),
  decoder: z.object({ type: z.literal("ByteLevel") }),
  model: z.object({ type: z.literal("BPE"), vocab: z.record(z.string(), z.number().int()) }),
});

export type ByteLevel = {
  /** The tokens of `text`, none of them a control token. */
  encode(text: string): number[];
  /** The control tokens by name. */
  controls: ReadonlyMap<string, number>;
  /** What a token writes; nothing for a control token. */
  bytesOf(token: number): Uint8Array;
  /** No token writes more bytes. */
  longest: number;
};

const NOTHING = new Uint8Array();

/** Throws where the file is of another kind of tokenizer. */
export function openByteLevel(file: Uint8Array): ByteLevel {
  const json: unknown = JSON.parse(new TextDecoder().decode(file));
  const parsed = Json.safeParse(json);
  if (!parsed.success)
    throw new Error(`tokenizer.json is not of a byte-level BPE: ${z.prettifyError(parsed.error)}`, {
      cause: parsed.error,
    });
  const { added_tokens, model } = parsed.data;
  const tokenizer = new Tokenizer({ ...parsed.data, ...Object(json), added_tokens: [], post_processor: null }, {});
  const controls = new Map(added_tokens.map(({ id, content }) => [content, id]));
  const controlIds = new Set(controls.values());
  const bytes = new Map<number, Uint8Array>();
  for (const [name, id] of Object.entries(model.vocab)) if (!controlIds.has(id)) bytes.set(id, bytesOfName(name));
  return {
    encode: (text) => tokenizer.encode(text, { add_special_tokens: false }).ids,
    controls,
    bytesOf: (token) => bytes.get(token) ?? NOTHING,
    longest: Math.max(...[...bytes.values()].map(({ length }) => length)),
  };
}

/** GPT-2 writes each byte as a character that can be seen: itself where it is one, else one from U+0100 on. */
const BYTES = new Map<string, number>();
for (let byte = 0, others = 0; byte < 256; byte++) {
  const seen = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  BYTES.set(String.fromCharCode(seen ? byte : 256 + others++), byte);
}

/** The bytes of a token by its name in the vocabulary. */
export function bytesOfName(name: string): Uint8Array {
  return Uint8Array.from(name, (character) => {
    const byte = BYTES.get(character);
    if (byte === undefined) throw new Error(`the vocabulary has the token "${name}", which is not of bytes`);
    return byte;
  });
}
