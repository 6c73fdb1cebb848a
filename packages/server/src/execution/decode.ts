/** From a prompt to text, a token at a time, whatever reads the tokens: one loop for every engine. */
import { parseUtf8, utf8 } from "@tallystick/protocol";
import { createEmission, type Emitted } from "./emission.ts";
import {
  type FinishedChoice,
  type Generation,
  type GenerationDelta,
  type GenerationRequest,
  generationFault,
  type Logprob,
  type TokenLogprob,
} from "./generation.ts";
import { chooseToken, drawAt, likeliest, logProbabilities } from "./sampling.ts";

export type LanguageModel = {
  contextLength: number;
  /** The prompt's tokens, or why there are none. */
  encode(prompt: GenerationRequest["prompt"]): { ok: true; tokens: number[] } | { ok: false; message: string };
  /** What a token writes; nothing for a token that only controls. */
  bytesOf(token: number): Uint8Array;
  /** Whether the model says by it that it is done. */
  isEnd(token: number): boolean;
  begin(): Promise<Sequence>;
};

/** What a model has read so far. */
export type Sequence = {
  /** Reads `tokens`, and gives the logits of what follows them. */
  read(tokens: number[]): Promise<Float32Array>;
  /** Remembers this place, for `rewind` to come back to. */
  mark(): void;
  rewind(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Tokens of the prompt that are read in one pass. Another number may give other bits. */
const PASS_TOKENS = 64;

/** Writes what `request` asks for, choice after choice. */
export async function* decode(model: LanguageModel, request: GenerationRequest): Generation {
  const fault = generationFault(request);
  if (fault !== undefined) return { kind: "refused", message: fault };
  const encoded = model.encode(request.prompt);
  if (!encoded.ok) return { kind: "refused", message: encoded.message };
  const { tokens } = encoded;
  const room = model.contextLength - tokens.length;
  if (room < 1)
    return {
      kind: "refused",
      message: `the prompt is ${tokens.length} tokens, and the model reads ${model.contextLength} with its answer: shorten it`,
    };
  const maxTokens = Math.min(request.maxTokens ?? room, room);
  const sequence = await model.begin();
  const choices: FinishedChoice[] = [];
  let completionTokens = 0;
  try {
    let logits: Float32Array = new Float32Array();
    for (let at = 0; at < tokens.length && maxTokens > 0; at += PASS_TOKENS) {
      logits = await sequence.read(tokens.slice(at, at + PASS_TOKENS));
      yield [];
    }
    sequence.mark();
    for (let index = 0; index < request.choiceCount; index++) {
      if (request.echo && request.prompt.kind === "text") yield [{ index, text: request.prompt.text, logprobs: [] }];
      if (index > 0) await sequence.rewind();
      const { finishReason, tokenCount } = yield* decodeChoice(model, sequence, request, index, maxTokens, logits);
      completionTokens += tokenCount;
      choices.push({ index, finishReason });
    }
  } finally {
    await sequence[Symbol.asyncDispose]();
  }
  return { kind: "answered", choices, promptTokens: tokens.length, completionTokens };
}

type Choice = Pick<FinishedChoice, "finishReason"> & { tokenCount: number };

async function* decodeChoice(
  model: LanguageModel,
  sequence: Sequence,
  request: GenerationRequest,
  index: number,
  maxTokens: number,
  first: Float32Array,
): AsyncGenerator<GenerationDelta[], Choice> {
  const emission = createEmission<TokenLogprob>(request.stop.map(utf8));
  const counts = new Map<number, number>();
  const delta = ({ text, notes }: Emitted<TokenLogprob>): GenerationDelta[] =>
    text === "" && notes.length === 0 ? [] : [{ index, text, logprobs: notes }];
  let logits = first;
  for (let tokenCount = 0; tokenCount < maxTokens; ) {
    const token = chooseToken(logits, request, counts, drawAt(request.seed, index, tokenCount));
    tokenCount++;
    if (model.isEnd(token)) {
      yield delta(emission.flush());
      return { finishReason: "stop", tokenCount };
    }
    counts.set(token, (counts.get(token) ?? 0) + 1);
    const note = request.topLogprobs === undefined ? undefined : describe(model, logits, token, request.topLogprobs);
    const emitted = emission.push(model.bytesOf(token), note);
    yield delta(emitted);
    if (emitted.stopped) return { finishReason: "stop", tokenCount };
    if (tokenCount < maxTokens) logits = await sequence.read([token]);
  }
  yield delta(emission.flush());
  return { finishReason: "length", tokenCount: maxTokens };
}

function describe(model: LanguageModel, logits: Float32Array, token: number, topCount: number): TokenLogprob {
  const values = logProbabilities(logits);
  const one = (id: number): Logprob => {
    const bytes = model.bytesOf(id);
    return { token: parseUtf8(bytes) ?? readable(bytes), bytes: [...bytes], logprob: values[id] ?? 0 };
  };
  return { ...one(token), top: likeliest(values, topCount).map(one) };
}

/** Bytes that are no UTF-8 by themselves, with a sign for what cannot be shown. */
function readable(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}
