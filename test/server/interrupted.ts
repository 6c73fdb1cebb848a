/**
 * What a folder looks like whenever its process might be killed: node:fs/promises as it is, with a copy of the folder after
 * each step that changes something. Steps are taken one at a time, so that a copy is of a moment.
 */
import { cpSync, existsSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";

type FileSystem = typeof import("node:fs/promises");

/** The folder after one step. `seen` is what the test knew at that moment. */
export type Moment<T> = { path: string; step: string; seen: T };

let watching: { folder: string; take(step: string): void } | undefined;
let last: Promise<unknown> = Promise.resolve();

/** Copies `folder`, beside itself, after each change that `work` makes anywhere; `see` is asked at each. */
export async function interruptions<T>(folder: string, see: () => T, work: () => Promise<void>): Promise<Moment<T>[]> {
  const to = `${folder}-moments`;
  const moments: Moment<T>[] = [];
  const take = (step: string) => {
    const path = join(to, String(moments.length));
    if (!existsSync(folder)) return;
    cpSync(folder, path, { recursive: true });
    moments.push({ path, step, seen: see() });
  };
  watching = { folder, take };
  try {
    await work();
  } finally {
    watching = undefined;
  }
  return moments;
}

/** `original`, with each step that changes something one after the other, and a look at the folder after each. */
export function watched(original: FileSystem): FileSystem {
  return {
    ...original,
    mkdir: inTurn("mkdir", original.mkdir) as FileSystem["mkdir"],
    rename: inTurn("rename", original.rename),
    rm: inTurn("rm", original.rm),
    open: inTurn("open", async (...args: Parameters<FileSystem["open"]>) =>
      watchedHandle(await original.open(...args)),
    ),
  };
}

function inTurn<A extends unknown[], R>(name: string, step: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
  return (...args) => {
    const done = last.then(async () => {
      const result = await step(...args);
      watching?.take(`${name} ${String(args[0])}`);
      return result;
    });
    last = done.catch(() => undefined);
    return done;
  };
}

function watchedHandle(handle: FileHandle): FileHandle {
  handle.write = inTurn("write", handle.write.bind(handle)) as FileHandle["write"];
  handle.writeFile = inTurn("write", handle.writeFile.bind(handle));
  handle.truncate = inTurn("truncate", handle.truncate.bind(handle));
  return handle;
}
