import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { startNetwork } from "../network.ts";
import { interruptions } from "./interrupted.ts";

vi.mock("node:fs/promises", async (importOriginal) =>
  (await import("./interrupted.ts")).watched(await importOriginal()),
);
vi.mock("node:fs", async (importOriginal) =>
  (await import("./interrupted.ts")).watchedDirectly(await importOriginal()),
);

test("a first start that is killed after any of its steps is finished by the next, with the origin it may have shown", async () => {
  const root = await mkdtemp(join(tmpdir(), "first-"));
  const models = join(root, "models");
  await mkdir(models);
  const data = join(root, "data");
  let origin: string | undefined;
  const moments = await interruptions(
    data,
    () => origin,
    async () => {
      await using network = await startNetwork({ data, models });
      origin = network.origin;
    },
  );
  // Once the folder is claimed, what follows is appended to a log, whose every step its own test takes.
  const chosen = moments.filter(({ path }, i) => i % 5 === 0 || !isClaimed(path));
  expect(chosen.length).toBeGreaterThan(20);
  for (const { path, step, seen } of chosen) {
    await using network = await startNetwork({ data: path, models }).catch((cause: unknown) => {
      throw new Error(`killed after ${step}`, { cause });
    });
    if (seen !== undefined) expect(network.origin, step).toBe(seen);
    expect(await network.audit(), step).toMatchObject({ findings: [], differences: [], size: 9 });
  }
  await rm(root, { recursive: true });
}, 240_000);

function isClaimed(data: string): boolean {
  const mark = join(data, "tallystick.json");
  return existsSync(mark) && readFileSync(mark, "utf8").includes("origin");
}
