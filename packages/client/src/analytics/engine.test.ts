import { mkdir, readdir, writeFile } from "node:fs/promises";
import { getPriority } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../../test/folder.ts";
import { compiled, saidBy } from "../../../../test/own-process.ts";
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
    await expect(endless).rejects.toMatchObject({ failure: "deadline", message: /more than 1000 ms/ });
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
  expect(await ended).toMatchObject(Array(2).fill({ status: "rejected", reason: { failure: "closed" } }));
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
    expect(failures).toEqual([...Array(5).fill("deadline"), ...Array(3).fill("busy")]);
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
    expect(await ended).toMatchObject(Array(3).fill({ status: "rejected", reason: { failure: "cancelled" } }));
    expect(parseResult(await next).rows).toEqual([[1]]);
  } finally {
    await engine.close();
  }
});

test("the folder that a file is made in is gone with it, also where the process is killed while it writes", async () => {
  await using folder = await temporaryFolder();
  const scratchFolder = join(folder.path, "scratch");
  await mkdir(scratchFolder);
  const engine = openEngine({ scratchFolder, timeoutMs: 60_000 });
  const columns = { value: "integer" } as const;
  await engine.parquet(columns, [{ value: 1 }], { a: "b" });
  expect(await readdir(scratchFolder)).toEqual([]);
  const rows = Array.from({ length: 300_000 }, (_, value) => ({ value }));
  const written = expect(engine.parquet(columns, rows, { a: "b" })).rejects.toMatchObject({ failure: "closed" });
  while ((await readdir(scratchFolder, { recursive: true })).length < 1);
  await engine.close();
  await written;
  expect(await readdir(scratchFolder)).toEqual([]);
});

/** What a process of its own says by `script`, in which there is an engine and `ask`. */
const saidWithEngine = (script: string) =>
  saidBy(`
    import { openEngine, parseResult } from ${compiled("client/dist/analytics/index.js")};
    const engine = openEngine({ timeoutMs: 60_000 });
    const ask = () => engine.query("/none", "${KEY}", "SELECT 1").then((json) => parseResult(json).rows, (error) => error.failure);
    ${script}
    await engine.close();
  `);

test.skipIf(process.platform === "win32")(
  "while the system starts no process a question is refused, and the next one is answered once it does",
  async () => {
    const script = `
      const feed = starve();
      const refused = [await ask(), await ask()];
      feed();
      say([...refused, await ask()]);
    `;
    expect(await saidWithEngine(script)).toEqual(["busy", "busy", [[1]]]);
  },
);

test.skipIf(process.platform !== "linux")(
  "an engine's process is never of a higher priority than its parent",
  async () => {
    const scriptAt = (priority: number) => `
    import { readFileSync } from "node:fs";
    import { getPriority, setPriority } from "node:os";
    setPriority(${priority});
    const answer = await ask();
    const child = Number(readFileSync("/proc/self/task/" + process.pid + "/children", "utf8"));
    say([answer, getPriority(child)]);
  `;
    expect(await saidWithEngine(scriptAt(15))).toEqual([[[1]], 15]);
    expect(await saidWithEngine(scriptAt(getPriority()))).toEqual([[[1]], Math.max(getPriority(), 10)]);
  },
);
