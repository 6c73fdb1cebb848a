/**
 * What a folder looks like whenever its process might be killed: node:fs and node:fs/promises as they are, with a copy of the
 * folder after each step that changes something. Steps are taken one at a time, so that a copy is of a moment.
 */
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";

type FileSystem = typeof import("node:fs/promises");
type DirectFileSystem = typeof import("node:fs");

const { cpSync, existsSync } = process.getBuiltinModule("node:fs"); // Not what a test has in its place.

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

/** The same of what is done at once, and of writes that call back. */
export function watchedDirectly(original: DirectFileSystem): DirectFileSystem {
  const { write } = original;
  type Written = (error: NodeJS.ErrnoException | null, sizeBytes: number, bytes: Uint8Array) => void;
  const writeInTurn = (fd: number, bytes: Uint8Array, at: number, written: Written) => {
    const step = () =>
      new Promise<void>((resolve) =>
        write(fd, bytes, at, (error, sizeBytes) => {
          watching?.take(`write ${fd}`);
          written(error, sizeBytes, bytes);
          resolve();
        }),
      );
    last = last.then(step);
  };
  return {
    ...original,
    mkdirSync: atOnce("mkdir", original.mkdirSync) as DirectFileSystem["mkdirSync"],
    openSync: atOnce("open", original.openSync),
    renameSync: atOnce("rename", original.renameSync),
    write: writeInTurn as DirectFileSystem["write"],
  };
}

function atOnce<A extends unknown[], R>(name: string, step: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    const result = step(...args);
    watching?.take(`${name} ${String(args[0])}`);
    return result;
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
