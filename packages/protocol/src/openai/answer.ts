/**
 * OpenAI's answers in the form that a receipt commits to, from a whole body or from the chunks of a stream: the same bytes
 * either way (docs/spec/call.md). What names the answer, dates it or says what carried it is left out.
 */
import { base64, parseBase64 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { isJsonObject, type Json, type JsonObject } from "../json/canonical.ts";
import { STREAM_CHOICES, STREAM_TOOL_CALLS } from "../limits.ts";

/** The canonical answer in the body of a chat completion. Throws Malformed. */
export function chatAnswerOf(body: JsonObject): JsonObject {
  const choices = objects(body.choices, "choices").map((choice) => {
    const message = object(choice.message, "message");
    const told = Object.entries(pick(message, TOLD)).map(([name, said]) => [name, textOf(said)]);
    const calls = objects(message.tool_calls ?? [], "tool_calls").map(({ id, function: called }) =>
      toolCall(id, object(called, "function")),
    );
    return choiceOf(choice, { message: messageOf(Object.fromEntries(told), calls) });
  });
  return { choices, usage: object(body.usage, "usage") };
}

/** The canonical answer in the body of a completion. Throws Malformed. */
export function completionAnswerOf(body: JsonObject): JsonObject {
  const choices = objects(body.choices, "choices").map((choice) => choiceOf(choice, { text: textOf(choice.text) }));
  return { choices, usage: object(body.usage, "usage") };
}

/** The canonical answer in a list of embeddings, whose vectors are floats or base64 of little-endian FP32. Throws Malformed. */
export function embeddingAnswerOf(body: JsonObject): JsonObject {
  const vectors = objects(body.data, "data").map(({ index = null, embedding }, place) => {
    // Some clients sort by it, so that another number would be another answer.
    if (index !== null && index !== place) throw new Malformed("has embeddings that are not numbered as they stand");
    if (typeof embedding === "string") {
      if ((parseBase64(embedding)?.length ?? 1) % 4 !== 0) throw new Malformed("has an embedding that is no FP32");
      return embedding;
    }
    if (!Array.isArray(embedding)) throw new Malformed("has an embedding that is neither floats nor base64");
    return encodeVector(embedding.map((value) => (typeof value === "number" ? value : Number.NaN)));
  });
  return { embeddings: vectors, usage: object(body.usage, "usage") };
}

/**
 * A vector as its receipt commits to it: base64 of little-endian FP32. A zero has no sign, since JSON keeps none and the same
 * vector may travel as floats. Throws Malformed where a number is none, or is infinite.
 */
export function encodeVector(vector: readonly number[] | Float32Array): string {
  const view = new DataView(new ArrayBuffer(vector.length * 4));
  for (const [i, value] of vector.entries()) {
    const single = Math.fround(value);
    if (!Number.isFinite(single)) throw new Malformed("has an embedding with what is no finite number");
    view.setFloat32(i * 4, single + 0, true);
  }
  return base64(new Uint8Array(view.buffer));
}

/** The canonical answer in the object of a response. Throws Malformed. */
export function responseAnswerOf(body: JsonObject): JsonObject {
  const output = objects(body.output, "output").map(({ id: _, status: __, ...item }) => item);
  return {
    output,
    ...pick(body, ["incomplete_details"]),
    status: textOf(body.status),
    usage: object(body.usage, "usage"),
  };
}

/** What a message tells in text. */
const TOLD = ["content", "refusal", "reasoning_content"];

type ToolCall = { id: string; name: string; arguments: string };
type Choice = {
  told: Map<string, string>;
  toolCalls: Map<number, ToolCall>;
  logprobs: JsonObject | undefined;
  finishReason: Json | undefined;
};

/** Puts the chunks of a streamed chat completion or completion together. */
export class ChunkedAnswer {
  readonly #operation: "chat" | "completion";
  readonly #choices = new Map<number, Choice>();
  #usage: JsonObject | undefined;

  constructor(operation: "chat" | "completion") {
    this.#operation = operation;
  }

  /** Takes the next chunk. Throws Malformed where it is none, or where it adds to a choice that has finished. */
  add(chunk: JsonObject): void {
    if (isJsonObject(chunk.usage)) this.#usage = chunk.usage;
    for (const part of objects(chunk.choices, "choices")) {
      const choice = this.#choice(part.index);
      if (this.#operation === "chat") addDelta(choice, object(part.delta, "delta"));
      else append(choice.told, "text", part.text);
      if (isJsonObject(part.logprobs)) choice.logprobs = joinLogprobs(choice.logprobs, part.logprobs);
      if (part.finish_reason !== null && part.finish_reason !== undefined) choice.finishReason = part.finish_reason;
    }
  }

  #choice(index: Json | undefined): Choice {
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index >= STREAM_CHOICES)
      throw new Malformed(`has a choice that is not numbered from 0 to ${STREAM_CHOICES - 1}`);
    const known = this.#choices.get(index);
    if (known?.finishReason !== undefined) throw new Malformed(`adds to choice ${index}, which has finished`);
    const choice = known ?? { told: new Map(), toolCalls: new Map(), logprobs: undefined, finishReason: undefined };
    this.#choices.set(index, choice);
    return choice;
  }

  /** The canonical answer, with the usage of its last chunk where none is given. Throws Malformed where it is not whole. */
  answer(usage: JsonObject | undefined = this.#usage): JsonObject {
    if (usage === undefined) throw new Malformed("is a stream that does not say its usage");
    const numbered = [...this.#choices].sort(([a], [b]) => a - b);
    if (numbered.length === 0 || numbered.some(([, { finishReason }]) => finishReason === undefined))
      throw new Malformed("is a stream that ends before its answer does");
    const choices = numbered.map(([index, { told, toolCalls, logprobs, finishReason }]) => {
      const calls = [...toolCalls].sort(([a], [b]) => a - b);
      const own =
        this.#operation === "chat"
          ? {
              message: messageOf(
                Object.fromEntries(told),
                calls.map(([, one]) => toolCall(one.id, one)),
              ),
            }
          : { text: told.get("text") ?? "" };
      return choiceOf({ index, finish_reason: finishReason ?? null, logprobs: logprobs ?? null }, own);
    });
    return { choices, usage };
  }
}

function addDelta(choice: Choice, delta: JsonObject): void {
  for (const name of TOLD) append(choice.told, name, delta[name]);
  for (const piece of objects(delta.tool_calls ?? [], "tool_calls")) {
    const { index } = piece;
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index >= STREAM_TOOL_CALLS)
      throw new Malformed(`has a tool call that is not numbered from 0 to ${STREAM_TOOL_CALLS - 1}`);
    const called = object(piece.function ?? {}, "function");
    const known = choice.toolCalls.get(index) ?? { id: "", name: "", arguments: "" };
    choice.toolCalls.set(index, {
      id: once(known.id, piece.id),
      name: once(known.name, called.name),
      arguments: known.arguments + textOf(called.arguments ?? ""),
    });
  }
}

/** What a tool call is named by comes whole in one piece. Some say it again in each: clients would differ in which they take. */
function once(known: string, said: Json | undefined): string {
  const name = textOf(said ?? "");
  if (known !== "" && name !== "" && known !== name) throw new Malformed("has a tool call that is named twice");
  return known === "" ? name : known;
}

function append(told: Map<string, string>, name: string, piece: Json | undefined): void {
  if (piece === null || piece === undefined) return;
  told.set(name, (told.get(name) ?? "") + textOf(piece));
}

/** Logprobs of a stream come in pieces, each an object of lists. */
function joinLogprobs(known: JsonObject | undefined, piece: JsonObject): JsonObject {
  if (known === undefined) return copyLists(piece);
  for (const [name, values] of Object.entries(piece)) {
    const list = known[name];
    if (Array.isArray(list) && Array.isArray(values)) for (const value of values) list.push(value);
    else if (list === undefined || list === null) known[name] = Array.isArray(values) ? [...values] : values;
  }
  return known;
}

function copyLists(piece: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(piece).map(([name, value]) => [name, Array.isArray(value) ? [...value] : value]),
  );
}

function choiceOf(choice: JsonObject, own: JsonObject): JsonObject {
  return {
    index: choice.index ?? 0,
    finish_reason: choice.finish_reason ?? null,
    ...pick(choice, ["logprobs"]),
    ...own,
  };
}

/**
 * A message that called tools or refused, and said nothing, has no content; any other has, be it empty. Streams begin with an
 * empty text of each kind, whole bodies have null: neither says anything.
 */
function messageOf(told: Record<string, string>, calls: JsonObject[]): JsonObject {
  const { content = "", ...others } = told;
  const said = Object.fromEntries(Object.entries(others).filter(([, text]) => text !== ""));
  const isSilent = content === "" && (calls.length > 0 || said.refusal !== undefined);
  return {
    role: "assistant",
    ...said,
    content: isSilent ? null : content,
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}

function toolCall(id: Json | undefined, called: { name?: Json; arguments?: Json }): JsonObject {
  return { id: id ?? "", type: "function", function: { name: called.name ?? "", arguments: called.arguments ?? "" } };
}

/** The members of these names that are there and not null. */
function pick(from: JsonObject, names: readonly string[]): JsonObject {
  const found = names.flatMap((name) => (from[name] === null || from[name] === undefined ? [] : [[name, from[name]]]));
  return Object.fromEntries(found);
}

function objects(value: Json | undefined, name: string): JsonObject[] {
  if (!Array.isArray(value)) throw new Malformed(`has ${name} that are no list`);
  return value.map((item) => object(item, name));
}

function object(value: Json | undefined, name: string): JsonObject {
  if (!isJsonObject(value)) throw new Malformed(`has a ${name} that is no object`);
  return value;
}

function textOf(value: Json | undefined): string {
  if (typeof value !== "string") throw new Malformed("has a number or an object where text is due");
  return value;
}
