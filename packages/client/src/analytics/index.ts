/** Analytics over a log's receipts: segments made of it, and questions asked of them. Wants `@duckdb/node-api`. */
export { readMetadata } from "./database.ts";
export { ENGINE_LIMITS, type Engine, openEngine } from "./engine.ts";
export { AnalyticsError, type AnalyticsFailure } from "./errors.ts";
export { QUERY_LENGTH } from "./guard.ts";
export { parseResult, type QueryResult } from "./result.ts";
export { querySegments, segmentPath } from "./segment-database.ts";
export { buildSegments, type Segments, segmentKey, writeDay } from "./segments.ts";
