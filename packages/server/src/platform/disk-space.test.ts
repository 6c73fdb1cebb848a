import { tmpdir } from "node:os";
import { expect, test, vi } from "vitest";
import { type DiskSpace, isNearlyFull, readDiskSpace, watchDiskSpace } from "./disk-space.ts";

const GIB = 1024 ** 3;

test.each([
  [{ freeBytes: 2 * GIB, sizeBytes: 20 * GIB }, false],
  [{ freeBytes: 2 * GIB - 1, sizeBytes: 4 * GIB }, true],
  [{ freeBytes: 10 * GIB, sizeBytes: 100 * GIB }, false],
  [{ freeBytes: 10 * GIB - 1, sizeBytes: 100 * GIB }, true],
])("%j: nearly full is %s", (space, nearly) => {
  expect(isNearlyFull(space)).toBe(nearly);
});

test("this machine's disk has a size, and no more free than that", async () => {
  const { freeBytes, sizeBytes } = await readDiskSpace(tmpdir());
  expect(sizeBytes).toBeGreaterThan(1024 * 1024);
  expect(freeBytes).toBeLessThanOrEqual(sizeBytes);
});

test("a nearly full disk is reported at the start and at each look, and never once the watch is closed", async () => {
  vi.useFakeTimers();
  try {
    const reported: unknown[] = [];
    let space: DiskSpace = { freeBytes: GIB, sizeBytes: 100 * GIB };
    let looks = 0;
    const watch = watchDiskSpace({
      folder: "/data",
      report: (event, detail) => void reported.push({ event, ...detail }),
      intervalMs: 1000,
      read: async () => {
        if (++looks === 4) throw new Error("gone");
        return space;
      },
    });
    await vi.advanceTimersByTimeAsync(0);
    const nearlyFull = { event: "disk nearly full", folder: "/data", freeBytes: GIB, sizeBytes: 100 * GIB };
    expect(reported).toEqual([nearlyFull]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(reported).toEqual([nearlyFull, nearlyFull]);
    space = { freeBytes: 50 * GIB, sizeBytes: 100 * GIB };
    await vi.advanceTimersByTimeAsync(1000);
    expect(reported).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1000);
    expect(reported[2]).toEqual({ event: "disk space is not known", folder: "/data", error: "Error: gone" });
    await watch.close();
    await vi.advanceTimersByTimeAsync(5000);
    expect(looks).toBe(4);
  } finally {
    vi.useRealTimers();
  }
});
