import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../../test/folder.ts";
import { readMetadata } from "./database.ts";
import { openEngine } from "./engine.ts";
import { parseResult } from "./result.ts";

/** Rules of which there is no segment. */
const KEY = "0123456789abcdef";
const FOREVER = "SELECT count(*) FROM range(1000000000000) a(i) WHERE i % 7 = 3";

test("a question that takes too long ends with its process, and the next one is answered by another", async () => {
  await using folder = await temporaryFolder();
  const engine = openEngine({ timeoutMs: 60_000 });
  try {
    const endless = engine.query(folder.path, KEY, FOREVER, { timeoutMs: 1_000 });
    const next = engine.query(folder.path, KEY, "SELECT count(*) FROM receipts");
    await expect(endless).rejects.toMatchObject({ failure: "limit", message: /more than 1000 ms/ });
    expect(parseResult(await next).rows).toEqual([[0]]);
  } finally {
    await engine.close();
  }
});

test("a question that takes too much memory ends with its process", async () => {
  await using folder = await temporaryFolder();
  const engine = openEngine({ memoryBytes: 300 * 1024 * 1024, timeoutMs: 60_000 });
  try {
    const large = engine.query(folder.path, KEY, "SELECT repeat('x', 400000000)");
    await expect(large).rejects.toMatchObject({ failure: "limit", message: /300 MiB/ });
  } finally {
    await engine.close();
  }
});

test("questions that wait are bounded, and what waits when an engine is closed fails", async () => {
  await using folder = await temporaryFolder();
  const engine = openEngine({ pending: 2 });
  const waiting = [engine.query(folder.path, KEY, FOREVER), engine.query(folder.path, KEY, FOREVER)];
  await expect(engine.query(folder.path, KEY, "SELECT 1")).rejects.toMatchObject({ failure: "busy" });
  const ended = Promise.allSettled(waiting);
  await engine.close();
  expect((await ended).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});

test("rows become a Parquet file that says what it is of", async () => {
  await using folder = await temporaryFolder();
  const engine = openEngine({ timeoutMs: 60_000 });
  try {
    const columns = { key: "text", value: "integer" } as const;
    const checkpoint = "log.example\n3\nAAAA\n\n— it's signed\n";
    const bytes = await engine.parquet(columns, [{ key: "a", value: 1 }], { "tallystick.checkpoint": checkpoint });
    expect(new TextDecoder().decode(bytes.subarray(0, 4))).toBe("PAR1");
    const path = join(folder.path, "rows.parquet");
    await writeFile(path, bytes);
    expect((await readMetadata(path)).get("tallystick.checkpoint")).toBe(checkpoint);
    expect((await readdir(folder.path)).length).toBe(1);
  } finally {
    await engine.close();
  }
});

test("of eight heavy questions at once those that may not wait are refused at once, and each of the others ends at its own time", async () => {
  await using folder = await temporaryFolder();
  const engine = openEngine({ pending: 5, timeoutMs: 60_000 });
  try {
    const asked = Array.from({ length: 8 }, () => engine.query(folder.path, KEY, FOREVER, { timeoutMs: 500 }));
    const failures = (await Promise.allSettled(asked)).map((one) => one.status === "rejected" && one.reason.failure);
    expect(failures).toEqual([...Array(5).fill("limit"), ...Array(3).fill("busy")]);
    expect(parseResult(await engine.query(folder.path, KEY, "SELECT 1")).rows).toEqual([[1]]);
  } finally {
    await engine.close();
  }
});

test("a question whose asker is gone ends, whether it is being answered or waits", async () => {
  await using folder = await temporaryFolder();
  const engine = openEngine({ timeoutMs: 600_000 });
  const gone = new AbortController();
  try {
    const asked = [1, 2, 3].map(() => engine.query(folder.path, KEY, FOREVER, { signal: gone.signal }));
    const ended = Promise.allSettled(asked);
    const next = engine.query(folder.path, KEY, "SELECT 1");
    gone.abort();
    expect((await ended).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(parseResult(await next).rows).toEqual([[1]]);
  } finally {
    await engine.close();
  }
});
