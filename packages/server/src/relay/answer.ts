/**
 * An answer as it is put together from an upstream's chunks, or from a whole one: what each chunk adds, and at the end whether
 * all of it came. Pieces of another answer, pieces behind an end and an answer without its usage are UpstreamFaults.
 */
import { isJsonObject, type JsonObject } from "@tallystick/protocol";
import type { Delta, FinishReason, ToolCallDelta, UpstreamWords, Usage } from "../node/generation.ts";
import { malformed, UpstreamFault } from "./fault.ts";
import { TOOL_CALLS_MOST } from "./limits.ts";
import { readFinishReason, readLogprobs, readText, readUsage, readWord } from "./pieces.ts";

export type Whole = { finishReasons: FinishReason[]; usage: Usage; upstream: UpstreamWords };

export type Answer = {
  /** What `chunk` adds. */
  take(chunk: unknown): Delta[];
  /** The answer's end. Throws where something lacks. */
  end(): Whole;
};

type Choice = { finishReason: FinishReason | undefined; tools: { id: string; name: string }[] };

export function createAnswer(operation: "chat" | "completion", choiceCount: number): Answer {
  const choices: Choice[] = [];
  for (let i = 0; i < choiceCount; i++) choices.push({ finishReason: undefined, tools: [] });
  const words = new Map<string, string>();
  let createdSeconds = 0;
  let usage: Usage | undefined;
  let hasSaidSomething = false;

  /** What is said of the whole answer stays as it was said first; what is empty says nothing. */
  function hold(name: string, value: unknown): void {
    const word = readWord(value, name);
    if (word === undefined) return;
    const known = words.get(name);
    if (known === undefined) words.set(name, word);
    else if (known !== word) throw reordered(`its ${name} changed in the middle`);
  }

  /** Ollama and llama.cpp date each chunk, others the answer: it never goes back. */
  function holdCreated(value: unknown): void {
    if (value === undefined || value === null || value === 0) return;
    if (typeof value !== "number") throw malformed("its created is no time");
    if (value < createdSeconds) throw reordered("a chunk is older than the one before it");
    createdSeconds = value;
  }

  function takeChoice(value: unknown): Delta[] {
    if (!isJsonObject(value)) throw malformed("a choice is no object");
    const { index } = value;
    const choice = typeof index === "number" ? choices[index] : undefined;
    if (typeof index !== "number" || choice === undefined) throw reordered("a choice has an index that none has");
    const said = operation === "chat" ? readMessage(value, choice) : readCompletion(value);
    const logprobs = readLogprobs(value.logprobs);
    if (logprobs !== undefined && logprobs.length > 0) said.logprobs = logprobs;
    const finishReason = readFinishReason(value.finish_reason);
    const saysSomething = Object.keys(said).length > 0;
    if (choice.finishReason !== undefined) {
      // OpenRouter repeats the end of a choice, empty, where it tells the usage.
      if (saysSomething || (finishReason ?? choice.finishReason) !== choice.finishReason)
        throw reordered("a piece came behind the end of its choice");
      return [];
    }
    choice.finishReason = finishReason;
    if (!saysSomething) return [];
    hasSaidSomething = true;
    return [{ index, ...said }];
  }

  return {
    take(chunk) {
      if (!isJsonObject(chunk)) throw malformed("a chunk is no object");
      if ((chunk.error !== undefined && chunk.error !== null) || chunk.object === "error")
        throw new UpstreamFault("error", "the upstream ended its answer with an error");
      hold("id", chunk.id);
      hold("model", chunk.model);
      hold("system_fingerprint", chunk.system_fingerprint);
      holdCreated(chunk.created);
      const listed = chunk.choices ?? [];
      if (!Array.isArray(listed)) throw malformed("its choices are no list");
      const deltas = listed.flatMap(takeChoice);
      // What is counted before every choice has ended is a part; of what is counted then the last is the whole.
      const counted = readUsage(chunk.usage);
      if (choices.every(({ finishReason }) => finishReason !== undefined)) usage = counted ?? usage;
      return deltas;
    },

    end() {
      const finishReasons = choices.map(({ finishReason }) => finishReason).filter((reason) => reason !== undefined);
      if (finishReasons.length < choices.length)
        throw new UpstreamFault("truncated", "the upstream's answer ended before it was whole");
      if (usage === undefined) throw new UpstreamFault("no_usage", "the upstream did not say how many tokens it used");
      if (hasSaidSomething && usage.completionTokens === 0)
        throw new UpstreamFault("no_usage", "the upstream said something and counts no token of it");
      const [responseId, fingerprint] = [words.get("id"), words.get("system_fingerprint")];
      return {
        finishReasons,
        usage,
        upstream: {
          model: words.get("model") ?? "",
          ...(responseId === undefined ? {} : { responseId }),
          ...(fingerprint === undefined ? {} : { fingerprint }),
        },
      };
    },
  };
}

type Said = Omit<Delta, "index">;

function readCompletion({ text }: JsonObject): Said {
  const content = readText(text, "text");
  return content ? { content } : {};
}

function readMessage({ delta, message }: JsonObject, choice: Choice): Said {
  const isWhole = isJsonObject(message);
  const says = delta ?? message ?? {};
  if (!isJsonObject(says)) throw malformed("a delta is no object");
  const said: Said = {};
  const content = readText(says.content, "content");
  if (content) said.content = content;
  const refusal = readText(says.refusal, "refusal");
  if (refusal) said.refusal = refusal;
  const reasoning = readText(says.reasoning_content, "reasoning_content") ?? readText(says.reasoning, "reasoning");
  if (reasoning) said.reasoning = reasoning;
  const toolCalls = readToolCalls(says.tool_calls, choice, isWhole);
  if (toolCalls.length > 0) said.toolCalls = toolCalls;
  return said;
}

/** In a whole message a call's index is its place. */
function readToolCalls(value: unknown, { tools }: Choice, isWhole: boolean): ToolCallDelta[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw malformed("its tool_calls are no list");
  return value.flatMap((call, place) => {
    if (!isJsonObject(call)) throw malformed("a tool call is no object");
    const index = call.index ?? (isWhole ? place : undefined);
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index > tools.length)
      throw reordered("a tool call has an index that is not the next");
    if (index >= TOOL_CALLS_MOST) throw malformed("it calls too many tools");
    const named = readToolName(call, index, tools);
    const given = isJsonObject(call.function) ? readText(call.function.arguments, "arguments") : undefined;
    return named === undefined && !given ? [] : [{ index, ...named, ...(given ? { arguments: given } : {}) }];
  });
}

/** The id and the name, with a call's first piece. llama.cpp and others repeat them with each: the same ones say nothing new. */
function readToolName(
  call: JsonObject,
  index: number,
  tools: Choice["tools"],
): { id: string; name: string } | undefined {
  const id = readWord(call.id, "tool call id");
  const name = isJsonObject(call.function) ? readWord(call.function.name, "tool name") : undefined;
  const known = tools[index];
  if (known === undefined) {
    if (id === undefined || name === undefined) throw malformed("a tool call begins without its id or its name");
    tools.push({ id, name });
    return { id, name };
  }
  if ((id ?? known.id) !== known.id || (name ?? known.name) !== known.name)
    throw reordered("a tool call changed its id or its name");
  return undefined;
}

function reordered(what: string): UpstreamFault {
  return new UpstreamFault("reordered", `the upstream's answer is out of order: ${what}`);
}
