/** From a prompt to text, a token at a time, whatever reads the tokens: one loop for every engine. */
import { parseUtf8, utf8 } from "@tallystick/protocol";
import { createEmission, type Emitted } from "./emission.ts";
import { createForcing, type Forcing } from "./forcing.ts";
import {
  type ClaimedTokens,
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
  /** Reads `tokens`, and gives the logits of what follows each of them. */
  readEach(tokens: number[]): Promise<Float32Array[]>;
  /** Remembers this place, for `rewind` to come back to. */
  mark(): void;
  rewind(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Tokens of the prompt that are read in one pass. Another number may give other bits. */
const PASS_TOKENS = 64;

/**
 * Writes what `request` asks for, choice after choice. With tokens that are claimed it reads those instead, many at a pass,
 * and refuses the first that this model would not have chosen: what it gives is then what they write.
 */
export async function* decode(model: LanguageModel, request: GenerationRequest, claimed?: ClaimedTokens): Generation {
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
  if (claimed !== undefined && claimed.tokens.length !== request.choiceCount)
    return {
      kind: "refused",
      message: `tokens are claimed of ${claimed.tokens.length} choices, not ${request.choiceCount}`,
    };
  const sequence = await model.begin();
  const choices: FinishedChoice[] = [];
  const faultOf = createForcing(request, claimed?.tolerance ?? EXACT);
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
      const hand =
        claimed === undefined
          ? choosing(sequence, request, index, logits)
          : forcing(sequence, request, index, logits, { ...claimed, maxTokens, faultOf });
      const choice = yield* decodeChoice(model, request, index, maxTokens, hand);
      if (!choice.ok) return { kind: "refused", message: choice.message };
      const { finishReason, tokens: written } = choice;
      completionTokens += written.length;
      choices.push({ index, finishReason, tokens: written });
    }
  } finally {
    await sequence[Symbol.asyncDispose]();
  }
  return { kind: "answered", choices, promptTokens: tokens.length, completionTokens };
}

const EXACT: ClaimedTokens["tolerance"] = { absolute: 0, relative: 0 };

/** What the tokens of a choice come of. */
type Hand = {
  /** The token at `position`, and the logits it comes of, or why the one that is claimed cannot be it. */
  next(position: number, counts: ReadonlyMap<number, number>): Promise<Next>;
  /** Why a choice that ends after `length` tokens cannot be the one that is claimed. */
  endFault(length: number): string | undefined;
};
type Next = { ok: true; token: number; logits: Float32Array } | { ok: false; message: string };

/** Tokens as this model chooses them, each once the one before it was read. */
function choosing(sequence: Sequence, request: GenerationRequest, index: number, first: Float32Array): Hand {
  let logits = first;
  let last: number | undefined;
  return {
    async next(position, counts) {
      if (last !== undefined) logits = await sequence.read([last]);
      last = chooseToken(logits, request, counts, drawAt(request.seed, index, position));
      return { ok: true, token: last, logits };
    },
    endFault: () => undefined,
  };
}

/** Tokens as somebody claims them, read in passes, each held to the logits of its place. */
function forcing(
  sequence: Sequence,
  request: GenerationRequest,
  index: number,
  first: Float32Array,
  { tokens, maxTokens, faultOf }: ClaimedTokens & { maxTokens: number; faultOf: Forcing },
): Hand {
  const own = tokens[index] ?? [];
  const allowed = own.slice(0, maxTokens);
  const stray = allowed.findIndex((token) => !(Number.isInteger(token) && token >= 0 && token < first.length));
  /** Up to here claimed tokens may be read ahead: what is no token at all would be a fault of the graph's. */
  const end = stray < 0 ? allowed.length : stray;
  /** The logits of the places from `start` on. */
  let rows = [first];
  let start = 0;
  return {
    async next(position, counts) {
      const token = own[position];
      if (token === undefined)
        return { ok: false, message: `choice ${index} goes on after its ${own.length} claimed tokens` };
      if (position >= start + rows.length) {
        start = position;
        rows = await sequence.readEach(own.slice(position - 1, Math.min(position - 1 + PASS_TOKENS, end)));
      }
      const logits = rows[position - start] ?? first;
      const draw = drawAt(request.seed, index, position);
      const fault = faultOf(token, logits, counts, draw);
      if (fault === undefined) return { ok: true, token, logits };
      return { ok: false, message: `token ${position} of choice ${index} ${fault}` };
    },
    endFault: (length) =>
      own.length === length ? undefined : `choice ${index} ends after ${length} of its ${own.length} claimed tokens`,
  };
}

type Choice =
  | (Pick<FinishedChoice, "finishReason" | "tokens"> & { ok: true })
  /** The tokens that were claimed are not this model's. */
  | { ok: false; message: string };

async function* decodeChoice(
  model: LanguageModel,
  request: GenerationRequest,
  index: number,
  maxTokens: number,
  hand: Hand,
): AsyncGenerator<GenerationDelta[], Choice> {
  const emission = createEmission<TokenLogprob>(request.stop.map(utf8));
  const counts = new Map<number, number>();
  const tokens: number[] = [];
  const delta = ({ text, notes }: Emitted<TokenLogprob>): GenerationDelta[] =>
    text === "" && notes.length === 0 ? [] : [{ index, text, logprobs: notes }];
  const end = (finishReason: FinishedChoice["finishReason"]): Choice => {
    const message = hand.endFault(tokens.length);
    return message === undefined ? { ok: true, finishReason, tokens } : { ok: false, message };
  };
  while (tokens.length < maxTokens) {
    const next = await hand.next(tokens.length, counts);
    if (!next.ok) return next;
    const { token, logits } = next;
    tokens.push(token);
    if (model.isEnd(token)) {
      yield delta(emission.flush());
      return end("stop");
    }
    counts.set(token, (counts.get(token) ?? 0) + 1);
    const note = request.topLogprobs === undefined ? undefined : describe(model, logits, token, request.topLogprobs);
    const emitted = emission.push(model.bytesOf(token), note);
    yield delta(emitted);
    if (emitted.stopped) return end("stop");
  }
  yield delta(emission.flush());
  return end("length");
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
