import { mkdir, readdir, readlink, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../../test/folder.ts";
import { errorResponse } from "../platform/http.ts";
import { analyticsRoutes } from "./routes.ts";

const PATH = "/v1/usage/days/2026-11-22/receipts.parquet";

function serving(path: string) {
  const app = analyticsRoutes({
    query: async () => new Uint8Array(),
    findSegment: () => path,
    isOpen: true,
    isAdmin: () => false,
    readDay: (c) => ({ day: c.req.param("day") ?? "" }),
  });
  app.onError((error, c) => errorResponse(c, error, () => {}));
  return app;
}

/** How many descriptors of this process are of `path`. */
async function openCount(path: string): Promise<number> {
  const found = await readdir("/proc/self/fd");
  const targets = await Promise.all(found.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")));
  return targets.filter((target) => target === path).length;
}

test("a segment's length is that of the file that is sent, and one that is gone is not found", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "segment");
  await writeFile(path, Buffer.alloc(200_000, 7));
  const response = await serving(path).request(PATH);
  await rm(path);
  expect(response.headers.get("content-length")).toBe("200000");
  expect((await response.arrayBuffer()).byteLength).toBe(200_000);
  expect((await serving(path).request(PATH)).status).toBe(404);
});

test.skipIf(process.platform !== "linux")("a file is closed whatever becomes of its answer", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "segment");
  const app = serving(path);
  await writeFile(path, Buffer.alloc(200_000, 7));
  const left = (await app.request(PATH)).body?.getReader();
  await left?.read();
  await left?.cancel();
  expect((await app.request(PATH, { method: "HEAD" })).headers.get("content-length")).toBe("200000");
  await (await app.request(PATH)).arrayBuffer();
  expect(await openCount(path)).toBe(0);
  await rm(path);
  await mkdir(path); // It opens, and every read of it fails.
  await expect((await app.request(PATH)).arrayBuffer()).rejects.toThrow("EISDIR");
  expect(await openCount(path)).toBe(0);
});
