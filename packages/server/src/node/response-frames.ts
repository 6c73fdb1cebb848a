/** The events of a streamed response (OpenAI's Responses API), each named and numbered; the last but none holds the receipt. */
import { isJsonObject, type JsonObject, RECEIPT_CLOSERS, responseUsage, type TokenUsage } from "@tallystick/protocol";
import type { FrameWriter, Heading } from "./frames.ts";
import type { Delta, ToolCallDelta } from "./generation.ts";

/** An item of the output that is being told. */
type OpenCall = { kind: "function_call"; id: string; at: number; callId: string; name: string; text: string };
type Open =
  | { kind: "message"; id: string; at: number; part: "output_text" | "refusal"; text: string }
  | OpenCall
  | { kind: "reasoning"; id: string; at: number; text: string };

/** The frames of a response. `asked` is the request's body, parts of which a response repeats. */
export function createResponseWriter(heading: Heading, asked: JsonObject): FrameWriter {
  const { receiptId, model, createdSeconds } = heading;
  let sequence = 0;
  /** The text or the reasoning that is being told. */
  let open: Exclude<Open, OpenCall> | undefined;
  /** Calls of tools, by their index: a piece of each may be told in turn, so that they stay open to the end. */
  const calls = new Map<number, OpenCall>();
  let items = 0;
  let begun = false;

  const event = (type: string, says: JsonObject) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...says })}\n\n`;
  const head = (status: string, output: JsonObject[], more: JsonObject = {}) =>
    responseObject({ receiptId, model, createdSeconds }, asked, { status, output, ...more });

  function begin(): string[] {
    if (begun) return [];
    begun = true;
    const response = head("in_progress", []);
    return [event("response.created", { response }), event("response.in_progress", { response })];
  }

  function add(item: Open): string[] {
    const frames = close(open);
    open = item.kind === "function_call" ? undefined : item;
    frames.push(event("response.output_item.added", { output_index: item.at, item: itemOf(item, "in_progress") }));
    if (item.kind === "message")
      frames.push(event("response.content_part.added", { ...placeOf(item), part: partOf({ ...item, text: "" }) }));
    return frames;
  }

  /** Says that an item is whole. */
  function close(item: Open | undefined): string[] {
    if (item === undefined) return [];
    const frames: string[] = [];
    const place = placeOf(item);
    if (item.kind === "message") {
      const said = item.part === "refusal" ? { refusal: item.text } : { text: item.text, logprobs: [] };
      frames.push(event(`response.${item.part}.done`, { ...place, ...said }));
      frames.push(event("response.content_part.done", { ...place, part: partOf(item) }));
    } else if (item.kind === "function_call")
      frames.push(
        event("response.function_call_arguments.done", {
          item_id: item.id,
          output_index: item.at,
          name: item.name,
          arguments: item.text,
        }),
      );
    else frames.push(event("response.reasoning_text.done", { ...place, text: item.text }));
    frames.push(event("response.output_item.done", { output_index: item.at, item: itemOf(item, "completed") }));
    return frames;
  }

  function say(part: "output_text" | "refusal", piece: string, delta: Delta): string[] {
    const frames: string[] = [];
    if (open?.kind !== "message" || open.part !== part) {
      const at = items++;
      frames.push(...add({ kind: "message", id: `msg_${receiptId}_${at}`, at, part, text: "" }));
    }
    if (open?.kind !== "message") return frames;
    open.text += piece;
    const logprobs = part === "output_text" ? { logprobs: delta.logprobs ?? [] } : {};
    frames.push(event(`response.${part}.delta`, { ...placeOf(open), delta: piece, ...logprobs }));
    return frames;
  }

  function reason(piece: string): string[] {
    const frames: string[] = [];
    if (open?.kind !== "reasoning") {
      const at = items++;
      frames.push(...add({ kind: "reasoning", id: `rs_${receiptId}_${at}`, at, text: "" }));
    }
    if (open?.kind !== "reasoning") return frames;
    open.text += piece;
    frames.push(event("response.reasoning_text.delta", { ...placeOf(open), delta: piece }));
    return frames;
  }

  function call({ index, id, name = "", arguments: piece = "" }: ToolCallDelta): string[] {
    const frames: string[] = [];
    let item = calls.get(index);
    if (item === undefined && id !== undefined) {
      const at = items++;
      item = { kind: "function_call", id: `fc_${receiptId}_${at}`, at, callId: id, name, text: "" };
      calls.set(index, item);
      frames.push(...add(item));
    }
    if (item === undefined || piece === "") return frames;
    item.text += piece;
    const place = { item_id: item.id, output_index: item.at };
    frames.push(event("response.function_call_arguments.delta", { ...place, delta: piece }));
    return frames;
  }

  return {
    closers: RECEIPT_CLOSERS.response,
    delta: (delta) => [
      ...begin(),
      ...(delta.reasoning === undefined ? [] : reason(delta.reasoning)),
      ...(delta.content === undefined || delta.content === "" ? [] : say("output_text", delta.content, delta)),
      ...(delta.refusal === undefined ? [] : say("refusal", delta.refusal, delta)),
      ...(delta.toolCalls ?? []).flatMap(call),
    ],
    finish(_, answer, usage: TokenUsage) {
      const frames = [...begin(), ...close(open), ...[...calls.values()].flatMap(close)];
      const { status, output, incomplete_details } = withIds(answer, receiptId);
      const details = incomplete_details === undefined ? {} : { incomplete_details };
      const response = head(String(status), Array.isArray(output) ? output.filter(isJsonObject) : [], {
        ...details,
        usage: responseUsage(usage),
      });
      return [...frames, event(`response.${status === "incomplete" ? "incomplete" : "completed"}`, { response })];
    },
    after: () => [],
  };
}

function placeOf(item: Open): JsonObject {
  return { item_id: item.id, output_index: item.at, content_index: 0 };
}

function partOf({ part, text }: Open & { kind: "message" }): JsonObject {
  return part === "refusal" ? { type: "refusal", refusal: text } : { type: "output_text", text, annotations: [] };
}

function itemOf(item: Open, status: "in_progress" | "completed"): JsonObject {
  const { id } = item;
  if (item.kind === "message") {
    const content = status === "completed" ? [partOf(item)] : [];
    return { id, type: "message", status, role: "assistant", content };
  }
  if (item.kind === "function_call")
    return { id, type: "function_call", status, call_id: item.callId, name: item.name, arguments: item.text };
  const content = status === "completed" ? [{ type: "reasoning_text", text: item.text }] : [];
  return { id, type: "reasoning", status, summary: [], content };
}

const PREFIXES: Record<string, string> = { message: "msg", function_call: "fc", reasoning: "rs" };

/** A canonical response with the ids and states that its items have on the wire. */
export function withIds(answer: JsonObject, receiptId: string): JsonObject {
  const output = (Array.isArray(answer.output) ? answer.output : []).filter(isJsonObject).map((item, at) => ({
    id: `${PREFIXES[String(item.type)] ?? "item"}_${receiptId}_${at}`,
    status: "completed",
    ...item,
  }));
  return { ...answer, output };
}

/** The object of a response, with the fields that clients expect of it. */
export function responseObject(
  { receiptId, model, createdSeconds }: Heading,
  asked: JsonObject,
  own: JsonObject,
): JsonObject {
  const told = (name: string, otherwise: JsonObject[string]) => asked[name] ?? otherwise;
  return {
    id: `resp_${receiptId}`,
    object: "response",
    created_at: createdSeconds,
    error: null,
    incomplete_details: null,
    instructions: told("instructions", null),
    max_output_tokens: told("max_output_tokens", null),
    metadata: told("metadata", {}),
    model,
    parallel_tool_calls: told("parallel_tool_calls", true),
    previous_response_id: null,
    reasoning: told("reasoning", { effort: null, summary: null }),
    store: told("store", false),
    temperature: told("temperature", 1),
    text: told("text", { format: { type: "text" } }),
    tool_choice: told("tool_choice", "auto"),
    tools: told("tools", []),
    top_p: told("top_p", 1),
    truncation: "disabled",
    usage: null,
    ...own,
  };
}
