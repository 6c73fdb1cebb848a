import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { STATUS } from "./errors.ts";
import { PROBLEMS } from "./problems.ts";

const PAGE = new URL("../../../../docs/reference/errors.md", import.meta.url);

test("docs/reference/errors.md lists every code, with the status, the meaning and the remedy of its page, and no other", async () => {
  const page = await readFile(PAGE, "utf8");
  const rows = [...page.matchAll(/^\| `([a-z_]+)` +\| (\d+) +\| ([^|]+) \| ([^|]+) \|$/gm)];
  const said = rows.map(([, code, status, ...texts]) => [code, Number(status), ...texts.map((text) => text.trim())]);
  const known = Object.entries(PROBLEMS).map(([code, { meaning, remedy }]) => [code, meaning, remedy]);
  expect(said.map(([code, , ...texts]) => [code, ...texts])).toEqual(known);
  expect(said.map(([code, status]) => [code, status])).toEqual(Object.entries(STATUS));
});
