/** Figures by stratum as plots of a terminal: bars whose shades are the strata, and lines of blocks over time. No colour. */
import { type DemandStratum, STRATA } from "@tallystick/protocol";
import { printable } from "./terminal.ts";

/** A text is money, in digits; `null` is nothing to show. */
export type PlotValue = number | string | null;
export type PlotRow = { start: string; key: string } & Partial<Record<DemandStratum, PlotValue>>;

/** What is sure is darkest: a stratum is drawn over those that it is part of. */
const SHADES: Readonly<Record<DemandStratum, string>> = { gross: "░", valid: "▒", organic: "▓", floor: "█" };
const BLOCKS = "▁▂▃▄▅▆▇█";
const WIDTH_LEAST = 30;
const BAR_LEAST = 6;
const KEY_LONGEST = 32;
const COLUMN_LEAST = 5;

/** Which shade is which, for the foot of a plot. */
export function legend(strata: readonly DemandStratum[]): string {
  return strata.map((stratum) => `${SHADES[stratum]} ${stratum}`).join("   ");
}

/** One row each, named by `nameOf`: a bar of its strata and their figures beside it. Where it is narrow, the bar goes first. */
export function barPlot<R extends PlotRow>(
  rows: readonly R[],
  { strata, nameOf, width }: { strata: readonly DemandStratum[]; nameOf(row: R): string; width: number },
): string {
  const highest = highestOf(rows, strata);
  return laidOut({
    ...{ strata, width, names: rows.map(nameOf) },
    figures: rows.map((row) => strata.map((stratum) => figureText(row[stratum] ?? null))),
    draw: (i, room) => barOf(rows[i], { strata, highest, width: room }),
  });
}

type Layout = {
  strata: readonly DemandStratum[];
  width: number;
  names: readonly string[];
  figures: readonly (readonly string[])[];
  /** What is said above what is drawn, where that needs words. */
  heading?: string;
  /** What stands between the name of row `i` and its figures, where there is `room` for it. */
  draw(i: number, room: number): string;
};

/** Names to the left, figures to the right beneath the names of their strata, and what is drawn in the room that is left. */
function laidOut({ strata, width, names, figures, heading = "", draw }: Layout): string {
  const room = Math.max(width, WIDTH_LEAST);
  const columns = strata.map((stratum, i) =>
    Math.max(stratum.length, COLUMN_LEAST, ...figures.map((texts) => texts[i]?.length ?? 0)),
  );
  const figuresWidth = columns.reduce((sum, column) => sum + column + 1, 0);
  const longest = Math.max(1, ...names.map(lengthOf));
  const nameWidth = Math.min(longest, KEY_LONGEST, Math.max(8, room - figuresWidth));
  const drawnWidth = room - nameWidth - figuresWidth - 1;
  const line = (name: string, drawn: string, texts: readonly string[]) => {
    const cells = texts.map((text, i) => text.padStart(columns[i] ?? 0)).join(" ");
    return `${cut(name, nameWidth)} ${drawnWidth < BAR_LEAST ? "" : `${drawn.padEnd(drawnWidth)} `}${cells}`.trimEnd();
  };
  const lines = names.map((name, i) => line(name, draw(i, Math.max(0, drawnWidth)), figures[i] ?? []));
  return `${[line("", heading, strata), ...lines].join("\n")}\n`;
}

/** Every stratum over time as a line of blocks, all to one scale; periods that have no room share a block, by their mean. */
export function linePlot(
  rows: readonly PlotRow[],
  { strata, width }: { strata: readonly DemandStratum[]; width: number },
): string {
  const room = Math.max(width, WIDTH_LEAST);
  const highest = highestOf(rows, strata);
  const nameWidth = Math.max(...strata.map(({ length }) => length));
  const last = rows.at(-1);
  const valueWidth = Math.max(...strata.map((stratum) => figureText(last?.[stratum] ?? null).length));
  const lineWidth = Math.min(rows.length, room - nameWidth - valueWidth - 2);
  const lines = strata.map((stratum) => {
    const amounts = resample(
      rows.map((row) => amountOf(row[stratum] ?? null)),
      lineWidth,
    );
    const blocks = amounts.map((amount) => blockOf(amount, highest)).join("");
    return `${stratum.padEnd(nameWidth)} ${blocks} ${figureText(last?.[stratum] ?? null).padStart(valueWidth)}`;
  });
  return `${lines.join("\n")}\n`;
}

/** Each key over time as a line of blocks of its surest stratum, and the figures of its last period beside it. */
export function trendPlot<R extends PlotRow>(
  rows: readonly R[],
  { strata, nameOf, width }: { strata: readonly DemandStratum[]; nameOf(row: R): string; width: number },
): string {
  const drawn = strata.includes("organic") ? "organic" : (strata.at(-1) ?? "gross");
  const starts = [...new Set(rows.map(({ start }) => start))];
  const byKey = new Map<string, Map<string, R>>();
  for (const row of rows) byKey.set(row.key, (byKey.get(row.key) ?? new Map<string, R>()).set(row.start, row));
  const highest = highestOf(rows, [drawn]);
  const lines = [...byKey.values()].map((own) => {
    const last = [...own.values()].at(-1);
    const amounts = starts.map((start) => amountOf(own.get(start)?.[drawn] ?? (own.has(start) ? null : 0)));
    return { last, amounts, name: last === undefined ? "" : nameOf(last) };
  });
  const figures = lines.map(({ last }) => strata.map((stratum) => figureText(last?.[stratum] ?? null)));
  return laidOut({
    ...{ strata, width, figures, names: lines.map(({ name }) => name), heading: drawn },
    draw: (i, room) =>
      resample(lines[i]?.amounts ?? [], room)
        .map((amount) => blockOf(amount, highest))
        .join(""),
  });
}

function barOf(
  row: PlotRow | undefined,
  { strata, highest, width }: { strata: readonly DemandStratum[]; highest: number; width: number },
): string {
  const cells: string[] = [];
  for (const stratum of STRATA.filter((one) => strata.includes(one))) {
    const amount = amountOf(row?.[stratum] ?? null) ?? 0;
    const length = amount <= 0 || highest <= 0 ? 0 : Math.max(1, Math.round((amount / highest) * width));
    for (let i = 0; i < length; i++) cells[i] = SHADES[stratum];
  }
  return cells.join("");
}

function blockOf(amount: number | undefined, highest: number): string {
  if (amount === undefined) return " ";
  if (amount <= 0 || highest <= 0) return BLOCKS[0] ?? "";
  return BLOCKS[Math.min(7, Math.max(1, Math.round((amount / highest) * 7)))] ?? "";
}

/** As many amounts as there is room for, each the mean of those that it stands for. */
function resample(amounts: readonly (number | undefined)[], width: number): (number | undefined)[] {
  if (amounts.length <= width) return [...amounts];
  return Array.from({ length: width }, (_, i) => {
    const [from, to] = [i, i + 1].map((at) => Math.floor((at * amounts.length) / width));
    const some = amounts.slice(from, to).filter((amount) => amount !== undefined);
    return some.length === 0 ? undefined : some.reduce((sum, amount) => sum + amount, 0) / some.length;
  });
}

function highestOf(rows: readonly PlotRow[], strata: readonly DemandStratum[]): number {
  return rows.reduce(
    (most, row) => strata.reduce((own, stratum) => Math.max(own, amountOf(row[stratum] ?? null) ?? 0), most),
    0,
  );
}

/** For drawing alone: what is exact is its text. */
function amountOf(value: PlotValue): number | undefined {
  if (value === null) return undefined;
  const amount = Number(value);
  return Number.isFinite(amount) ? amount : undefined;
}

const COUNT = new Intl.NumberFormat("en-US", { maximumFractionDigits: 3 });

/** `12,345`, `0.25`, `–`. */
export function figureText(value: PlotValue): string {
  if (value === null) return "–";
  if (typeof value === "number") return COUNT.format(value);
  return /^-?[0-9]+$/.test(value) ? COUNT.format(BigInt(value)) : printable(value);
}

const lengthOf = (text: string) => [...printable(text)].length;

/** The text at exactly that width; of one that is too long the end, which tells models of one publisher apart. */
function cut(text: string, width: number): string {
  const letters = [...printable(text)];
  return letters.length <= width
    ? letters.join("") + " ".repeat(width - letters.length)
    : `…${letters.slice(letters.length - width + 1).join("")}`;
}
