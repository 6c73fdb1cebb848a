/** What a command has of the terminal: where it writes, and whether a person is watching. */
export type Terminal = {
  out(text: string): void;
  err(text: string): void;
  /** Whether progress may be drawn on standard error. */
  isTty: boolean;
  /** How wide what is written on standard output may be; lacks where that is no terminal. */
  columns?: number;
};

/** The command was not given what it needs: exit status 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

export const EXIT = { ok: 0, failure: 1, usage: 2, unverified: 3, inconclusive: 4, network: 5, alarm: 6 } as const;
export type Exit = (typeof EXIT)[keyof typeof EXIT];

/** Rows under their headings, columns as wide as they need be; numbers to the right. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [headings, ...rows].map((row) => row.map((cell) => printable(String(cell))));
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row, line) =>
    row
      .map((cell, column) => {
        const isNumber = typeof rows[Math.max(line - 1, 0)]?.[column] === "number";
        return isNumber ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0);
      })
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

/** What steers a terminal, ends a line or turns the direction of what is read. */
const STEERING = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu;

/** Text of others in one line, which can neither steer the terminal nor turn the direction of what is read. */
export function printable(text: string): string {
  return text.replace(STEERING, " ");
}

/** Lines of others with their CR, LF and tabs. On a terminal nothing else in them steers; a file or a pipe has them as they are. */
export function linesFor({ columns }: Pick<Terminal, "columns">, text: string): string {
  return columns === undefined ? text : text.replace(STEERING, (one) => (/[\r\n\t]/.test(one) ? one : " "));
}

/** A line of JSON. On a terminal what would steer it is escaped, so that it says the same. */
export function jsonFor({ columns }: Pick<Terminal, "columns">, value: unknown): string {
  const text = JSON.stringify(value);
  const escaped = (one: string) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `${columns === undefined ? text : text.replace(STEERING, escaped)}\n`;
}

const WIPE = "\r\x1b[K";

/** Awaits `work`; where that takes over a second and a person watches, a line says so, and is wiped when it is done. */
export async function waiting<T>({ err, isTty }: Terminal, what: string, work: Promise<T>): Promise<T> {
  if (!isTty) return work;
  let seconds = 0;
  const timer = setInterval(() => err(`${WIPE}${printable(what)} … ${++seconds} s`), 1_000);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    if (seconds > 0) err(WIPE);
  }
}

/** A time as a person says it, to the second, or to the minute where it is many. */
function duration(seconds: number): string {
  return seconds < 120 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}

/** A progress line that is drawn only for what takes over a second, and wiped when it is done. */
export function createProgress(
  { err, isTty }: Terminal,
  what: string,
  nowMs: () => number,
): { update(done: number, total: number): void; end(): void } {
  const started = nowMs();
  let drawn = 0;
  return {
    update(done, total) {
      const now = nowMs();
      if (!isTty || now - started < 1_000 || now - drawn < 100) return;
      drawn = now;
      const filled = total === 0 ? 0 : Math.floor((24 * done) / total);
      const perSecond = (1_000 * done) / (now - started);
      const pace = `${Math.round(perSecond)}/s, ${duration((total - done) / perSecond)} left`;
      err(`${WIPE}${what} [${"#".repeat(filled)}${" ".repeat(24 - filled)}] ${done} of ${total}, ${pace}`);
    },
    end() {
      if (drawn > 0) err(WIPE);
      drawn = 0;
    },
  };
}
