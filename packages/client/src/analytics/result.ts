/** An answer to a question, as the one text of JSON that it is from the engine's process to whoever asked. */
import { parseUtf8 } from "@tallystick/protocol";
import { AnalyticsError } from "./errors.ts";

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export type QueryResult = {
  columns: { name: string; type: string }[];
  rows: Json[][];
  /** Whether there were more rows than were asked for. */
  truncated: boolean;
};

type Parts = { columns: Iterable<QueryResult["columns"][number]>; rows: Iterable<Json[]>; truncated: boolean };

/** The JSON of a result, in at most `mostBytes`: columns are the question's too, and as large as it likes. Throws past that. */
export function encodeResult({ columns, rows, truncated }: Parts, mostBytes: number): Uint8Array<ArrayBuffer> {
  const pieces: string[] = [];
  let sizeBytes = 0;
  const add = (piece: string) => {
    sizeBytes += Buffer.byteLength(piece);
    if (sizeBytes > mostBytes)
      throw new AnalyticsError("limit", `the answer is larger than ${mostBytes} bytes: ask for less of it`);
    pieces.push(piece);
  };
  const addAll = (values: Iterable<unknown>) => {
    let separator = "";
    for (const value of values) {
      add(separator + JSON.stringify(value));
      separator = ",";
    }
  };
  add('{"columns":[');
  addAll(columns);
  add('],"rows":[');
  addAll(rows);
  add(`],"truncated":${truncated}}`);
  return new TextEncoder().encode(pieces.join(""));
}

/** Of the bytes of an engine. */
export function parseResult(bytes: Uint8Array): QueryResult {
  return JSON.parse(parseUtf8(bytes) ?? "") as QueryResult;
}
