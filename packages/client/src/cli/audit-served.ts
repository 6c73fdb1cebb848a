/** What a network shows beside its figures: documents of closed days and rows of metrics, held to what its log comes to. */
import {
  type DayDocument,
  encodeJson,
  findMetric,
  hex,
  Malformed,
  Question,
  ROWS_MOST,
  sha256,
} from "@tallystick/protocol";
import { differencesOf } from "../audit/differences.ts";
import type { AuditedDay } from "../audit/snapshots.ts";
import type { Edges } from "../edges.ts";
import { RefusedError, UnreachableError } from "../errors.ts";
import { createHttp, fieldOf, type Http } from "../http.ts";
import { DAYS_KEPT } from "./audit-day.ts";

/** What an audit saw of what a network shows, and what it left unseen, in words. */
export type Served = { days: string[]; metrics: string[]; notCompared: string[] };

/** The rows that pages and badges show first, by network and by model. */
const METRICS_COMPARED = ["inferences", "payers", "decisions_relied_on", "revenue_net"] as const;

/** Compares what the network at `url` shows of the days in `kept`, and of those that its log has wrong. */
export async function compareServed(
  audited: readonly AuditedDay[],
  kept: ReadonlyMap<string, DayDocument>,
  url: string,
  edges: Edges,
): Promise<{ served: Served; differences: string[] }> {
  const http = createHttp(url, edges);
  const compared = audited.filter(({ day, agrees }) => !agrees || kept.has(day));
  const ask: Ask = (path) => orWithheld(http, path, edges);
  const differences: string[] = [];
  for (const day of compared) differences.push(...(await differencesOfDay(day, kept.get(day.day), ask)));
  const metrics: string[] = [];
  const notCompared: string[] = [];
  for (const id of kept.size === 0 ? [] : METRICS_COMPARED)
    for (const by of ["network", "model"] as const) {
      const found = await differencesOfMetric(id, by, kept, ask);
      if (found === undefined) notCompared.push(`${id} by ${by}, which is more than one answer holds`);
      else metrics.push(`${id} by ${by}`);
      differences.push(...(found ?? []));
    }
  const older = audited.length - compared.length;
  if (older > 0) notCompared.push(`documents of ${older} earlier closed ${older === 1 ? "day" : "days"}`);
  notCompared.push("documents of days that are not closed", "all other rows of metrics", "pages and badges");
  return { served: { days: compared.map(({ day }) => day).sort(), metrics, notCompared }, differences };
}

/** What is served at a path; undefined where there is none of it; or why the network would not show it. */
type Ask = (path: string) => Promise<{ served: unknown } | { withheld: string } | undefined>;

/** The pause before what was refused for lack of room is asked for once more. */
const AGAIN_MS = 2_000;

/** Whoever is audited does not choose what is compared: what it will not show counts as shown wrong. */
async function orWithheld(http: Http, path: string, edges: Pick<Edges, "sleep">, mayAgain = true): ReturnType<Ask> {
  try {
    return { served: await http.json(path) };
  } catch (error) {
    if (error instanceof RefusedError && error.status === 404) return undefined;
    if (!(error instanceof RefusedError || error instanceof UnreachableError)) throw error;
    const isBusy = !(error instanceof RefusedError) || error.status === 429 || error.status === 503;
    if (!isBusy || !mayAgain) return { withheld: error.message };
    await edges.sleep(AGAIN_MS);
    return orWithheld(http, path, edges, false);
  }
}

/** Where what is served of a day is not what it came to: in which figures, where its document is kept. */
async function differencesOfDay(
  { day, result }: AuditedDay,
  kept: DayDocument | undefined,
  ask: Ask,
): Promise<string[]> {
  const answer = await ask(`/v1/usage/days/${day}`);
  if (answer === undefined) return [`${day}: the network serves no document of this day, which its log has closed`];
  if ("withheld" in answer) return [`${day}: the network would not show its document: ${answer.withheld}`];
  const document = fieldOf(answer.served, "document");
  const found: string[] = [];
  if (kept !== undefined) found.push(...differencesOf(kept, document).map((difference) => `${day} ${difference}`));
  else if (digestOf(document) !== result)
    found.push(`${day}: the network serves another document of this day: tally audit --day ${day} says in what`);
  const said = fieldOf(answer.served, "digest");
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

/** Undefined where it is too much for one answer. */
async function differencesOfMetric(
  id: (typeof METRICS_COMPARED)[number],
  by: "network" | "model",
  kept: ReadonlyMap<string, DayDocument>,
  ask: Ask,
): Promise<string[] | undefined> {
  const days = [...kept.keys()].slice(-DAYS_KEPT); // Not an old day that was asked for: the question would be of all between.
  const [from = "", to = ""] = [days[0], days.at(-1)];
  const strata = findMetric(id)?.strata;
  const question = new Question({ metric: id, by, per: "day", from, to, ...(strata === undefined ? {} : { strata }) });
  for (const day of question.daysOf(days))
    question.take(day, kept.get(day)?.groups.filter((group) => group.per === "day" && group.by === by) ?? []);
  const due = question.rows();
  if (due.length > ROWS_MOST) return undefined;
  const answer = await ask(`/v1/usage/${id}?by=${by}&per=day&from=${from}&to=${to}`);
  if (answer === undefined) return [`${id} by ${by}: the network has no figure of it`];
  if ("withheld" in answer) return [`${id} by ${by}: the network would not show it: ${answer.withheld}`];
  const shown = fieldOf(answer.served, "rows");
  const rows = (Array.isArray(shown) ? shown : []).filter((row) => days.includes(String(fieldOf(row, "start"))));
  // What a key is called, and whether a row may change, is no figure.
  const figures = rows.map((row, i) =>
    Object.fromEntries(Object.keys(due[i] ?? row).map((key) => [key, fieldOf(row, key)])),
  );
  return differencesOf(due, figures).map((difference) => `${id} by ${by} ${difference}`);
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
