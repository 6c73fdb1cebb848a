/** OpenAI's Responses as chat completions, which engines speak: requests one way, answers the other (docs/spec/call.md). */
import { Malformed } from "../cbor/bytes.ts";
import { isJsonObject, type Json, type JsonObject } from "../json/canonical.ts";

/** The chat completion that asks the same as a response's body. Throws Malformed, naming what chat cannot say. */
export function chatOfResponse(body: JsonObject): JsonObject {
  const { input, instructions, max_output_tokens, text, tools, tool_choice, reasoning, ...rest } = body;
  const { top_logprobs, include, ...kept } = rest;
  const messages = typeof input === "string" ? [{ role: "user", content: input }] : messagesOf(input);
  const system = typeof instructions === "string" ? [{ role: "system", content: instructions }] : [];
  const { format, verbosity } = membersOf("text", text, ["format", "verbosity"]);
  const { effort } = membersOf("reasoning", reasoning, ["effort"]);
  const wantsLogprobs = isPresent(include) && includesLogprobs(include);
  if (isPresent(top_logprobs) && !wantsLogprobs)
    throw new Malformed(`has top_logprobs, which are told where include has ${JSON.stringify(LOGPROBS)}`);
  return {
    ...Object.fromEntries(Object.entries(kept).filter(([name, value]) => !asksNothing(name, value))),
    messages: [...system, ...messages],
    ...(isPresent(max_output_tokens) ? { max_completion_tokens: max_output_tokens } : {}),
    ...(isJsonObject(format) ? formatOf(format) : {}),
    ...(isPresent(verbosity) ? { verbosity } : {}),
    ...(Array.isArray(tools) ? { tools: tools.map(toolOf) } : {}),
    ...(isPresent(tool_choice) ? { tool_choice: toolChoiceOf(tool_choice) } : {}),
    ...(isPresent(effort) ? { reasoning_effort: effort } : {}),
    ...(wantsLogprobs ? { logprobs: true, ...(isPresent(top_logprobs) ? { top_logprobs } : {}) } : {}),
  };
}

/** What a response says by default of a server that remembers: nothing of it is asked of an engine. */
const DEFAULTS: Record<string, Json> = { background: false, truncation: "disabled" };

function asksNothing(name: string, value: Json | undefined): boolean {
  return !isPresent(value) || (name in DEFAULTS && DEFAULTS[name] === value);
}

function isPresent(value: Json | undefined): value is Json {
  return value !== undefined && value !== null;
}

/** The members of an object that a response may ask with; another is refused by its name, since nothing would come of it. */
function membersOf(name: string, value: Json | undefined, known: readonly string[]): JsonObject {
  if (!isPresent(value)) return {};
  if (!isJsonObject(value)) throw new Malformed(`has a ${name} that is no object`);
  const other = Object.keys(value).find((member) => isPresent(value[member]) && !known.includes(member));
  if (other !== undefined) throw new Malformed(`has ${name}.${other}, which is not offered here`);
  return value;
}

const LOGPROBS = "message.output_text.logprobs";

function includesLogprobs(include: Json): boolean {
  if (!Array.isArray(include)) throw new Malformed("has an include that is no list");
  const other = include.find((wanted) => wanted !== LOGPROBS);
  if (other !== undefined) throw new Malformed(`includes ${JSON.stringify(other)}, which is not offered here`);
  return include.length > 0;
}

function messagesOf(input: Json | undefined): JsonObject[] {
  if (!Array.isArray(input)) throw new Malformed("has an input that is neither a text nor a list of items");
  const messages: JsonObject[] = [];
  for (const item of input) {
    if (!isJsonObject(item)) throw new Malformed("has an input item that is no object");
    const last = messages.at(-1);
    if (item.type === "function_call") {
      const call = {
        id: item.call_id ?? "",
        type: "function",
        function: { name: item.name ?? "", arguments: item.arguments ?? "" },
      };
      // Calls that were made together stand together.
      if (last?.role === "assistant" && Array.isArray(last.tool_calls)) last.tool_calls.push(call);
      else messages.push({ role: "assistant", content: null, tool_calls: [call] });
    } else if (item.type === "function_call_output")
      messages.push({ role: "tool", tool_call_id: item.call_id ?? "", content: item.output ?? "" });
    else if (item.type === undefined || item.type === "message")
      messages.push({ role: item.role ?? "user", content: contentOf(item.content) });
    else throw new Malformed(`has an input item of type ${JSON.stringify(item.type)}, which is not offered here`);
  }
  return messages;
}

function contentOf(content: Json | undefined): Json {
  if (!Array.isArray(content)) return content ?? "";
  const parts = content.map((part): JsonObject => {
    if (!isJsonObject(part)) throw new Malformed("has a part of a message that is no object");
    if (part.type === "input_text" || part.type === "output_text") return { type: "text", text: part.text ?? "" };
    if (part.type === "input_image" && typeof part.image_url === "string") {
      const detail = isPresent(part.detail) ? { detail: part.detail } : {};
      return { type: "image_url", image_url: { url: part.image_url, ...detail } };
    }
    throw new Malformed(`has a part of type ${JSON.stringify(part.type)}, which is not offered here`);
  });
  // What is text alone is said as text: engines that take no parts take it too.
  return parts.every(({ type }) => type === "text") ? parts.map(({ text }) => text).join("") : parts;
}

function formatOf(format: JsonObject): JsonObject {
  if (format.type !== "json_schema")
    return format.type === "text" ? {} : { response_format: { type: format.type ?? "" } };
  const { type: _, ...schema } = format;
  return { response_format: { type: "json_schema", json_schema: schema } };
}

function toolOf(tool: Json): JsonObject {
  if (!isJsonObject(tool) || tool.type !== "function")
    throw new Malformed("has a tool that is no function: only functions of the caller's own are offered here");
  const { type: _, ...called } = tool;
  return { type: "function", function: called };
}

function toolChoiceOf(choice: Json): Json {
  return isJsonObject(choice) && choice.type === "function"
    ? { type: "function", function: { name: choice.name ?? "" } }
    : choice;
}

/** The output and the status of a response, in its canonical form, from the one choice of a chat answer. */
export function responseOfChat(answer: JsonObject): JsonObject {
  const [choice] = Array.isArray(answer.choices) ? answer.choices : [];
  if (!isJsonObject(choice) || !isJsonObject(choice.message))
    throw new Malformed("has no choice to make a response of");
  const { content, refusal, reasoning_content, tool_calls } = choice.message;
  const logprobs = isJsonObject(choice.logprobs) ? choice.logprobs.content : undefined;
  const parts: JsonObject[] = [];
  if (typeof content === "string" && (content !== "" || tool_calls === undefined))
    parts.push({ type: "output_text", text: content, annotations: [], ...(isPresent(logprobs) ? { logprobs } : {}) });
  if (typeof refusal === "string") parts.push({ type: "refusal", refusal });
  const output: JsonObject[] = [];
  if (typeof reasoning_content === "string")
    output.push({ type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: reasoning_content }] });
  if (parts.length > 0) output.push({ type: "message", role: "assistant", content: parts });
  for (const call of Array.isArray(tool_calls) ? tool_calls : []) {
    if (!isJsonObject(call) || !isJsonObject(call.function)) continue;
    const { name = "", arguments: given = "" } = call.function;
    output.push({ type: "function_call", call_id: call.id ?? "", name, arguments: given });
  }
  const cut = { length: "max_output_tokens", content_filter: "content_filter" }[String(choice.finish_reason)];
  return cut === undefined
    ? { output, status: "completed" }
    : { output, status: "incomplete", incomplete_details: { reason: cut } };
}
