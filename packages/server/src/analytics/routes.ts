/** Analytics over HTTP: one SELECT asked of closed days' receipts, and each closed day as the Parquet file that it is asked of. */
import { type FileHandle, open, stat } from "node:fs/promises";
import { Hono } from "hono";
import { z } from "zod";
import { ServiceError } from "../platform/errors.ts";
import { readJson } from "../platform/http.ts";

export type AnalyticsParts = {
  /** The JSON of an answer. Throws a ServiceError where the question is refused, or takes too much, or no such rules are kept. */
  query(sql: string, rules?: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /** The file of a closed day's receipts by those rules; undefined where it is not made. */
  findSegment(day: string, rules?: string): string | undefined;
  /** Whether anybody may ask; else the operator alone. */
  isOpen: boolean;
  isAdmin(header: string | undefined): boolean;
};

/** A question of 16,384 characters, as JSON escapes them at worst. */
const QUESTION_BYTES = 131_072;
/** A version's name, or a digest in hex. */
const RULES_LENGTH = 128;
const Question = z.strictObject({ sql: z.string(), rules: z.string().max(RULES_LENGTH).optional() });
const DAY = /^\d{4}-\d{2}-\d{2}$/;

export function analyticsRoutes({ query, findSegment, isOpen, isAdmin }: AnalyticsParts): Hono {
  const app = new Hono();
  app.post("/v1/query", async (c) => {
    if (!isOpen && !isAdmin(c.req.header("authorization")))
      throw new ServiceError(
        "forbidden",
        "only the operator asks here in SQL: send the token in keys/admin-token, or make the segments from the log with tally rows",
      );
    const asked = Question.safeParse(await readJson(c, QUESTION_BYTES));
    if (!asked.success)
      throw new ServiceError(
        "invalid_request",
        'a query is {"sql": "select …"}, and "rules" where they are other ones',
        {
          param: "sql",
        },
      );
    const answer = await query(asked.data.sql, asked.data.rules, c.req.raw.signal);
    return c.body(answer, 200, { "content-type": "application/json" });
  });
  app.get("/v1/usage/days/:day/receipts.parquet", async (c) => {
    const day = c.req.param("day");
    if (!DAY.test(day))
      throw new ServiceError("invalid_request", `a day is written as 2026-11-22, not ${JSON.stringify(day)}`, {
        param: "day",
      });
    const path = findSegment(day, c.req.query("rules"));
    const found = path && (await stat(path).catch(() => undefined)); // Gone: it is made again as the next day closes.
    if (!path || !found)
      throw new ServiceError("not_found", `no receipts of ${day} as a file: a day has one soon after it is closed`);
    const headers = { "content-type": "application/vnd.apache.parquet", "content-length": String(found.size) };
    return c.body(streamOf(path), 200, headers);
  });
  return app;
}

const CHUNK_BYTES = 65_536;

/** A file, opened once somebody reads it and read as fast as it is taken. */
function streamOf(path: string): ReadableStream<Uint8Array> {
  let file: FileHandle | undefined;
  const source = {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      file ??= await open(path);
      const { bytesRead, buffer } = await file.read(new Uint8Array(CHUNK_BYTES), 0, CHUNK_BYTES);
      if (bytesRead > 0) controller.enqueue(buffer.subarray(0, bytesRead));
      else {
        await file.close();
        controller.close();
      }
    },
    cancel: () => file?.close(),
  };
  return new ReadableStream(source, { highWaterMark: 0 });
}
