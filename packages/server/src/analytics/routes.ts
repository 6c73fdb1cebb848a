/** Analytics over HTTP: one SELECT asked of closed days' receipts, and each closed day as the Parquet file that it is asked of. */
import { type FileHandle, open } from "node:fs/promises";
import { type Context, Hono } from "hono";
import { ServiceError, systemCode } from "../platform/errors.ts";
import { readJson } from "../platform/http.ts";
import { Question } from "./openapi.ts";

export type AnalyticsParts = {
  /** The JSON of an answer. Throws a ServiceError where the question is refused, or takes too much, or no such rules are kept. */
  query(sql: string, rules?: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /** The file of a closed day's receipts by those rules; undefined where it is not made. */
  findSegment(day: string, rules?: string): string | undefined;
  /** Whether anybody may ask; else the operator alone. */
  isOpen: boolean;
  isAdmin(header: string | undefined): boolean;
  /** The day and the rules that a request names. Throws a ServiceError that says what may be there. */
  readDay(c: Context): { day: string; rules?: string };
};

/** A question of 16,384 characters, as JSON escapes them at worst. */
const QUESTION_BYTES = 131_072;

export function analyticsRoutes({ query, findSegment, isOpen, isAdmin, readDay }: AnalyticsParts): Hono {
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
    const { day, rules } = readDay(c);
    const path = findSegment(day, rules);
    const file = path && (await open(path).catch(orNone)); // Gone: it is made again as the next day closes.
    if (!file)
      throw new ServiceError("not_found", `no receipts of ${day} as a file: a day has one soon after it is closed`);
    const sizeBytes = await sizeOf(file);
    const headers = { "content-type": "application/vnd.apache.parquet", "content-length": String(sizeBytes) };
    if (c.req.method !== "HEAD") return c.body(streamOf(file), 200, headers);
    await file.close();
    return c.body(null, 200, headers);
  });
  return app;
}

const CHUNK_BYTES = 65_536;

/** A file, read as fast as it is taken, and closed once it is read, has failed, or nobody reads on. */
function streamOf(file: FileHandle): ReadableStream<Uint8Array> {
  const source = {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      const { bytesRead, buffer } = await orClosed(file, file.read(new Uint8Array(CHUNK_BYTES), 0, CHUNK_BYTES));
      if (bytesRead > 0) return controller.enqueue(buffer.subarray(0, bytesRead));
      await file.close();
      controller.close();
    },
    cancel: () => file.close(),
  };
  return new ReadableStream(source, { highWaterMark: 0 });
}

/** Its length, of a file; a folder has none. */
async function sizeOf(file: FileHandle): Promise<number> {
  return (await orClosed(file, file.stat())).size;
}

/** What comes of it; where it fails, the file is closed, for nobody else will. */
async function orClosed<T>(file: FileHandle, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Instead of what is not there. */
function orNone(error: unknown): undefined {
  if (systemCode(error) !== "ENOENT") throw error;
}
