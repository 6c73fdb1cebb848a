/** The Open Inference Protocol v2: requests to calls, answers to responses, manifests to metadata. Pure. */
import {
  CALL_SIZE_BYTES,
  DATATYPES,
  type Datatype,
  encodeTensorJson,
  inputsFault,
  Malformed,
  type Manifest,
  type PublishedModel,
  parseHex,
  parseTensorJson,
  TENSOR_RANK,
  TENSORS_PER_CALL,
  type Tensor,
  type TensorSpec,
} from "@tallystick/protocol";
import { z } from "zod";
import { ServiceError } from "../platform/errors.ts";

const name = z.string().min(1).max(128);

const InputTensor = z.strictObject({
  name,
  datatype: z.enum(Object.keys(DATATYPES) as [Datatype]),
  shape: z.array(z.number().int().nonnegative()).max(TENSOR_RANK),
  parameters: z
    .strictObject({
      content_type: z.enum(["base64", "str"]).exactOptional(),
      binary_data_size: z.number().int().nonnegative().max(CALL_SIZE_BYTES).exactOptional(),
    })
    .exactOptional(),
  data: z.custom<unknown[]>(Array.isArray, "must be an array").exactOptional(),
});
type InputTensor = z.infer<typeof InputTensor>;

/** What may stand in `parameters` of a request; all but the form of the answer is signed into the authorization. */
const RequestParameters = z.strictObject({
  max_price: z
    .union([z.number().int().nonnegative(), z.string().regex(/^[0-9]{1,20}$/, { abort: true })])
    .refine((price) => BigInt(price) < 1n << 64n, "must be less than 2^64")
    .exactOptional(),
  decision: z
    .string()
    .regex(/^[0-9a-f]{32}$/, "must be 32 digits of lower-case hex")
    .exactOptional(),
  traffic: z.enum(["production", "test", "probe"]).exactOptional(),
  open: z.enum(["none", "lot"]).exactOptional(),
  binary_data_output: z.boolean().exactOptional(),
});

const RequestedOutput = z.strictObject({
  name,
  parameters: z.strictObject({ binary_data: z.boolean().exactOptional() }).exactOptional(),
});

const InferRequest = z.strictObject({
  id: z.string().max(128).exactOptional(),
  parameters: RequestParameters.exactOptional(),
  inputs: z.array(InputTensor).max(TENSORS_PER_CALL),
  outputs: z.array(RequestedOutput).max(TENSORS_PER_CALL).exactOptional(),
});

/** A request for inference, whichever wire form it came in. */
export type InferenceRequest = {
  inputs: Tensor[];
  /** The outputs wanted; empty wants all. */
  outputs: string[];
  maxPrice: bigint;
  decision?: Uint8Array;
  traffic: "production" | "test" | "probe";
  /** Whether a verifier that is drawn for it may see the call and its answer. */
  open: "none" | "lot";
};

/** A request as this protocol has it: with what its response repeats, and in which form it wants each output. */
export type OipRequest = InferenceRequest & { id?: string; wantsBinary(output: string): boolean };

/**
 * Reads the body of `POST /v2/models/{model}/infer`: its JSON, and the bytes behind it where a header said that there are
 * any. Throws invalid_request, naming what is wrong and where. With the model's `manifest`, inputs that it does not take
 * are refused before their data are looked at.
 */
export function parseInferRequest(json: unknown, binary?: Uint8Array, manifest?: Manifest): OipRequest {
  const parsed = InferRequest.safeParse(json);
  if (!parsed.success) throw invalid(`is not one for inference: ${describeIssue(parsed.error)}`);
  const { id, parameters = {}, inputs, outputs = [] } = parsed.data;
  const decision = parameters.decision === undefined ? undefined : parseHex(parameters.decision);
  const names = new Set(inputs.map((input) => input.name));
  if (names.size !== inputs.length) throw new ServiceError("invalid_request", "an input is named twice");
  // A model that takes no tensors at all is refused with its call, which says where to ask it.
  const fault = manifest === undefined || manifest.forms.length === 0 ? undefined : inputsFault(manifest, inputs);
  if (fault !== undefined) throw new ServiceError("invalid_request", fault);
  const forms = new Map(outputs.map((output) => [output.name, output.parameters?.binary_data]));
  return {
    inputs: readTensors(inputs, binary),
    outputs: outputs.map((output) => output.name),
    maxPrice: BigInt(parameters.max_price ?? 0),
    traffic: parameters.traffic ?? "production",
    open: parameters.open ?? "lot",
    wantsBinary: (output) => forms.get(output) ?? parameters.binary_data_output ?? false,
    ...(id === undefined ? {} : { id }),
    ...(decision === undefined ? {} : { decision }),
  };
}

function invalid(what: string, options: { cause?: unknown } = {}): ServiceError {
  return new ServiceError("invalid_request", `the request ${what}`, options);
}

function describeIssue({ issues }: z.ZodError): string {
  const [issue] = issues;
  if (issue === undefined) return "it is malformed";
  const path = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys")
    return `${issue.keys.join(", ")}${path === "" ? "" : ` in ${path}`} cannot be honoured here: leave it out`;
  return `${path === "" ? "the body" : path}: ${issue.message}`;
}

/** The tensors, those in binary over the bytes as they came: `binary` has their data in their order, and nothing else. */
function readTensors(inputs: InputTensor[], binary: Uint8Array | undefined): Tensor[] {
  let at = 0;
  const tensors = inputs.map((input) => {
    const sizeBytes = input.parameters?.binary_data_size;
    if (sizeBytes === undefined) return readJsonTensor(input);
    const { name, datatype, shape } = input;
    if (input.data !== undefined || input.parameters?.content_type !== undefined)
      throw invalid(`has "${name}" in binary and in JSON: with binary_data_size leave out data and content_type`);
    if (binary === undefined)
      throw invalid(
        `has "${name}" with binary_data_size, and no header Inference-Header-Content-Length that says where binary data begin`,
      );
    at += sizeBytes;
    return { name, datatype, shape, data: binary.subarray(at - sizeBytes, at) }; // Held to its shape as a call is encoded.
  });
  const sizeBytes = binary?.length ?? 0;
  if (at !== sizeBytes)
    throw invalid(`has ${sizeBytes} bytes behind its JSON, and inputs whose binary_data_size adds up to ${at}`);
  return tensors;
}

function readJsonTensor({ name, datatype, shape, parameters, data }: InputTensor): Tensor {
  if (data === undefined) throw invalid(`has "${name}" without data: give data, or binary_data_size and bytes`);
  const content = parameters?.content_type;
  try {
    const typed = content === undefined ? {} : { parameters: { content_type: content } };
    return parseTensorJson({ name, datatype, shape, data, ...typed });
  } catch (cause) {
    if (cause instanceof Malformed) throw invalid(cause.message, { cause });
    throw cause;
  }
}

/** What stands before the outputs in a response. Parameters are scalars, as KServe has them. */
export type ResponseHead = {
  model_name: string;
  model_version: string;
  id?: string;
  parameters: Record<string, string | number | boolean>;
};

/** The body of a response: JSON alone, or JSON of so many bytes and the data of outputs behind it. */
export type ResponseBody = { json: string } | { bytes: Uint8Array<ArrayBuffer>; jsonSizeBytes: number };

/** Writes a response: in JSON, or with the data of the outputs that are wanted so in binary behind it, in their order. */
export function encodeInferResponse(
  head: ResponseHead,
  outputs: readonly Tensor[],
  wantsBinary: OipRequest["wantsBinary"],
): ResponseBody {
  const binary: Uint8Array[] = [];
  const listed = outputs.map((tensor) => {
    if (!wantsBinary(tensor.name)) return encodeTensorJson(tensor);
    const { name, datatype, shape, data } = tensor;
    binary.push(data);
    return { name, datatype, shape, parameters: { binary_data_size: data.length } };
  });
  const json = JSON.stringify({ ...head, outputs: listed });
  if (binary.length === 0) return { json };
  const start = Buffer.from(json);
  return { bytes: Buffer.concat([start, ...binary]), jsonSizeBytes: start.length };
}

/** What runs a model, by its engine. */
const PLATFORMS: Record<Manifest["engine"], string> = {
  judge: "onnxruntime_web",
  native: "onnxruntime_node",
  relay: "openai_upstream",
  llama: "llama_cpp",
};

/** `GET /v2/models/{model}`: the inputs are those of the first form; every form stands in `parameters`. */
export function modelMetadata({ name, version, forms, outputs, engine }: Manifest): Record<string, unknown> {
  const plain = (specs: readonly TensorSpec[]) =>
    specs.map(({ name: tensor, datatype, shape }) => ({ name: tensor, datatype, shape }));
  return {
    name,
    versions: [version],
    platform: PLATFORMS[engine],
    inputs: plain(forms[0] ?? []),
    outputs: plain(outputs),
    parameters: { forms },
  };
}

/** A row of `POST /v2/repository/index`. */
export type IndexRow = { name: string; version: string; state: "READY" | "UNAVAILABLE"; reason: string };

/** Every revision there is, in order of name, and whether it can be called. */
export function repositoryIndex(models: Iterable<PublishedModel>, isReady: boolean): IndexRow[] {
  const rows = [...models].map(({ manifest: { name, version }, yanked }) => {
    const reason = yanked ? "withdrawn by its publisher" : isReady ? "" : "the network takes no calls at the moment";
    return { name, version, state: reason === "" ? "READY" : "UNAVAILABLE", reason } as const;
  });
  return rows.sort((a, b) => (a.name === b.name ? 0 : a.name < b.name ? -1 : 1));
}

const IndexRequest = z.strictObject({ ready: z.boolean().exactOptional() });

/** Whether an index is to have only what can be called. Throws invalid_request. */
export function parseIndexRequest(json: unknown): boolean {
  const parsed = IndexRequest.safeParse(json);
  if (!parsed.success) throw invalid(`is not one for the repository's index: ${describeIssue(parsed.error)}`);
  return parsed.data.ready ?? false;
}
