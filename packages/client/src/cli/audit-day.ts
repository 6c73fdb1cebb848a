/** The closed days of an audit: what each came to, and the documents of those that are looked at. */
import { type DayDocument, METRICS } from "@tallystick/protocol";
import type { AuditedDay } from "../audit/snapshots.ts";
import { table, UsageError } from "./terminal.ts";

export type DayOptions = { day?: string; model?: string };

/** So many of the days that closed last are compared with what a network shows of them. */
export const DAYS_KEPT = 7;

/** What an audit keeps of the documents that it is shown: those of the last days, and of the day that is asked for. */
export type KeptDocuments = {
  onDocument(document: DayDocument): void;
  onRestart(): void;
  /** By day, in order. */
  all(): ReadonlyMap<string, DayDocument>;
};

export function keepDocuments({ day: asked }: DayOptions): KeptDocuments {
  let kept = new Map<string, DayDocument>();
  return {
    onDocument(document) {
      const days = [...kept.set(document.day, document)].sort(([a], [b]) => (a < b ? -1 : 1));
      kept = new Map(days.filter(([day], i) => day === asked || i >= days.length - DAYS_KEPT));
    },
    onRestart() {
      kept = new Map();
    },
    all: () => kept,
  };
}

/** Throws a UsageError where `--day` is none that a calendar has. */
export function checkDay({ day }: DayOptions): void {
  if (day === undefined || isDay(day)) return;
  throw new UsageError(`--day takes a day as 2026-11-22, not ${JSON.stringify(day)}`);
}

function isDay(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(`${text}T`);
}

/** The document that `--day` and `--model` ask for: of that day or else the last closed one, and of a model its rows alone. */
export function documentFor({ day, model }: DayOptions, kept: ReadonlyMap<string, DayDocument>) {
  if (day === undefined && model === undefined) return undefined;
  const document = day === undefined ? [...kept.values()].at(-1) : kept.get(day);
  if (document === undefined)
    throw new UsageError(
      day === undefined ? "no day of this log is closed yet" : `${day} is not a day that this log has closed`,
    );
  return model === undefined ? document : ofModel(document, model);
}

/** `called` is a name, which may have several revisions, or a revision. */
function ofModel(document: DayDocument, called: string): DayDocument {
  const models = Object.entries(document.models).filter(
    ([revision, { name }]) => called === name || called === revision,
  );
  if (models.length === 0) throw new UsageError(`${document.day} has no figure of a model ${JSON.stringify(called)}`);
  const revisions = new Set(models.map(([revision]) => revision));
  const groups = document.groups.flatMap((group) => {
    const rows = Object.entries(group.rows).filter(([key]) => group.by === "model" && revisions.has(key));
    return rows.length === 0 ? [] : [{ ...group, rows: Object.fromEntries(rows) }];
  });
  return { ...document, models: Object.fromEntries(models), groups };
}

/** The figures of the day itself, of the network or of a model, strata side by side. */
export function documentText({ day, rules, groups, models }: DayDocument): string {
  const whole = groups.filter(({ per, by }) => per === "day" && by === "network");
  const own = whole.length > 0 ? whole : groups.filter(({ per, by }) => per === "day" && by === "model");
  const parts = own.flatMap(({ rows: byKey }) =>
    Object.entries(byKey).map(([key, row]) => {
      const named = models[key];
      const head = key === "" ? `${day}, by ${rules}` : `${day}, ${named?.name} ${named?.version}, by ${rules}`;
      const lines = METRICS.flatMap(({ id, unit }) => {
        const quad = row[id];
        return quad === undefined ? [] : [[id, ...quad.map((value) => value ?? ""), unit]];
      });
      return `${head}\n${table(["METRIC", "GROSS", "VALID", "ORGANIC", "FLOOR", "UNIT"], lines)}`;
    }),
  );
  return `${parts.join("\n")}\n`;
}

/** The closed days, each with what its snapshot comes to. */
export function daysText(days: readonly AuditedDay[]): string {
  if (days.length === 0) return "closed days     none yet\n";
  const rows = days.map(({ day, size, result, snapshot, agrees }) => [
    day,
    size,
    result.slice(0, 16),
    snapshot === null ? "none" : `entry ${snapshot.index}`,
    agrees ? (snapshot === null ? "due" : "the same") : "DIFFERS",
  ]);
  return table(["CLOSED DAY", "ENTRIES", "RESULT", "SNAPSHOT", "OUTCOME"], rows);
}
