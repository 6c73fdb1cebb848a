/** The SDK: what an application uses. */
export { type Audit, type AuditOptions, auditLog } from "./audit/audit.ts";
export type { Finding } from "./audit/findings.ts";
export { fetchSource, type LogSource } from "./audit/source.ts";
export { type Answer, type Client, type ClientOptions, createClient, type InferOptions } from "./client.ts";
export { type Edges, systemEdges } from "./edges.ts";
export { RefusedError, UnreachableError, UnverifiedError } from "./errors.ts";
export { createInputs } from "./inputs.ts";
export { createKey, openKey } from "./keys.ts";
export type { Model, ModelRow } from "./models.ts";
