/** Which calls a model takes: what it does not is refused before it costs anybody anything, and before anybody signs it. */
import {
  type Call,
  chatOfResponse,
  inputsFault,
  type JsonCall,
  type JsonObject,
  Malformed,
  type Manifest,
  type PublishedModel,
  type TensorCall,
} from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";

/** What of a body the model's engine cannot honour; a response is asked about as the chat that it stands for. */
export type JsonFault = (
  model: PublishedModel,
  operation: "chat" | "completion" | "embedding",
  body: JsonObject,
) => { message: string; param: string } | undefined;

/** Throws invalid_request where `model` does not take the call. */
export function refuseCall(model: PublishedModel, call: Call, jsonFault: JsonFault): void {
  if (call.operation === "infer") refuseTensors(model.manifest, call);
  else refuseJson(model, call, jsonFault);
}

function refuseTensors(manifest: Manifest, { inputs, outputs }: TensorCall): void {
  if (manifest.forms.length === 0)
    throw new ServiceError("invalid_request", `${manifest.name} takes no tensors: ask it by /v1/chat/completions`);
  const fault = inputsFault(manifest, inputs) ?? outputsFault(manifest, outputs);
  if (fault !== undefined) throw new ServiceError("invalid_request", fault);
}

function outputsFault({ name, outputs }: Manifest, wanted: readonly string[]): string | undefined {
  const known = outputs.map((output) => output.name);
  const unknown = wanted.find((output) => !known.includes(output));
  if (unknown !== undefined)
    return `${name} has no output "${unknown}", but ${known.map((one) => `"${one}"`).join(", ")}`;
  return new Set(wanted).size < wanted.length ? "an output is named twice" : undefined;
}

function refuseJson(model: PublishedModel, { operation, body }: JsonCall, jsonFault: JsonFault): void {
  const { name, operations = [] } = model.manifest;
  if (!operations.includes(operation)) {
    const offered = operations.length === 0 ? "tensors at /v2/models" : operations.join(", ");
    throw new ServiceError("invalid_request", `${name} does not serve the operation ${operation}, but ${offered}`, {
      param: "model",
    });
  }
  const asked = operation === "response" ? chatOrRefuse(body) : body;
  const fault = jsonFault(model, operation === "response" ? "chat" : operation, asked);
  if (fault !== undefined) throw new ServiceError("invalid_request", fault.message, { param: fault.param });
}

function chatOrRefuse(body: JsonObject): JsonObject {
  try {
    return chatOfResponse(body);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new ServiceError("invalid_request", `the request ${cause.message}`, { cause });
  }
}
