/** What a question in SQL is, as its route reads it and the OpenAPI document says it. */
import { z } from "zod";

/** A version's name, or a digest in hex. */
const RULES_LENGTH = 128;

export const Question = z.strictObject({
  sql: z.string().describe("One select over receipts, hours, days, models and metrics."),
  rules: z
    .string()
    .max(RULES_LENGTH)
    .exactOptional()
    .describe("The rules' version or digest; else those that the network judges by."),
});

const Answer = z.strictObject({
  columns: z.array(z.strictObject({ name: z.string(), type: z.string().describe("As DuckDB names it.") })),
  rows: z.array(z.array(z.unknown())).describe("Money, and what no number holds, is a text."),
  truncated: z.boolean().describe("Whether there were more rows."),
  rules: z.string(),
  rules_digest: z.string(),
});

const JSON_TYPE = "application/json";

export const ANALYTICS_OPERATIONS = [
  {
    method: "post",
    path: "/v1/query",
    summary: "Answers one select in SQL over the receipts of closed days",
    by: "operator",
    body: schemaOf(Question),
    answers: { [JSON_TYPE]: schemaOf(Answer) },
  },
] as const;

/** A schema of zod as OpenAPI 3.1 has it, which is JSON Schema 2020-12. */
function schemaOf(schema: z.ZodType): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input" });
  return rest;
}
