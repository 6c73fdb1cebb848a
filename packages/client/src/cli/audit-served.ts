/** What a network shows beside its figures: documents of closed days and rows of metrics, held to what its log comes to. */
import { type DayDocument, encodeJson, findMetric, hex, Malformed, Question, sha256 } from "@tallystick/protocol";
import { differencesOf } from "../audit/differences.ts";
import type { AuditedDay } from "../audit/snapshots.ts";
import type { Edges } from "../edges.ts";
import { RefusedError } from "../errors.ts";
import { createHttp, fieldOf, type Http } from "../http.ts";
import { DAYS_KEPT } from "./audit-day.ts";

/** What an audit saw of what a network shows, and what it left unseen, in words. */
export type Served = { days: string[]; metrics: string[]; notCompared: string[] };

/** The rows that pages and badges show first, by network and by model. */
const METRICS_COMPARED = ["inferences", "payers", "decisions_relied_on", "revenue_net"] as const;
/** Longer is no document of a day: it would have some tens of thousands of models. */
const ANSWER_SIZE_BYTES = 64 * 1024 * 1024;

/** Compares what the network at `url` shows of the days in `kept`, and of those that its log has wrong. */
export async function compareServed(
  audited: readonly AuditedDay[],
  kept: ReadonlyMap<string, DayDocument>,
  url: string,
  edges: Edges,
): Promise<{ served: Served; differences: string[] }> {
  const http = createHttp(url, edges);
  const compared = audited.filter(({ day, agrees }) => !agrees || kept.has(day));
  const differences: string[] = [];
  for (const day of compared) differences.push(...(await differencesOfDay(day, kept.get(day.day), http)));
  const metrics: string[] = [];
  const notCompared: string[] = [];
  for (const id of METRICS_COMPARED)
    for (const by of ["network", "model"] as const) {
      const found = kept.size === 0 ? undefined : await differencesOfMetric(id, by, kept, http);
      if (found !== undefined) metrics.push(`${id} by ${by}`);
      else if (kept.size > 0) notCompared.push(`${id} by ${by}, which the network refused`);
      differences.push(...(found ?? []));
    }
  const older = audited.length - compared.length;
  if (older > 0) notCompared.push(`documents of ${older} earlier closed ${older === 1 ? "day" : "days"}`);
  notCompared.push("documents of days that are not closed", "all other rows of metrics", "pages and badges");
  return { served: { days: compared.map(({ day }) => day).sort(), metrics, notCompared }, differences };
}

/** Where what is served of a day is not what it came to: in which figures, where its document is kept. */
async function differencesOfDay(
  { day, result }: AuditedDay,
  kept: DayDocument | undefined,
  http: Http,
): Promise<string[]> {
  const answer = await http.json(`/v1/usage/days/${day}`, {}, ANSWER_SIZE_BYTES).catch(undefinedWhereNone);
  if (answer === undefined) return [`${day}: the network serves no document of this day, which its log has closed`];
  const document = fieldOf(answer, "document");
  const found: string[] = [];
  if (kept !== undefined) found.push(...differencesOf(kept, document).map((difference) => `${day} ${difference}`));
  else if (digestOf(document) !== result)
    found.push(`${day}: the network serves another document of this day: tally audit --day ${day} says in what`);
  const said = fieldOf(answer, "digest");
  if (said !== result)
    found.push(`${day} digest: published ${JSON.stringify(said)}, recomputed ${JSON.stringify(result)}`);
  return found;
}

/** SHA-256 of what is served as a document, hex; undefined where it has no canonical spelling. */
function digestOf(served: unknown): string | undefined {
  try {
    return hex(sha256(encodeJson(served)));
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** Undefined where the network refuses to say: it may be too much for one answer. */
async function differencesOfMetric(
  id: (typeof METRICS_COMPARED)[number],
  by: "network" | "model",
  kept: ReadonlyMap<string, DayDocument>,
  http: Http,
): Promise<string[] | undefined> {
  const days = [...kept.keys()].slice(-DAYS_KEPT); // Not an old day that was asked for: the question would be of all between.
  const [from = "", to = ""] = [days[0], days.at(-1)];
  const strata = findMetric(id)?.strata;
  const question = new Question({ metric: id, by, per: "day", from, to, ...(strata === undefined ? {} : { strata }) });
  for (const day of question.daysOf(days))
    question.take(day, kept.get(day)?.groups.filter((group) => group.per === "day" && group.by === by) ?? []);
  let answer: unknown;
  try {
    answer = await http.json(`/v1/usage/${id}?by=${by}&per=day&from=${from}&to=${to}`, {}, ANSWER_SIZE_BYTES);
  } catch (error) {
    if (error instanceof RefusedError && error.status !== 404) return undefined;
    undefinedWhereNone(error);
    return [`${id} by ${by}: the network has no figure of it`];
  }
  const shown = fieldOf(answer, "rows");
  const rows = (Array.isArray(shown) ? shown : []).filter((row) => days.includes(String(fieldOf(row, "start"))));
  const due = question.rows();
  // What a key is called, and whether a row may change, is no figure.
  const figures = rows.map((row, i) =>
    Object.fromEntries(Object.keys(due[i] ?? row).map((key) => [key, fieldOf(row, key)])),
  );
  return differencesOf(due, figures).map((difference) => `${id} by ${by} ${difference}`);
}

function undefinedWhereNone(error: unknown): undefined {
  if (error instanceof RefusedError && error.status === 404) return undefined;
  throw error;
}

/** What was seen and what was not, as lines of a report. */
export function servedText(served: Served | null): string[] {
  if (served === null) return ["served      nothing to compare: a copy of a log shows no figures of its days"];
  const { days, metrics, notCompared } = served;
  const range = days.length === 0 ? "" : `, ${days[0]} to ${days.at(-1)}`;
  return [
    `served      documents of ${days.length} closed ${days.length === 1 ? "day" : "days"}${range}; of them ${metrics.join(", ") || "no metric"}`,
    `not seen    ${notCompared.join("; ")}`,
  ];
}
