/** The process of an engine: what takes too long or too much there is ended with it, and it has neither keys nor a network. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseCheckpoint } from "@tallystick/protocol";
import { openFolderSource } from "../cli/folder-source.ts";
import { type LogTree, openTree } from "../log/tree.ts";
import { loadDuckdb, writeParquet } from "./database.ts";
import { AnalyticsError } from "./errors.ts";
import type { Progress, Reply, Request } from "./messages.ts";
import { querySegments } from "./segment-database.ts";
import { buildSegments, findSegments, writeDay } from "./segments.ts";

async function answer(request: Request): Promise<Reply> {
  await loadDuckdb();
  tell(0, 0); // The time of a question begins here: that of a start is nobody's fault.
  switch (request.kind) {
    case "query":
      return {
        kind: "answered",
        result: await querySegments(request.folder, request.key, request.sql, request.limits),
      };
    case "parquet":
      return { kind: "written", bytes: await parquetOf(request) };
    case "find": {
      const days = await findSegments(await treeOf(request.log), request.folder, request.days, request.rules, tell);
      return { kind: "found", days };
    }
    case "write": {
      const { closed, folder } = request;
      const isBuilt = await writeDay(await treeOf(request.log), folder, closed);
      return { kind: "built", segments: { built: isBuilt ? [closed.day] : [], kept: isBuilt ? [] : [closed.day] } };
    }
    case "build": {
      const tree = await treeOf(request.log);
      return { kind: "built", segments: await buildSegments(tree, request.folder, tell, request.rules) };
    }
  }
}

/** The tree of the operator's own log: what it signed itself it believes. */
async function treeOf(folder: string): Promise<LogTree> {
  const source = await openFolderSource(folder);
  return openTree(source, parseCheckpoint(await source.checkpoint()));
}

async function parquetOf(request: Request & { kind: "parquet" }): Promise<Uint8Array<ArrayBuffer>> {
  const path = join(request.folder, "rows.parquet");
  await writeParquet(path, request);
  return new Uint8Array(await readFile(path));
}

function tell(done: number, total: number): void {
  const progress: Progress = { kind: "progress", done, total };
  process.send?.(progress);
}

process.on("message", async (request: Request) => {
  const reply = await answer(request).catch((error: unknown): Reply => {
    const failure = error instanceof AnalyticsError ? error.failure : "crashed";
    return { kind: "fault", failure, message: error instanceof Error ? error.message : String(error) };
  });
  process.send?.(reply);
});
