/** The parameters of a question: read by a schema, and where one is wrong, refused in a sentence that names it and what may be there. */
import type { Context } from "hono";
import type { z } from "zod";
import { ServiceError } from "../platform/errors.ts";
import { didYouMean } from "./nearest.ts";
import { Day, DayQuery } from "./schemas.ts";

/** What a schema of zod says is wrong, as far as it is looked at here. */
type Issue = z.core.$ZodIssue;

/** One that is unknown, or there twice, is refused, so that a slip of the pen changes no figure. */
export function readParameters<T extends z.ZodObject>(schema: T, c: Context): z.output<T> {
  const given = c.req.queries();
  const twice = Object.entries(given).find(([, values]) => values.length > 1);
  if (twice !== undefined) throw refused(twice[0], `${twice[0]} is there ${twice[1].length} times: give it once`);
  const read = schema.safeParse(c.req.query());
  if (read.success) return read.data;
  // An unknown name is told first: it may be why another is wrong.
  const { issues } = read.error;
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
  throw issue === undefined ? read.error : refusalOf(issue, Object.keys(schema.shape), given);
}

/** Throws where a path that takes no parameter is asked with one. */
export function refuseParameters(c: Context, instead: string): void {
  const [name] = Object.keys(c.req.queries());
  if (name !== undefined) throw refused(name, `${c.req.path} takes no parameter ${quoted(name)}: ${instead}`);
}

/** The day that a path names, and the rules that it is asked by. */
export function readDay(c: Context): { day: string; rules?: string } {
  const given = c.req.param("day") ?? "";
  const day = Day.safeParse(given);
  if (!day.success) throw refused("day", `a day is one that the calendar has, as 2026-11-22, not ${quoted(given)}`);
  return { day: day.data, ...readParameters(DayQuery, c) };
}

export function refused(param: string, message: string, cause?: unknown): ServiceError {
  return new ServiceError("invalid_request", message, { param, ...(cause === undefined ? {} : { cause }) });
}

function refusalOf(issue: Issue, names: readonly string[], given: Record<string, string[]>): ServiceError {
  if (issue.code === "unrecognized_keys") {
    const [name = ""] = issue.keys;
    const there = names.length === 1 ? `there is ${names[0]}` : `there are ${names.join(", ")}`;
    return refused(name, `there is no parameter ${quoted(name)}: ${there}${didYouMean(name, names)}`);
  }
  const param = String(issue.path[0]);
  const [value = ""] = given[param] ?? [];
  const words = issue.code === "invalid_value" ? issue.values.map(String) : [];
  return refused(param, `${param} ${issue.message}, not ${quoted(value)}${didYouMean(value, words)}`);
}

const SHOWN_MOST = 60;

/** What somebody sent, so that it can be recognised, and no more of it. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > SHOWN_MOST ? `${text.slice(0, SHOWN_MOST)}…` : text);
}
