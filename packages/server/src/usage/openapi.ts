/** What the OpenAPI document says of usage: the parameters and answers that its routes read and write by. */
import { z } from "zod";
import {
  BadgeQuery,
  Catalogue,
  DayAnswer,
  DayQuery,
  MetricQuery,
  Recomputations,
  RecomputationsQuery,
  UsageAnswer,
} from "./schemas.ts";

const JSON_TYPE = "application/json";
const TEXTS = { "text/csv": { type: "string" }, "application/x-ndjson": { type: "string" } };
const PARQUET = { "application/vnd.apache.parquet": { type: "string", format: "binary" } };

export const USAGE_OPERATIONS = [
  { method: "get", path: "/v1/usage", summary: "All figures of the published log at once, as an audit compares them" },
  {
    method: "get",
    path: "/v1/usage/metrics",
    summary: "The catalogue: every metric, its formula, and how it can be gamed",
    answers: { [JSON_TYPE]: schemaOf(Catalogue) },
  },
  {
    method: "get",
    path: "/v1/usage/days/{day}",
    summary: "A day's document: every metric of it, with its digest and the snapshot that the log has of it",
    parameters: parametersOf(DayQuery),
    answers: { [JSON_TYPE]: schemaOf(DayAnswer) },
  },
  {
    method: "get",
    path: "/v1/usage/days/{day}/receipts.parquet",
    summary: "A closed day's receipts, each in a row",
    parameters: parametersOf(DayQuery),
    answers: PARQUET,
  },
  {
    method: "get",
    path: "/v1/recomputations",
    summary: "Who computed a closed day again from the log, and who came to something else",
    parameters: parametersOf(RecomputationsQuery),
    answers: { [JSON_TYPE]: schemaOf(Recomputations) },
  },
  {
    method: "get",
    path: "/v1/usage/{metric}",
    summary: "One metric over days, by what it is of, its strata side by side",
    parameters: parametersOf(MetricQuery),
    answers: { [JSON_TYPE]: schemaOf(UsageAnswer), ...TEXTS, ...PARQUET },
  },
  {
    method: "get",
    path: "/v1/models/{name}/badge.svg",
    summary: "A model's use as a picture for its readme",
    parameters: parametersOf(BadgeQuery),
    answers: { "image/svg+xml": { type: "string" } },
  },
] as const;

/** The members of a schema as parameters of a query. */
function parametersOf(schema: z.ZodObject): object[] {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: "input" });
  return Object.entries(properties).map(([name, own]) => {
    const { description, ...rest } = typeof own === "object" ? own : {};
    return { name, in: "query", required: required.includes(name), description, schema: rest };
  });
}

/** A schema of zod as OpenAPI 3.1 has it, which is JSON Schema 2020-12. */
function schemaOf(schema: z.ZodType): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input" });
  return rest;
}
