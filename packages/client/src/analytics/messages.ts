/** What an engine's process is asked, and what it replies. */
import type { ClosedRows, Columns, RowOf, WashRules } from "@tallystick/protocol";
import type { QueryLimits } from "./database.ts";
import type { AnalyticsFailure } from "./errors.ts";
import type { Segments } from "./segments.ts";

/** Segments in a folder, and the folder of the log that they are of, as far as it is published there. */
export type SegmentFolder = { log: string; folder: string };

export type Request =
  | { kind: "query"; folder: string; key: string; sql: string; limits: QueryLimits }
  /** Rows as a file, which is made in a folder of its own. */
  | { kind: "parquet"; folder: string; columns: Columns; rows: RowOf<Columns>[]; metadata: Record<string, string> }
  /** Which of those days have their segments, by each set of rules. */
  | ({ kind: "find"; days: { day: string; size: number }[]; rules: readonly WashRules[] } & SegmentFolder)
  /** The segments of one day. */
  | ({ kind: "write"; closed: ClosedRows } & SegmentFolder)
  /** The segments of all days, from the log's first entry on. */
  | ({ kind: "build"; rules: readonly WashRules[] } & SegmentFolder);

export type Reply =
  | { kind: "answered"; result: Uint8Array<ArrayBuffer> }
  | { kind: "written"; bytes: Uint8Array<ArrayBuffer> }
  | { kind: "found"; days: string[] }
  | { kind: "built"; segments: Segments }
  | { kind: "fault"; failure: AnalyticsFailure; message: string };

/** That it is still at it. */
export type Progress = { kind: "progress"; done: number; total: number };
