import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { STATUS } from "./errors.ts";

const PAGE = new URL("../../../../docs/reference/errors.md", import.meta.url);

test("docs/reference/errors.md lists every code, each with its status, a meaning and a remedy, and no other", async () => {
  const page = await readFile(PAGE, "utf8");
  const rows = [...page.matchAll(/^\| `([a-z_]+)` +\| (\d+) +\| ([^|]+) \| ([^|]+) \|$/gm)];
  expect(rows.map(([, code, status]) => [code, Number(status)])).toEqual(Object.entries(STATUS));
  for (const [, code, , meaning, remedy] of rows) {
    expect(meaning?.trim().length, `what ${code} means`).toBeGreaterThan(20);
    expect(remedy?.trim().length, `what to do about ${code}`).toBeGreaterThan(20);
  }
});
