import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { closeDatabase, openDatabase } from "../platform/database.ts";
import { createApps } from "./apps-store.ts";
import { appOf, trafficOf } from "./attribution.ts";

const NOW = 20_000 * 86_400;
const [MINE, OTHER] = ["00".repeat(16), "11".repeat(16)];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "apps-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("of a referer only the origin is kept, and of a title only what can be shown", () => {
  expect(appOf("https://app.example/users/7?token=secret#x", "My app")).toEqual({
    origin: "https://app.example",
    title: "My app",
  });
  const titles = {
    "  a \u001b[31m\u202e b\n": "a [31m b",
    "naïve – ok ✓": "naïve – ok ✓",
    [`${"é".repeat(99)}`]: "é".repeat(64),
  };
  for (const [given, kept] of Object.entries(titles)) expect(appOf(undefined, given)?.title).toBe(kept);
  for (const referer of ["file:///etc/passwd", "data:text/html,x", "no url", `https://${"a.".repeat(100)}example`])
    expect(appOf(referer, undefined)).toBe(undefined);
  expect(appOf("https://user:password@app.example:8443/x", undefined)?.origin).toBe("https://app.example:8443");
});

test("traffic is production unless it is declared to be something else that there is", () => {
  expect([undefined, "production", "test", "probe"].map(trafficOf)).toEqual([
    "production",
    "production",
    "test",
    "probe",
  ]);
  for (const wrong of ["", "Test", "shadow"]) expect(() => trafficOf(wrong)).toThrow(/one of production, test, probe/);
});

test("apps are counted by day and account, also over a restart, and an account sees its own", () => {
  const database = openDatabase(join(folder, "counts"));
  const apps = createApps(database, () => {});
  const app = { origin: "https://a.example", title: "A" };
  for (const [payerTag, nowSeconds] of [
    [MINE, NOW],
    [MINE, NOW + 5],
    [OTHER, NOW],
    [MINE, NOW + 86_400],
  ] as const)
    apps.count(payerTag, app, nowSeconds);
  apps.flush();
  const again = createApps(database, () => {});
  again.count(MINE, app, NOW);
  const row = (day: string, calls: number) => ({ day, ...app, calls });
  expect(again.list(MINE, NOW)).toEqual([row("2024-10-05", 1), row("2024-10-04", 3)]);
  expect(again.list(OTHER, NOW)).toEqual([row("2024-10-04", 1)]);
  expect(again.list(undefined, NOW)).toEqual([row("2024-10-05", 1), row("2024-10-04", 4)]);
  expect(again.list(MINE, NOW + 91 * 86_400)).toEqual([row("2024-10-05", 1)]);
  closeDatabase(database);
});

test("an account that names an app a call has a hundred of them a day, and the rest without a name", () => {
  const database = openDatabase(join(folder, "bounded"));
  const apps = createApps(database, () => {});
  for (let i = 0; i < 500; i++) apps.count(MINE, { origin: "", title: `app ${i}` }, NOW);
  apps.count(OTHER, { origin: "", title: "one" }, NOW);
  const rows = apps.list(MINE, NOW);
  expect(rows).toHaveLength(101);
  expect(rows.find(({ title }) => title === "")?.calls).toBe(400);
  expect(apps.list(OTHER, NOW)).toHaveLength(1);
  apps.count(MINE, { origin: "", title: "app 7" }, NOW);
  expect(apps.list(MINE, NOW).find(({ title }) => title === "app 7")?.calls).toBe(2);
  closeDatabase(database);
});

test("where the disk refuses, what waits is bounded", () => {
  const database = openDatabase(join(folder, "full"));
  const apps = createApps(database, () => {});
  database.pragma(`max_page_count = ${(database.pragma("page_count") as { page_count: number }[])[0]?.page_count}`);
  for (let i = 0; i < 11_000; i++) apps.count(hexTag(i), { origin: "", title: "x".repeat(60) }, NOW);
  expect(() => apps.flush()).toThrow(expect.objectContaining({ code: "unavailable" }));
  database.pragma("max_page_count = 100000");
  apps.flush();
  expect(apps.list(undefined, NOW)).toMatchObject([{ calls: 10_000 }]);
  closeDatabase(database);
});

const hexTag = (i: number) => i.toString(16).padStart(32, "0");
