/** The API as an OpenAPI 3.1 document: docs/reference/openapi.json is it, and `/openapi.json` serves it. */
import { z } from "zod";
import { STATUS } from "../platform/errors.ts";
import { type RefusalShape, refusalShapeOf } from "../platform/refusals.ts";
import type { Caller, Operation } from "./operations.ts";

const [firstCode, ...codes] = Object.keys(STATUS);

const Code = z.enum([firstCode ?? "", ...codes]);

const OpenAiError = z.strictObject({
  message: z.string().describe("For people: what is wrong and what to do."),
  type: z.string().describe("The class that OpenAI's clients know it by."),
  param: z.string().nullable().describe("The parameter or header at fault."),
  code: Code,
  receiptId: z.string().exactOptional().describe("Where the call got as far as a node."),
});

/** How refusals are written, by shape (docs/reference/errors.md). */
const REFUSALS: Readonly<Record<RefusalShape, { name: string; type: string; schema: z.ZodType }>> = {
  problem: {
    name: "Problem",
    type: "application/problem+json",
    schema: z
      .strictObject({
        type: z.string().meta({ format: "uri-reference" }).describe("`/errors#` and the code: for good."),
        title: z.string().describe("The same for every refusal of the type."),
        status: z.int(),
        detail: z.string().describe("For people: what is wrong and what to do."),
        error: OpenAiError,
      })
      .describe("A problem (RFC 9457). docs/reference/errors.md lists the types."),
  },
  openai: {
    name: "Refusal",
    type: "application/json",
    schema: z.strictObject({ error: OpenAiError }).describe("docs/reference/errors.md lists the codes."),
  },
  oip: {
    name: "OipRefusal",
    type: "application/json",
    schema: z.strictObject({ error: z.string(), code: Code, receipt_id: z.string().exactOptional() }),
  },
};

const SECURITY: Readonly<Record<Caller, object>> = {
  key: { type: "http", scheme: "bearer", description: "An API key of an account." },
  operator: { type: "http", scheme: "bearer", description: "The token in keys/admin-token of the data folder." },
  node: {
    type: "http",
    scheme: "bearer",
    description: "The token of nodes, beside a signature by the node's key (RFC 9421).",
  },
  verifier: {
    type: "http",
    scheme: "bearer",
    description: "The token of verifiers, beside a signature by the verifier's key (RFC 9421).",
  },
  signature: {
    type: "apiKey",
    in: "header",
    name: "signature",
    description: "A signature by an enrolled key over the request (RFC 9421).",
  },
};

/** The document, of operations by what they are about. */
export function openApiDocument(version: string, operations: Readonly<Record<string, readonly Operation[]>>): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const [tag, own] of Object.entries(operations))
    for (const operation of own) {
      const { path, method } = operation;
      paths[path] = { ...paths[path], [method]: operationObject(tag, operation) };
    }
  return {
    openapi: "3.1.1",
    info: {
      title: "Tallystick",
      version,
      summary:
        "Inference whose every answer leaves a receipt in one public log, and figures that anybody can recompute.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    tags: Object.keys(operations).map((name) => ({ name })),
    paths,
    components: {
      responses: Object.fromEntries(Object.values(REFUSALS).map((refusal) => [refusal.name, refused(refusal)])),
      securitySchemes: SECURITY,
    },
  };
}

function refused({ type, schema: shape }: (typeof REFUSALS)[RefusalShape]): object {
  const { $schema: _, ...schema } = z.toJSONSchema(shape);
  return { description: "Refused: what is wrong, and what to do.", content: { [type]: { schema } } };
}

function operationObject(tag: string, operation: Operation): object {
  const { method, path, summary, by, body, status = 200 } = operation;
  const { takes = "application/json", gives = "application/json" } = operation;
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  const inPath = names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } }));
  const parameters = [...inPath, ...(operation.parameters ?? [])];
  const answers = operation.answers ?? { [gives]: {} };
  const content = Object.fromEntries(Object.entries(answers).map(([type, schema]) => [type, { schema }]));
  return {
    tags: [tag],
    operationId: operationId(method, path),
    summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(method === "post" ? { requestBody: { content: { [takes]: body === undefined ? {} : { schema: body } } } } : {}),
    ...(by === undefined ? {} : { security: [{ [by]: [] }] }),
    responses: {
      [status]: { description: "Done.", content },
      default: { $ref: `#/components/responses/${REFUSALS[refusalShapeOf(path)].name}` },
    },
  };
}

/** `getV1ModelsName`: a name for clients that are made from the document. */
function operationId(method: string, path: string): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}
