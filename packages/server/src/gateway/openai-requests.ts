/**
 * OpenAI's requests as they come over HTTP: their shape is checked here, member by member; whether a model can honour them is
 * its engine's to say. What is signed is what was sent: nothing is dropped and nothing is put in.
 */
import { isJsonObject, type JsonObject, type JsonOperation } from "@tallystick/protocol";
import { z } from "zod";
import { ServiceError } from "../platform/errors.ts";

const MESSAGES = 4_096;
const PARTS = 1_024;
const TOOLS = 128;

const text = z.string();
const count = z.number().int().min(1);
const part = z.looseObject({ type: z.string() });
const content = z.union([text, z.array(part).max(PARTS)]);
const toolCall = z.looseObject({
  id: text,
  type: z.literal("function"),
  function: z.looseObject({ name: text, arguments: text }),
});

const message = z.discriminatedUnion("role", [
  z.looseObject({ role: z.enum(["system", "developer", "user"]), content }),
  z.looseObject({
    role: z.literal("assistant"),
    content: content.nullish(),
    tool_calls: z.array(toolCall).max(TOOLS).nullish(),
  }),
  z.looseObject({ role: z.literal("tool"), content, tool_call_id: text }),
]);

const sampling = {
  model: text.min(1).max(256),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  n: count.max(128).nullish(),
  stop: z.union([text, z.array(text).max(16)]).nullish(),
  seed: z.number().int().nullish(),
  max_tokens: count.nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z.record(z.string(), z.number().min(-100).max(100)).nullish(),
  user: text.max(512).nullish(),
};

const functionTool = z.looseObject({
  type: z.literal("function"),
  function: z.looseObject({ name: text.min(1).max(64), parameters: z.looseObject({}).nullish() }),
});

const PROMPTS = 2_048;
const tokens = z.array(z.number().int().min(0)).min(1);
/** A text, or a prompt in tokens; or many, all of one of the two kinds. */
const prompts = z.union([text, z.array(text).min(1).max(PROMPTS), tokens, z.array(tokens).min(1).max(PROMPTS)]);

const SHAPES: Record<JsonOperation, z.ZodType> = {
  chat: z.looseObject({
    ...sampling,
    messages: z.array(message).min(1).max(MESSAGES),
    max_completion_tokens: count.nullish(),
    logprobs: z.boolean().nullish(),
    top_logprobs: z.number().int().min(0).max(20).nullish(),
    response_format: z.looseObject({ type: z.enum(["text", "json_object", "json_schema"]) }).nullish(),
    tools: z.array(functionTool).max(TOOLS).nullish(),
    tool_choice: z.union([z.enum(["none", "auto", "required"]), z.looseObject({})]).nullish(),
    parallel_tool_calls: z.boolean().nullish(),
    metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
    store: z.boolean().nullish(),
  }),
  completion: z.looseObject({
    ...sampling,
    prompt: prompts,
    suffix: text.nullish(),
    echo: z.boolean().nullish(),
    best_of: count.max(128).nullish(),
    logprobs: z.number().int().min(0).max(20).nullish(),
  }),
  embedding: z.looseObject({
    model: text.min(1).max(256),
    input: prompts,
    encoding_format: z.enum(["float", "base64"]).nullish(),
    dimensions: count.nullish(),
    user: text.max(512).nullish(),
  }),
  response: z.looseObject({
    model: text.min(1).max(256),
    input: z.union([text, z.array(z.looseObject({})).max(MESSAGES)]),
    instructions: text.nullish(),
    stream: z.boolean().nullish(),
    stream_options: z.looseObject({}).nullish(),
    max_output_tokens: count.nullish(),
    temperature: z.number().min(0).max(2).nullish(),
    top_p: z.number().min(0).max(1).nullish(),
    top_logprobs: z.number().int().min(0).max(20).nullish(),
    tools: z
      .array(z.looseObject({ type: z.string() }))
      .max(TOOLS)
      .nullish(),
    tool_choice: z.union([z.enum(["none", "auto", "required"]), z.looseObject({})]).nullish(),
    text: z.looseObject({ format: z.looseObject({ type: z.string() }).nullish() }).nullish(),
    metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
    store: z.boolean().nullish(),
  }),
};

/** A request of OpenAI's: its body as it was sent, and what of it says how the answer travels. */
export type OpenAiRequest = {
  operation: JsonOperation;
  body: JsonObject;
  /** Of the body as it came. */
  sizeBytes: number;
  model: string;
  stream: boolean;
  /** Whether a stream's usage comes in a frame of its own. */
  includeUsage: boolean;
  encoding: "float" | "base64";
};

/** Reads a request. Throws invalid_request, naming the member at fault. */
export function parseOpenAiRequest(operation: JsonOperation, body: unknown, sizeBytes: number): OpenAiRequest {
  const parsed = SHAPES[operation].safeParse(body);
  if (!isJsonObject(body)) throw new ServiceError("invalid_request", "the body is a JSON object with a model in it");
  if (!parsed.success) throw refusalOf(parsed.error);
  const { stream, stream_options: options, encoding_format, store } = body;
  if (isJsonObject(options) && stream !== true)
    throw new ServiceError("invalid_request", "stream_options go with stream: true", { param: "stream_options" });
  if (operation === "response") refuseStateful(body);
  if (store === true && operation === "completion")
    throw new ServiceError("invalid_request", "completions are not stored: leave store out", { param: "store" });
  return {
    operation,
    body,
    sizeBytes,
    model: String(body.model),
    stream: stream === true,
    includeUsage: isJsonObject(options) && options.include_usage === true,
    encoding: encoding_format === "base64" ? "base64" : "float",
  };
}

/** What a response can ask of a server that remembers conversations; this one remembers none. */
function refuseStateful(body: JsonObject): void {
  for (const name of ["previous_response_id", "conversation", "prompt", "max_tool_calls"])
    if (body[name] !== undefined && body[name] !== null)
      throw new ServiceError("invalid_request", `${name} is not offered here: send the whole conversation as input`, {
        param: name,
      });
  if (body.n !== undefined && body.n !== null)
    throw new ServiceError("invalid_request", "a response is one answer: leave n out", { param: "n" });
  if (body.background === true)
    throw new ServiceError("invalid_request", "background is not offered here: wait for the answer, or stream it", {
      param: "background",
    });
  if (body.truncation !== undefined && body.truncation !== null && body.truncation !== "disabled")
    throw new ServiceError("invalid_request", "truncation is not offered here: send what the model can read", {
      param: "truncation",
    });
}

function refusalOf({ issues }: z.ZodError): ServiceError {
  const [issue] = issues;
  const param = (issue?.path ?? []).reduce<string>(
    (path, step) =>
      typeof step === "number" ? `${path}[${step}]` : path === "" ? String(step) : `${path}.${String(step)}`,
    "",
  );
  const message = `${param === "" ? "the body" : param}: ${issue?.message ?? "is malformed"}`;
  return new ServiceError("invalid_request", message, param === "" ? {} : { param });
}
