/**
 * A GGUF file as a language model: llama.cpp, through the node-llama-cpp that the operator installed. It computes the
 * logits; what comes of them is decided by the same loop as everywhere. The options are the templates of a prompt.
 */

import { utf8 } from "@tallystick/protocol";
import { bytesOfName } from "./adapters/byte-level.ts";
import { refuse } from "./adapters/inputs.ts";
import { promptParts, Templates } from "./adapters/templates.ts";
import { decode, type LanguageModel, type Sequence } from "./decode.ts";
import type { Vocabulary } from "./gguf.ts";
import type { Load, Loaded } from "./runner.ts";

/** What is used of node-llama-cpp 3. */
type LlamaModule = { getLlama(options: object): Promise<Llama>; LlamaLogLevel: { disabled: unknown } };
type Llama = { loadModel(options: object): Promise<LlamaModel> };
type LlamaModel = {
  tokenize(text: string, specialTokens: boolean): number[];
  isSpecialToken(token: number): boolean;
  isEogToken(token: number): boolean;
  createContext(options: object): Promise<LlamaContext>;
  dispose(): Promise<void>;
};
type LlamaContext = { getSequence(): LlamaSequence };
type LlamaSequence = {
  nextTokenIndex: number;
  controlledEvaluate(input: (number | [number, object])[]): Promise<{ next?: { logits?: Map<number, number> } }[]>;
  eraseContextTokenRanges(ranges: { start: number; end: number }[]): Promise<void>;
  clearHistory(): Promise<void>;
  dispose(): Promise<void>;
};

const NAME = "gguf@1";

/** Opens llama.cpp once, by the URL of its module; what it gives loads revisions. */
export async function openLlama(module: string, generations: number): Promise<(load: Load) => Promise<Loaded>> {
  const open = await openLanguages(module, generations);
  return async (load) => {
    const language = await open(load);
    return {
      name: NAME,
      run: async (calls) => calls.map(() => refuse("this model takes text: ask for a completion or a chat completion")),
      generate: (request, claimed) => decode(language, request, claimed),
      [Symbol.asyncDispose]: () => language[Symbol.asyncDispose](),
    };
  };
}

export type OpenLanguage = LanguageModel & AsyncDisposable;

/** The same for who wants the logits themselves. */
export async function openLanguages(
  module: string,
  generations: number,
): Promise<(load: Pick<Load, "manifest" | "gguf">) => Promise<OpenLanguage>> {
  const { getLlama, LlamaLogLevel }: LlamaModule = await import(module);
  const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.disabled, maxThreads: 1 });

  return async ({ manifest, gguf }) => {
    const { name, version, options } = manifest.adapter;
    if (`${name}@${version}` !== NAME || gguf === undefined)
      throw new Error(`the llama engine takes a .gguf file and the adapter ${NAME}, not ${name}@${version}`);
    const { contextLength } = manifest;
    if (contextLength === undefined) throw new Error("the manifest of a GGUF model must say its contextLength");
    const model = await llama.loadModel({ modelPath: gguf.path });
    try {
      const context = await model.createContext({
        contextSize: contextLength,
        sequences: generations,
        threads: 1,
        batchSize: Math.min(contextLength, 512),
      });
      const templates = Templates.parse(JSON.parse(options));
      const language = createLanguageModel(model, context, contextLength, templates, gguf.vocabulary);
      return { ...language, [Symbol.asyncDispose]: () => model.dispose() };
    } catch (error) {
      await model.dispose();
      throw error;
    }
  };
}

function createLanguageModel(
  model: LlamaModel,
  context: LlamaContext,
  contextLength: number,
  templates: Templates,
  { kind, tokens }: Vocabulary,
): LanguageModel {
  const bytes = tokens.map((name, token) =>
    model.isSpecialToken(token) ? new Uint8Array() : kind === "gpt2" ? bytesOfName(name) : bytesOfPiece(name),
  );
  const longest = bytes.reduce((most, { length }) => Math.max(most, length), 0);
  return {
    contextLength,
    encode(prompt) {
      const parts = promptParts(prompt, templates);
      const sizeBytes = parts.reduce((sum, part) => sum + (typeof part === "string" ? part : part.text).length, 0);
      if (sizeBytes > contextLength * longest)
        return refuse(`the prompt is longer than the ${contextLength} tokens that the model reads: shorten it`);
      const encoded = parts.map((part) =>
        typeof part === "string" ? model.tokenize(part, true) : model.tokenize(part.text, false),
      );
      return { ok: true, tokens: encoded.flat() };
    },
    bytesOf: (token) => bytes[token] ?? new Uint8Array(),
    isEnd: (token) => model.isEogToken(token),
    begin: async () => createSequence(context.getSequence(), tokens.length),
  };
}

/** SentencePiece's own way to write a token: a sign for the space, and bytes by their number. */
function bytesOfPiece(name: string): Uint8Array {
  const [, byte] = /^<0x([0-9A-F]{2})>$/.exec(name) ?? [];
  return byte === undefined ? utf8(name.replaceAll("\u2581", " ")) : Uint8Array.of(Number.parseInt(byte, 16));
}

function createSequence(sequence: LlamaSequence, vocabularyLength: number): Sequence {
  let marked = 0;

  /** Reads `tokens`, and gives the logits of what follows each of those from the place `from` on. */
  async function readFrom(tokens: number[], from: number): Promise<Float32Array[]> {
    const input = tokens.map((token, i): number | [number, object] =>
      i >= from ? [token, { generateNext: { logits: true } }] : token,
    );
    const read = await sequence.controlledEvaluate(input);
    return tokens.slice(from).map((_, i) => {
      const logits = read[from + i]?.next?.logits;
      if (logits === undefined) throw new Error("llama.cpp gave no logits");
      const values = new Float32Array(vocabularyLength);
      for (const [token, logit] of logits) values[token] = logit;
      return values;
    });
  }

  return {
    async read(tokens) {
      const [values = new Float32Array()] = await readFrom(tokens, tokens.length - 1);
      return values;
    },
    readEach: (tokens) => readFrom(tokens, 0),
    mark() {
      marked = sequence.nextTokenIndex;
    },
    rewind: () => sequence.eraseContextTokenRanges([{ start: marked, end: sequence.nextTokenIndex }]),
    async [Symbol.asyncDispose]() {
      await sequence.clearHistory();
      await sequence.dispose();
    },
  };
}
