import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { interruptions } from "../../../../test/server/interrupted.ts";
import { writeDurably } from "./files.ts";

vi.mock("node:fs/promises", async (importOriginal) =>
  (await import("../../../../test/server/interrupted.ts")).watched(await importOriginal()),
);
vi.mock("node:fs", async (importOriginal) =>
  (await import("../../../../test/server/interrupted.ts")).watchedDirectly(await importOriginal()),
);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "files-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("killed after any step, a file has its old bytes or its new ones, whole", async () => {
  const own = join(folder, "steps");
  const path = join(own, "deep", "file");
  const moments = await interruptions(
    own,
    () => undefined,
    async () => {
      await writeDurably(path, "old");
      await writeDurably(path, "new");
    },
  );
  const seen: string[] = [];
  for (const moment of moments)
    seen.push(await readFile(join(moment.path, "deep", "file"), "utf8").catch(() => "none"));
  expect(seen.filter((text, i) => text !== seen[i - 1])).toEqual(["none", "old", "new"]);
});

test("files written at once all stand whole, nothing lies beside them, and a secret is its owner's alone", async () => {
  const own = join(folder, "at-once");
  const texts = Array.from({ length: 20 }, (_, i) => `${i}`.repeat(10_000));
  await Promise.all(texts.map((text) => writeDurably(join(own, "one"), text, 0o600)));
  expect(texts).toContain(await readFile(join(own, "one"), "utf8"));
  expect(await readdir(own)).toEqual(["one"]);
  expect((await stat(join(own, "one"))).mode & 0o777).toBe(0o600);
});
