/**
 * What the daemon tells its operator, a line each on standard error: events, and every request it answered. Never content,
 * never a key, nobody's address or name.
 */
import type { Clock } from "./clock.ts";
import type { Report } from "./http.ts";

export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ["json", "text"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Tells of one request, in OpenTelemetry's attribute names. */
export type RequestLog = (level: LogLevel, attributes: Record<string, unknown>) => void;

export type Logging = {
  report: Report;
  request: RequestLog;
  /** Writes what is not written yet. */
  flush(): void;
};

export type LoggingOptions = { format: LogFormat; level: LogLevel; clock: Clock; write(text: string): void };

/** Lines of requests that are written together: as many as one turn of the event loop answers, and no more than this. */
const LINES_TOGETHER = 1_000;

export function createLogging({ format, level, clock, write }: LoggingOptions): Logging {
  const most = LOG_LEVELS.indexOf(level);
  let lines: string[] = [];
  let flushing: NodeJS.Immediate | undefined;

  function flush(): void {
    if (flushing !== undefined) clearImmediate(flushing);
    flushing = undefined;
    if (lines.length > 0) write(lines.join(""));
    lines = [];
  }

  function add(of: LogLevel, event: string, detail: Record<string, unknown>): void {
    if (LOG_LEVELS.indexOf(of) > most) return;
    const time = new Date(clock.nowMs()).toISOString();
    lines.push(
      format === "json"
        ? `${JSON.stringify({ event, time, level: of, ...detail })}\n`
        : `${time} ${of} ${event}${textOf(detail)}\n`,
    );
  }

  return {
    flush,

    report(event, detail) {
      add(event === "internal error" ? "error" : "warn", event, detail);
      flush();
    },

    request(of, attributes) {
      add(of, "request", attributes);
      if (lines.length >= LINES_TOGETHER) flush();
      else if (lines.length > 0) flushing ??= setImmediate(flush);
    },
  };
}

function textOf(detail: Record<string, unknown>): string {
  return Object.entries(detail)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${/^[^\s"=]+$/.test(String(value)) ? value : JSON.stringify(value)}`)
    .join("");
}
