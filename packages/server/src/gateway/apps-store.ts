/** How often each app called, by day, as the apps say of themselves: in SQLite, never in the log, never ranked on. */
import { type Database, transact } from "../platform/database.ts";
import type { Report } from "../platform/http.ts";
import type { App } from "./attribution.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS apps (
    day INTEGER NOT NULL, payer_tag TEXT NOT NULL, origin TEXT NOT NULL, title TEXT NOT NULL, calls INTEGER NOT NULL,
    PRIMARY KEY (day, payer_tag, origin, title)
  ) STRICT, WITHOUT ROWID;
`;

/** Apps of one account on one day; those past that are counted together, without a name. */
const APPS_A_DAY = 100;
const KEPT_DAYS = 90;
/** Counts are written together this often. */
const FLUSH_MS = 1_000;
/** Counts that wait to be written; where the disk refuses them, no more are taken up. */
const WAITING_MOST = 10_000;
const ROWS_SHOWN = 1_000;

export type AppRow = { day: string; origin: string; title: string; calls: number };

export type Apps = {
  count(payerTag: string, app: App, nowSeconds: number): void;
  /** An account's rows, or those of all accounts together: the newest day first. */
  list(payerTag: string | undefined, nowSeconds: number): AppRow[];
  /** Writes what is not written yet. */
  flush(): void;
};

type Waiting = { day: number; payerTag: string; app: App; calls: number };

export function createApps(database: Database.Database, report: Report): Apps {
  database.exec(SCHEMA);
  const waiting = new Map<string, Waiting>();
  let flushing: NodeJS.Timeout | undefined;
  const selectOne = database.prepare("SELECT 1 FROM apps WHERE day = ? AND payer_tag = ? AND origin = ? AND title = ?");
  const countOf = database.prepare("SELECT count(*) AS count FROM apps WHERE day = ? AND payer_tag = ?");
  const add = database.prepare(
    "INSERT INTO apps VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET calls = calls + excluded.calls",
  );
  const removeOld = database.prepare("DELETE FROM apps WHERE day < ?");
  const columns = "SELECT day, origin, title, sum(calls) AS calls FROM apps";
  const order = `GROUP BY day, origin, title ORDER BY day DESC, origin, title LIMIT ${ROWS_SHOWN}`;
  const selectOwn = database.prepare(`${columns} WHERE day >= ? AND payer_tag = ? ${order}`);
  const selectAll = database.prepare(`${columns} WHERE day >= ? ${order}`);

  function flush(): void {
    clearTimeout(flushing);
    flushing = undefined;
    if (waiting.size === 0) return;
    transact(database, () => {
      for (const { day, payerTag, app, calls } of waiting.values()) {
        const { origin, title } = nameFor(day, payerTag, app);
        add.run([day, payerTag, origin, title, calls]);
        removeOld.run([day - KEPT_DAYS]);
      }
    });
    waiting.clear();
  }

  function nameFor(day: number, payerTag: string, { origin, title }: App): App {
    if (selectOne.get([day, payerTag, origin, title]) !== undefined) return { origin, title };
    const { count } = countOf.get([day, payerTag]) as { count: number };
    return count < APPS_A_DAY ? { origin, title } : { origin: "", title: "" };
  }

  function flushOrKeep(): void {
    try {
      flush();
    } catch (error) {
      report("counts of apps are not written", { count: waiting.size, error: String(error) });
    }
  }

  return {
    count(payerTag, app, nowSeconds) {
      const day = Math.floor(nowSeconds / 86_400);
      const name = JSON.stringify([day, payerTag, app.origin, app.title]);
      const known = waiting.get(name);
      if (known !== undefined) known.calls++;
      else if (waiting.size < WAITING_MOST) waiting.set(name, { day, payerTag, app, calls: 1 });
      flushing ??= setTimeout(flushOrKeep, FLUSH_MS).unref();
    },

    list(payerTag, nowSeconds) {
      flush();
      const first = Math.floor(nowSeconds / 86_400) - KEPT_DAYS;
      const rows = payerTag === undefined ? selectAll.all([first]) : selectOwn.all([first, payerTag]);
      return (rows as { day: number; origin: string; title: string; calls: number }[]).map((row) => ({
        day: new Date(row.day * 86_400_000).toISOString().slice(0, 10),
        origin: row.origin,
        title: row.title,
        calls: row.calls,
      }));
    },

    flush,
  };
}
