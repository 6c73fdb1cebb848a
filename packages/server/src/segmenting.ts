/**
 * Closed days as segments: made as their days close, in a process of its own, of how the fold took each day down and of the log's
 * public files; and what is asked of them. Nothing waits for it, and what is lost is made again (docs/operating/analytics.md).
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  AnalyticsError,
  type AnalyticsFailure,
  type Engine,
  openEngine,
  type Segments,
  segmentKey,
  segmentPath,
} from "@tallystick/client/analytics";
import { hex, type RowFold, rulesDigest, type WashRules } from "@tallystick/protocol";
import type { Log } from "./log/service.ts";
import type { Clock } from "./platform/clock.ts";
import { type ErrorCode, ServiceError } from "./platform/errors.ts";
import type { Report } from "./platform/http.ts";

export type SegmentingParts = {
  /** The network's data folder, in which its log lies, and the folder of segments. */
  data: string;
  folder: string;
  log: Pick<Log, "published" | "followPublications">;
  /** The fold, and the closed days whose rows wait to be made: made, they are taken out. */
  rows: RowFold;
  clock: Clock;
  report: Report;
  /** How long after a failure it is tried again. */
  retryMs?: number;
  /** What a question may take. */
  asking?: Parameters<typeof openEngine>[0];
};

export type Segmenting = {
  /**
   * Answers over the segments by the rules of that version or digest, by those that the network judges by where none is named:
   * the JSON of a QueryResult, with these as `rules` and `rules_digest`.
   */
  query(sql: string, rules?: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /** Rows as a Parquet file. Throws a ServiceError. */
  parquet: Engine["parquet"];
  /** The file of a day's receipts by those rules; undefined where none is made yet. Throws where no such rules are kept. */
  findSegment(day: string, rules?: string): string | undefined;
  /** Resolves once every day that is closed and public has its segments, or making them has failed. */
  idle(): Promise<void>;
  close(): Promise<void>;
};

const GIB = 1024 ** 3;
/** A replay has the whole fold in memory, as the network itself has; and a sign of life of a busy machine may take long. */
const BUILD_LIMITS = { timeoutMs: 3_600_000, memoryBytes: 4 * GIB };
const RETRY_MS = 60_000;

const CODES: Record<AnalyticsFailure, ErrorCode> = {
  refused: "invalid_request",
  limit: "invalid_request",
  deadline: "deadline_exceeded",
  missing: "unavailable",
  busy: "unavailable",
  cancelled: "cancelled",
  closed: "unavailable",
  crashed: "internal",
};

export function openSegmenting(parts: SegmentingParts): Segmenting {
  const { data, folder, log, rows, clock, report, retryMs = RETRY_MS } = parts;
  const { fold, closed } = rows;
  const asked = openEngine(parts.asking);
  const scratchFolder = join(data, "usage", "scratch");
  const files = openEngine({ scratchFolder }); // A figure as a file does not wait for what strangers ask.
  const swept = sweep(scratchFolder).catch((error: unknown) =>
    report("files that were left half made are not removed", { error: String(error) }),
  );
  const builder = openEngine(BUILD_LIMITS);
  const place = { log: data, folder };
  const rulesKept = fold.series.map((series) => series.rules);
  let made: ReadonlySet<string> = new Set();
  let building: Promise<void> | undefined;
  let notBeforeMs = 0;
  let retry: NodeJS.Timeout | undefined;
  let isClosed = false;

  /** Days that are closed by what is public. */
  function closedDays(): { day: string; size: number }[] {
    const { size: published } = log.published;
    return [...fold.closedDays.values()]
      .filter(({ size }) => size <= published)
      .map(({ day, size }) => ({ day, size }));
  }

  function due(): string[] {
    const days = closedDays().map(({ day }) => day);
    return days.filter((day) => !made.has(day));
  }

  function keep({ built, kept }: Segments): void {
    const whole = [...built, ...kept];
    made = new Set([...made, ...whole]);
    for (const day of whole) closed.delete(day);
    if (built.length > 0) report("days became segments", { days: built });
  }

  /** Makes what is due: of what was taken down as days closed, and what is missing beside that by a replay. */
  async function makeDue(): Promise<void> {
    // Looked at anew whenever a day closes: what was removed or damaged meanwhile is made again.
    made = new Set(await builder.find(place, closedDays(), rulesKept));
    for (const day of made) closed.delete(day);
    for (const day of due()) {
      const rowsOf = closed.get(day);
      if (rowsOf !== undefined) keep(await builder.write(place, rowsOf));
    }
    const lost = () => due().filter((day) => !closed.has(day));
    if (lost().length > 0) keep(await builder.build(place, rulesKept));
    if (lost().length > 0) throw new Error(`the log's files do not close ${lost().join(", ")}`);
  }

  async function build(): Promise<void> {
    while (due().length > 0 && !isClosed && clock.nowMs() >= notBeforeMs)
      try {
        await makeDue();
      } catch (error) {
        if (isClosed) return;
        notBeforeMs = clock.nowMs() + retryMs;
        report("segments were not made", { error: error instanceof Error ? error.message : String(error) });
        if (error instanceof AnalyticsError && error.failure === "missing") notBeforeMs = Number.POSITIVE_INFINITY;
      }
    if (notBeforeMs === Number.POSITIVE_INFINITY) closed.clear(); // Nobody will ever ask for them.
  }

  function wake(): void {
    clearTimeout(retry);
    building ??= build().finally(() => {
      building = undefined;
      // Where nothing happens nothing is published, which would wake it.
      if (!isClosed && notBeforeMs > clock.nowMs() && Number.isFinite(notBeforeMs))
        retry = setTimeout(wake, retryMs).unref();
    });
  }

  function rulesNamed(name: string | undefined): WashRules {
    const found = rulesKept.find((rules) => name === undefined || rules.version === name || digestOf(rules) === name);
    if (found !== undefined) return found;
    const known = rulesKept.map(({ version }) => version).join(", ");
    throw new ServiceError(
      "not_found",
      `no segments are kept by the rules ${JSON.stringify(name)}: there are ${known}`,
      {
        param: "rules",
      },
    );
  }

  log.followPublications(wake);
  wake();

  return {
    async query(sql, named, signal) {
      const rules = rulesNamed(named);
      const answer = await orRefused(asked.query(folder, segmentKey(rules), sql, signal && { signal }));
      return withMembers(answer, { rules: rules.version, rules_digest: digestOf(rules) });
    },
    async parquet(...file) {
      await swept;
      return orRefused(files.parquet(...file));
    },
    findSegment(day, named) {
      const key = segmentKey(rulesNamed(named));
      return made.has(day) ? segmentPath(folder, day, key) : undefined;
    },
    async idle() {
      wake();
      await building;
    },
    async close() {
      isClosed = true;
      clearTimeout(retry);
      await swept;
      await Promise.all([asked.close(), files.close(), builder.close()]);
      await building;
    },
  };
}

/** An empty folder, whatever a process that was killed has left in it. */
async function sweep(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
}

const digestOf = (rules: WashRules) => hex(rulesDigest(rules));

/** A JSON object with more members, put in where it ends: megabytes of a stranger's making are not read for two names. */
function withMembers(json: Uint8Array, members: Record<string, string>): Uint8Array<ArrayBuffer> {
  return Buffer.concat([json.subarray(0, -1), Buffer.from(`,${JSON.stringify(members).slice(1)}`)]);
}

async function orRefused<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (!(cause instanceof AnalyticsError)) throw cause;
    const { failure, message } = cause;
    // What a crash says may name files of this machine.
    const said = failure === "crashed" ? "the engine could not answer: ask again, or see its operator" : message;
    throw new ServiceError(CODES[failure], said, { cause });
  }
}
