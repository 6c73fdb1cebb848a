/** An engine's pieces as one answer of OpenAI's: canonical for the receipt, in frames for who reads along. */
import {
  ChunkedAnswer,
  chatOfResponse,
  chatUsage,
  encodeJsonAnswer,
  encodeVector,
  type JsonCall,
  type JsonObject,
  Malformed,
  responseOfChat,
  responseUsage,
  type TokenUsage,
} from "@tallystick/protocol";
import { NEVER, Stop, type StopSignal } from "../platform/stop.ts";
import { choiceOfDelta, choiceOfFinish } from "./chunks.ts";
import { createChunkWriter, type FrameWriter, type Heading } from "./frames.ts";
import type {
  Attempt,
  Delta,
  EngineCall,
  FinishReason,
  GenerationOptions,
  Generator,
  RunModel,
  Unanswered,
  UpstreamWords,
} from "./generation.ts";
import { createResponseWriter } from "./response-frames.ts";

/** What came of a call in JSON: its canonical answer, and what it took. */
export type JsonOutcome =
  | {
      kind: "answered";
      answer: JsonObject;
      /** The canonical bytes of the answer. */
      bytes: Uint8Array;
      usage: TokenUsage;
      finishReasons: FinishReason[];
      upstream?: UpstreamWords;
      attempts?: Attempt[];
      tokens?: number[][];
    }
  | Unanswered;

export type Asking = Pick<GenerationOptions, "seed" | "deadlineMs"> & {
  /** Aborted once nobody waits for the answer. */
  signal?: StopSignal;
  /** Told each frame as it comes, where the answer is streamed. */
  frames?: { writer: FrameWriter; send(frames: readonly string[]): void | Promise<void> };
};

/** Bytes of text that one answer may have: what is told beyond is no answer. */
const ANSWER_LIMIT_BYTES = 8 * 1024 * 1024;

/** The writer of a streamed answer; embeddings are not streamed. */
export function writerOf(call: JsonCall, heading: Heading): FrameWriter | undefined {
  if (call.operation === "embedding") return undefined;
  return call.operation === "response"
    ? createResponseWriter(heading, call.body)
    : createChunkWriter(call.operation, heading);
}

/** Has `call` answered. Total but for faults of ours: what an engine does wrong is an outcome. */
export async function answerJson(
  generator: Generator,
  model: RunModel,
  call: JsonCall,
  asking: Asking,
): Promise<JsonOutcome> {
  const told =
    call.operation === "embedding"
      ? await answerEmbedding(generator, model, call.body, asking)
      : await answerText(generator, model, call.operation, engineCallOf(call), asking);
  if (told.kind !== "answered") return told;
  try {
    return { ...told, bytes: encodeJsonAnswer(told.answer) };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    const { attempts = [] } = told;
    return { kind: "failed", reason: "engine", message: `the engine's answer ${error.message}`, attempts };
  }
}

/** An answer before it is spelled. */
type Told = Omit<Extract<JsonOutcome, { kind: "answered" }>, "bytes"> | Unanswered;

function engineCallOf({ operation, body }: JsonCall): EngineCall {
  return operation === "completion"
    ? { operation, body }
    : { operation: "chat", body: operation === "response" ? chatOfResponse(body) : body };
}

async function answerText(
  generator: Generator,
  model: RunModel,
  operation: JsonCall["operation"],
  call: EngineCall,
  { frames, signal, seed, deadlineMs }: Asking,
): Promise<Told> {
  const whole = new ChunkedAnswer(call.operation);
  const stop = new Stop();
  const gone = () => stop.abort();
  if (signal?.aborted === true) gone();
  signal?.addEventListener("abort", gone, { once: true });
  let sizeBytes = 0;
  let fault: unknown;
  /** Frames on their way, where somebody is waited for: whether or not the engine waits, the next do not overtake them. */
  let underway: Promise<void> | undefined;

  function take(delta: Delta): void {
    sizeBytes += sizeOf(delta);
    if (sizeBytes > ANSWER_LIMIT_BYTES)
      throw new Malformed(`tells more than the ${ANSWER_LIMIT_BYTES} characters that an answer may have`);
    whole.add({ choices: [choiceOfDelta(call.operation, delta)] });
  }

  function fail(error: unknown): void {
    fault = error;
    stop.abort(); // What follows is of no use to anybody.
  }

  function tell(delta: Delta): void | Promise<void> {
    if (fault !== undefined) return;
    try {
      take(delta);
      return frames?.send(frames.writer.delta(delta));
    } catch (error) {
      fail(error);
    }
  }

  function onDelta(delta: Delta): void | Promise<void> {
    const sent = underway === undefined ? tell(delta) : underway.then(() => tell(delta));
    if (!(sent instanceof Promise)) return;
    const own = sent.catch(fail).then(() => {
      if (underway === own) underway = undefined;
    });
    underway = own;
    return own;
  }

  const generated = await generator.generate(model, call, {
    seed,
    deadlineMs,
    signal: stop.signal,
    isStreamed: frames !== undefined,
    onDelta,
  });
  await underway;
  signal?.removeEventListener("abort", gone);
  if (fault instanceof Malformed) return { kind: "failed", reason: "engine", message: `the engine ${fault.message}` };
  if (fault !== undefined) return { kind: "cancelled" }; // The sink refused: nobody reads any more.
  if (generated.kind !== "answered") return generated;
  const { finishReasons, usage } = generated;
  for (const [index, reason] of finishReasons.entries())
    whole.add({ choices: [choiceOfFinish(call.operation, index, reason)] });
  const answer = whole.answer(chatUsage(usage));
  return {
    ...generated,
    answer: operation === "response" ? { ...responseOfChat(answer), usage: responseUsage(usage) } : answer,
  };
}

function sizeOf({ content = "", reasoning = "", refusal = "", toolCalls = [] }: Delta): number {
  const told = content.length + reasoning.length + refusal.length;
  return toolCalls.reduce((sum, { arguments: piece = "" }) => sum + piece.length, told);
}

async function answerEmbedding(
  generator: Generator,
  model: RunModel,
  body: JsonObject,
  options: Asking,
): Promise<Told> {
  const { deadlineMs, signal = NEVER } = options;
  const embedded = await generator.embed(model, body, { deadlineMs, signal });
  if (embedded.kind !== "answered") return embedded;
  const { vectors, promptTokens, kind, ...told } = embedded;
  let embeddings: string[];
  try {
    embeddings = vectors.map(encodeVector);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    return { kind: "failed", reason: "engine", message: `the engine ${cause.message}` };
  }
  return {
    kind,
    ...told,
    finishReasons: [],
    usage: { promptTokens, completionTokens: 0 },
    answer: { embeddings, usage: { prompt_tokens: promptTokens, total_tokens: promptTokens } },
  };
}
