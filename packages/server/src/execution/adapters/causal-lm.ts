/**
 * `causal-lm@1`: a model that writes text, from `model.onnx` and `tokenizer.json`. The graph has the names that Hugging
 * Face's Optimum exports: `input_ids` and `past_key_values.N.key|value` in, `logits` and `present.N.key|value` out, and
 * those of `attention_mask` and `position_ids` that the options name.
 *
 * Options: the sizes of the cache; `text` and `chat` say how a prompt becomes tokens. In them `{text}`, `{role}` and
 * `{content}` are the caller's, control tokens are by name, and `answer` is what comes before the answer. `end` are the
 * tokens with which the model says that it is done.
 */
import { elementCount, floatTensor, type Tensor } from "@tallystick/protocol";
import { z } from "zod";
import type { Adapter, Kit } from "../adapter.ts";
import { decode, type LanguageModel, type Sequence } from "../decode.ts";
import { GENERATION_LIMITS } from "../limits.ts";
import { type ByteLevel, openByteLevel } from "./byte-level.ts";
import { refuse, remembered } from "./inputs.ts";
import { type Part, promptParts, Templates } from "./templates.ts";

const MODEL_PATH = "model.onnx";
const count = z.number().int().min(1);

const Options = z.strictObject({
  layers: count,
  heads: count,
  headSize: count,
  extraInputs: z.array(z.enum(["attention_mask", "position_ids"])).default([]),
  ...Templates.shape,
  end: z.array(z.string()).min(1),
});
type Options = z.infer<typeof Options>;

export const causalLm: Adapter = {
  name: "causal-lm",
  version: 1,
  run: async (calls) => calls.map(() => refuse("this model takes text: ask for a completion or a chat completion")),
  generate: (request, kit, claimed) => decode(openModel(kit), request, claimed),
};

const openModel = remembered((kit: Kit): LanguageModel => {
  const options = Options.parse(kit.options);
  const { contextLength } = kit;
  if (contextLength === undefined) throw new Error("the manifest of a causal-lm@1 model must say its contextLength");
  const cacheBytes = 2 * 4 * options.layers * options.heads * options.headSize * contextLength;
  if (cacheBytes > GENERATION_LIMITS.cacheBytes)
    throw new Error(
      `the model's cache is ${cacheBytes} bytes, and ${GENERATION_LIMITS.cacheBytes} are allowed: shorten its contextLength`,
    );
  const tokenizer = openByteLevel(kit.file("tokenizer.json"));
  const ends = new Set(options.end.map((name) => controlOf(tokenizer, name)));
  return {
    contextLength,
    encode(prompt) {
      const parts = promptParts(prompt, options);
      const sizeBytes = parts.reduce(
        (sum, part) => sum + (typeof part === "string" ? part.length : part.text.length),
        0,
      );
      if (sizeBytes > contextLength * tokenizer.longest)
        return refuse(`the prompt is longer than the ${contextLength} tokens that the model reads: shorten it`);
      return { ok: true, tokens: encodeParts(tokenizer, parts) };
    },
    bytesOf: tokenizer.bytesOf,
    isEnd: (token) => ends.has(token),
    begin: async () => createSequence(kit, options),
  };
});

function controlOf({ controls }: ByteLevel, name: string): number {
  const id = controls.get(name);
  if (id === undefined) throw new Error(`tokenizer.json has no control token "${name}"`);
  return id;
}

/** What lies between two control tokens is encoded as one text, wherever it is from. */
function encodeParts(tokenizer: ByteLevel, parts: Part[]): number[] {
  const names = [...tokenizer.controls.keys()].sort((a, b) => b.length - a.length);
  const control = new RegExp(`(${names.map(escapeName).join("|")})`);
  const tokens: number[] = [];
  let text = "";
  const flush = () => {
    if (text !== "") tokens.push(...tokenizer.encode(text));
    text = "";
  };
  for (const part of parts) {
    if (typeof part !== "string") {
      text += part.text;
      continue;
    }
    for (const piece of names.length > 0 ? part.split(control) : [part]) {
      const id = tokenizer.controls.get(piece);
      if (id === undefined) text += piece;
      else {
        flush();
        tokens.push(id);
      }
    }
  }
  flush();
  return tokens;
}

function escapeName(name: string): string {
  return name.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

/** The keys and values of what was read, as the graph gave them; it is never written on, so that a mark is free. */
function createSequence(kit: Kit, { layers, heads, headSize, extraInputs }: Options): Sequence {
  const names = Array.from({ length: layers }, (_, i) => [`${i}.key`, `${i}.value`]).flat();
  const shape = [1, heads, 0, headSize];
  let cache = names.map((name) => floatTensor(`past_key_values.${name}`, shape, []));
  let length = 0;
  let marked = { cache, length };

  /** The logits of all places that the graph gives: of each token, or of the last alone. */
  async function readTokens(tokens: number[]): Promise<Tensor> {
    const extra = {
      attention_mask: () => integers("attention_mask", new Array<number>(length + tokens.length).fill(1)),
      position_ids: () =>
        integers(
          "position_ids",
          Array.from(tokens, (_, i) => length + i),
        ),
    };
    const feeds = [integers("input_ids", tokens), ...extraInputs.map((name) => extra[name]()), ...cache];
    const outputs = new Map((await kit.run(MODEL_PATH, feeds)).map((output) => [output.name, output]));
    const get = (name: string): Tensor => {
      const output = outputs.get(name);
      if (output === undefined) throw new Error(`the graph gives no "${name}"`);
      return output;
    };
    cache = names.map((name) => ({ ...get(`present.${name}`), name: `past_key_values.${name}` }));
    length += tokens.length;
    return get("logits");
  }

  return {
    async read(tokens) {
      return lastRow(await readTokens(tokens));
    },
    async readEach(tokens) {
      const logits = await readTokens(tokens);
      const width = logits.shape.at(-1) ?? 0;
      if (logits.shape.at(-2) !== tokens.length || logits.data.length !== 4 * tokens.length * width)
        throw new Error("the graph gives no logits after each token, and so no other engine's tokens can be checked");
      return tokens.map((_, i) => new Float32Array(logits.data.slice(4 * i * width, 4 * (i + 1) * width).buffer));
    },
    mark() {
      marked = { cache, length };
    },
    async rewind() {
      ({ cache, length } = marked);
    },
    async [Symbol.asyncDispose]() {},
  };
}

function integers(name: string, values: number[]): Tensor {
  const data = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return { name, datatype: "INT64", shape: [1, values.length], data };
}

/** The logits after the last token. */
function lastRow({ shape, data }: Tensor): Float32Array {
  const length = shape.at(-1) ?? 0;
  if (elementCount(shape) === 0 || data.length !== 4 * elementCount(shape))
    throw new Error("the graph gives no logits");
  return new Float32Array(data.slice(data.length - 4 * length).buffer);
}
