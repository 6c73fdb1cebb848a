/** The Open Inference Protocol v2 in JSON: requests to calls, answers to responses, manifests to metadata. Pure. */
import {
  DATATYPES,
  type Datatype,
  inputsFault,
  Malformed,
  type Manifest,
  parseHex,
  parseTensorJson,
  TENSOR_RANK,
  TENSORS_PER_CALL,
  type Tensor,
  type TensorJson,
  type TensorSpec,
} from "@tallystick/protocol";
import { z } from "zod";
import { ServiceError } from "../platform/errors.ts";

const name = z.string().min(1).max(128);

const InputTensor = z.strictObject({
  name,
  datatype: z.enum(Object.keys(DATATYPES) as [Datatype]),
  shape: z.array(z.number().int().nonnegative()).max(TENSOR_RANK),
  parameters: z.strictObject({ content_type: z.enum(["base64", "str"]).exactOptional() }).exactOptional(),
  data: z.custom<unknown[]>(Array.isArray, "must be an array"),
});

/** What may stand in `parameters` of a request; each is signed into the authorization. */
const RequestParameters = z.strictObject({
  max_price: z
    .union([z.number().int().nonnegative(), z.string().regex(/^[0-9]{1,20}$/)])
    .refine((price) => BigInt(price) < 1n << 64n, "must be less than 2^64")
    .exactOptional(),
  decision: z
    .string()
    .regex(/^[0-9a-f]{32}$/, "must be 32 digits of lower-case hex")
    .exactOptional(),
  traffic: z.enum(["production", "test", "probe"]).exactOptional(),
});

const InferRequest = z.strictObject({
  id: z.string().max(128).exactOptional(),
  parameters: RequestParameters.exactOptional(),
  inputs: z.array(InputTensor).max(TENSORS_PER_CALL),
  outputs: z.array(z.strictObject({ name })).max(TENSORS_PER_CALL).exactOptional(),
});

/** A request for inference, whichever wire form it came in. */
export type InferenceRequest = {
  id?: string;
  inputs: Tensor[];
  /** The outputs wanted; empty wants all. */
  outputs: string[];
  maxPrice: bigint;
  decision?: Uint8Array;
  traffic: "production" | "test" | "probe";
};

/**
 * Reads the body of `POST /v2/models/{model}/infer`. Throws invalid_request, naming what is wrong and where. With the
 * model's `manifest`, inputs that it does not take are refused before their data are looked at.
 */
export function parseInferRequest(body: unknown, manifest?: Manifest): InferenceRequest {
  const parsed = InferRequest.safeParse(body);
  if (!parsed.success)
    throw new ServiceError("invalid_request", `the request is not one for inference: ${describeIssue(parsed.error)}`);
  const { id, parameters = {}, inputs, outputs = [] } = parsed.data;
  const decision = parameters.decision === undefined ? undefined : parseHex(parameters.decision);
  const names = new Set(inputs.map((input) => input.name));
  if (names.size !== inputs.length) throw new ServiceError("invalid_request", "an input is named twice");
  const fault = manifest === undefined ? undefined : inputsFault(manifest, inputs);
  if (fault !== undefined) throw new ServiceError("invalid_request", fault);
  return {
    inputs: inputs.map(readTensor),
    outputs: outputs.map((output) => output.name),
    maxPrice: BigInt(parameters.max_price ?? 0),
    traffic: parameters.traffic ?? "production",
    ...(id === undefined ? {} : { id }),
    ...(decision === undefined ? {} : { decision }),
  };
}

function describeIssue({ issues }: z.ZodError): string {
  const [issue] = issues;
  if (issue === undefined) return "it is malformed";
  const path = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys")
    return `${issue.keys.join(", ")}${path === "" ? "" : ` in ${path}`} cannot be honoured here: leave it out`;
  return `${path === "" ? "the body" : path}: ${issue.message}`;
}

function readTensor(json: TensorJson): Tensor {
  try {
    return parseTensorJson(json);
  } catch (cause) {
    if (cause instanceof Malformed)
      throw new ServiceError("invalid_request", `the request ${cause.message}`, { cause });
    throw cause;
  }
}

/** `GET /v2/models/{model}`: the inputs are those of the first form; every form stands in `parameters`. */
export function modelMetadata({ name, version, forms, outputs, engine }: Manifest): Record<string, unknown> {
  const plain = (specs: readonly TensorSpec[]) =>
    specs.map(({ name: tensor, datatype, shape }) => ({ name: tensor, datatype, shape }));
  const platform = engine === "judge" ? "onnxruntime_web" : "onnxruntime_node";
  return {
    name,
    versions: [version],
    platform,
    inputs: plain(forms[0] ?? []),
    outputs: plain(outputs),
    parameters: { forms },
  };
}
