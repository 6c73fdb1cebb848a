/** Usage over HTTP: figures of the published log, of one metric or of all, and what they are figures of. */
import {
  base64,
  encodeNote,
  type FoldState,
  findMetric,
  findSnapshot,
  hex,
  METRICS,
  parseHex,
  STRATA,
} from "@tallystick/protocol";
import { Hono } from "hono";
import { ServiceError } from "../platform/errors.ts";
import { badgeOf, drawBadge } from "./badge.ts";
import type { Documents } from "./documents.ts";
import { type Format, formatOf, respondIn, TEXT_FORMATS } from "./formats.ts";
import { didYouMean } from "./nearest.ts";
import { quoted, readDay, readParameters, refuseParameters } from "./parameters.ts";
import type { Published } from "./published.ts";
import { answerMetric } from "./query.ts";
import { createRecomputations } from "./recomputations.ts";
import { BadgeQuery, type Catalogue, type DayAnswer, type Meta, queryOf, RecomputationsQuery } from "./schemas.ts";
import { createTurns } from "./turns.ts";

export type UsageRoutes = {
  fold: FoldState;
  published(): Published;
  /** By the rules of that version or digest; undefined where the network keeps none such. */
  documents(rules?: string): Documents | undefined;
  formats?: readonly Format[];
};

export function usageRoutes(parts: UsageRoutes): Hono {
  const { fold, published, formats = TEXT_FORMATS } = parts;
  const app = new Hono();
  const turns = createTurns();

  function documentsBy(rules: string | undefined): Documents {
    const found = parts.documents(rules);
    if (found !== undefined) return found;
    const kept = fold.series.map((series) => series.rules.version);
    const there = `there are figures by ${kept.join(", ")}, or by their digests; else leave it out`;
    throw new ServiceError("not_found", `no rules ${quoted(rules ?? "")}: ${there}`, { param: "rules" });
  }

  /** What figures by these documents are figures of. */
  function metaOf({ rules, rulesDigest, head, timeSeconds: seconds }: Documents, provisional: boolean): Meta {
    const { size, root, note } = head;
    return {
      as_of: seconds === undefined ? null : new Date(seconds * 1000).toISOString(),
      ...{ size, root: base64(root), checkpoint: encodeNote(note) },
      ...{ rules: rules.version, rules_digest: rulesDigest, provisional },
    };
  }

  app.get("/v1/usage", (c) => {
    refuseParameters(c, "one metric is GET /v1/usage/inferences?by=model");
    const {
      figures: all,
      head: { size, root, note },
    } = published();
    const [origin = ""] = note.text.split("\n");
    const closed = new Set(all.closedDays.map(({ day }) => day));
    const openDays = all.days.flatMap(({ day }) => (closed.has(day) ? [] : [day]));
    // Without witnesses no figure is final; with them, those of days that are closed.
    const provisional = all.clock === "log" || openDays.length > 0;
    const meta = { origin, size, root: base64(root), checkpoint: encodeNote(note), provisional, open_days: openDays };
    return c.json({ ...all, meta });
  });

  app.get("/v1/usage/metrics", (c) => {
    refuseParameters(c, "it is the whole catalogue");
    return c.json(CATALOGUE);
  });
  const recomputations = createRecomputations(fold);
  app.get("/v1/recomputations", (c) => c.json(recomputations(readParameters(RecomputationsQuery, c))));

  app.get("/v1/usage/days/:day", async (c) => {
    const { day, rules } = readDay(c);
    const documents = documentsBy(rules);
    const document = await turns.take(() => documents.findText(day));
    if (document === undefined) throw noDay(day, documents);
    const digest = documents.digestOf(day) ?? null;
    const around: Omit<DayAnswer, "document"> = {
      day,
      digest,
      snapshot: snapshotOf(fold, day, documents),
      meta: metaOf(documents, digest === null),
    };
    // The text itself, which may be of megabytes: whoever reads the answer has its digest.
    const body = `${JSON.stringify(around).slice(0, -1)},"document":${document}}`;
    return c.body(body, 200, { "content-type": "application/json" });
  });

  app.get("/v1/usage/:metric", async (c) => {
    const id = c.req.param("metric");
    const metric = findMetric(id);
    if (metric === undefined) throw noMetric(id);
    const query = readParameters(queryOf(metric), c);
    const format = formatOf(c, formats);
    const documents = documentsBy(query.rules);
    const { provisional, ...answer } = await turns.take(() => answerMetric(metric, query, { documents, fold }));
    return respondIn(format, { ...answer, meta: metaOf(documents, provisional) });
  });

  app.get("/v1/models/:name{.+}/badge.svg", async (c) => {
    const name = c.req.param("name");
    const models = [...fold.models.values()];
    const revisions = models.filter(({ manifest }) => manifest.name === name);
    if (revisions.length === 0) {
      const near = didYouMean(
        name,
        models.map(({ manifest }) => manifest.name),
      );
      throw new ServiceError("not_found", `no model ${quoted(name)}: GET /v1/models lists them${near}`);
    }
    const { metric } = readParameters(BadgeQuery, c);
    const model = { name, revisions: revisions.map(({ revision }) => hex(revision)) };
    const badge = await turns.take(() => badgeOf(model, metric, documentsBy(undefined)));
    return c.body(drawBadge(badge), 200, BADGE_HEADERS);
  });

  return app;
}

/** Pages that show many badges ask for each again and again; of another origin, they may do nothing with it but show it. */
const BADGE_HEADERS = {
  "content-type": "image/svg+xml; charset=utf-8",
  "cache-control": "public, max-age=300, stale-while-revalidate=3600",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
  "cross-origin-resource-policy": "cross-origin",
};

const CATALOGUE: Catalogue = {
  metrics: METRICS.map(({ gamedBy, by, per, strata = STRATA, ...metric }) => ({
    ...metric,
    ...{ by: [...by], per: [...per], strata: [...strata], gamed_by: gamedBy },
  })),
};

function noMetric(id: string): ServiceError {
  if (id === "days") return new ServiceError("not_found", "a day is GET /v1/usage/days/2026-11-22");
  const ids = METRICS.map((metric) => metric.id);
  const list = "GET /v1/usage/metrics lists them";
  return new ServiceError("not_found", `no metric ${quoted(id)}: ${list}${didYouMean(id, ids)}`, { param: "metric" });
}

function noDay(day: string, { days }: Documents): ServiceError {
  const [first, last] = [days[0], days.at(-1)];
  const there = first === undefined ? "it has no day yet" : `its days are from ${first} to ${last}`;
  return new ServiceError("not_found", `nothing happened on ${day} in this log: ${there}`, { param: "day" });
}

function snapshotOf(fold: FoldState, day: string, { rulesDigest }: Documents): DayAnswer["snapshot"] {
  const found = findSnapshot(fold, day, parseHex(rulesDigest) ?? new Uint8Array(0));
  if (found === undefined) return null;
  const { index, size, result } = found;
  return { index, size, rules_digest: rulesDigest, result_digest: Buffer.from(result, "latin1").toString("hex") };
}
