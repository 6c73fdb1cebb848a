/** How much room a folder's disk has left, and a word to the operator while that is too little. */
import { statfs } from "node:fs/promises";
import type { Report } from "./http.ts";

export type DiskSpace = { freeBytes: number; sizeBytes: number };

/** Below either, a disk is nearly full. */
const FREE_SHARE_LEAST = 0.1;
const FREE_LEAST_BYTES = 2 * 1024 ** 3;

export function isNearlyFull({ freeBytes, sizeBytes }: DiskSpace): boolean {
  return freeBytes < FREE_LEAST_BYTES || freeBytes < FREE_SHARE_LEAST * sizeBytes;
}

/** The room that a process of this user has on the disk of `folder`. */
export async function readDiskSpace(folder: string): Promise<DiskSpace> {
  const { bsize, blocks, bavail } = await statfs(folder);
  return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
}

export type DiskWatch = {
  /** Resolves once the look that is under way has ended. */
  close(): Promise<void>;
};

/** Looks at the disk of `folder` at once and each `intervalMs`, and reports `disk nearly full` each time that it is. */
export function watchDiskSpace({
  folder,
  report,
  intervalMs,
  read = readDiskSpace,
}: {
  folder: string;
  report: Report;
  intervalMs: number;
  read?: (folder: string) => Promise<DiskSpace>;
}): DiskWatch {
  const look = () =>
    read(folder).then(
      (space) => {
        if (isNearlyFull(space)) report("disk nearly full", { folder, ...space });
      },
      (error: unknown) => report("disk space is not known", { folder, error: String(error) }),
    );
  let looking = look();
  const timer = setInterval(() => {
    looking = looking.then(look);
  }, intervalMs);
  timer.unref();
  return {
    close() {
      clearInterval(timer);
      return looking;
    },
  };
}
