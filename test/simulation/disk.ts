/**
 * A disk in memory that does what disks may. What a file is and what of it would last through power loss are two things:
 * a process that is killed leaves the first, power loss any mixture that the syncs so far allow, torn at any byte.
 * A step that is cut short, or that fails, may have done all, some or nothing of its work.
 */
import { basename, dirname } from "node:path";
import type { Appending, Disk } from "../../packages/server/src/platform/disk.ts";
import type { Random } from "./random.ts";
import type { Happening, Timeline } from "./timeline.ts";

/** What a file may be after power loss; `grownFrom` is where bytes begin that were appended and not synced. */
type Version = { bytes: Uint8Array | undefined; grownFrom?: number };
/** `versions` begins with the durable one, and ends with the one that is read unless a sync failed and lost it. */
type File = { bytes: Uint8Array | undefined; versions: Version[] };

export type Crash = "kill" | "power loss";
export type Image = ReadonlyMap<string, Uint8Array>;

/** The step of the disk, counted from a start, that fails; after ENOSPC every step that needs room does. */
export type Fault = { step: number; code: "EIO" | "ENOSPC" };

type Operation<T> = {
  name: string;
  path: string;
  latencyMs: number;
  /** What it does on its way, each visible to readers and none durable. */
  stages: (() => void)[];
  /** What its success makes durable. */
  synced: readonly string[];
  needsRoom: boolean;
  result(): T;
  /** What it leaves behind where it is cut short, beside what its stages did. */
  leave(): void;
};

type Flight = { happenings: Happening[]; leave(): void };

const SECTOR_SIZE_BYTES = 512;

export class SimulatedDisk {
  readonly #random: Random;
  readonly #timeline: Timeline;
  #files = new Map<string, File>();
  #inFlight = new Set<Flight>();
  #life = 0;
  #steps = 0;
  #fault: Fault | undefined;
  #isFull = false;
  /** Steps that failed since the last start. */
  failedSteps = 0;
  /** What it did, the last of it, for a person who looks into a seed. */
  readonly trace: string[] = [];

  constructor(random: Random, timeline: Timeline) {
    this.#random = random;
    this.#timeline = timeline;
  }

  /** The disk for one life of the process. */
  start(fault: Fault | undefined): Disk {
    this.#fault = fault;
    this.#isFull = false;
    this.#steps = 0;
    this.failedSteps = 0;
    this.#life++;
    return this.#createDisk(this.#life);
  }

  /** Ends what is under way where it is. */
  crash(kind: Crash): void {
    this.#life++;
    for (const { happenings, leave } of this.#inFlight) {
      for (const happening of happenings) this.#timeline.cancel(happening);
      leave();
    }
    this.#inFlight.clear();
    this.#say(kind);
    if (kind === "power loss") for (const [path, file] of this.#files) this.#settle(path, file);
  }

  /** The files as they are read. */
  image(): Image {
    const files = [...this.#files].flatMap(([path, { bytes }]) =>
      bytes === undefined ? [] : [[path, bytes] as const],
    );
    return new Map(files);
  }

  /** Makes the disk that of `image`. */
  restore(image: Image): void {
    this.#files = new Map([...image].map(([path, bytes]) => [path, { bytes, versions: [{ bytes }] }]));
  }

  #say(what: string): void {
    this.trace.push(`${this.#timeline.nowMs % 1e7} ${what}`);
    if (this.trace.length > 400) this.trace.shift();
  }

  #settle(path: string, file: File): void {
    const { bytes, grownFrom } = file.versions[this.#random.below(file.versions.length)] ?? { bytes: undefined };
    const left = bytes !== undefined && grownFrom !== undefined ? this.#torn(bytes, grownFrom) : bytes;
    if (file.versions.length > 1) this.#say(`  leaves ${path} ${left?.length} of ${file.bytes?.length}`);
    file.bytes = left;
    file.versions = [{ bytes: left }];
  }

  /** What may be there of bytes from `from` on that were not synced: some first ones, or any sectors and zeros between. */
  #torn(bytes: Uint8Array, from: number): Uint8Array {
    const kind = this.#random.below(3);
    if (kind === 0) return bytes;
    if (kind === 1) return bytes.slice(0, from + this.#random.below(bytes.length - from + 1));
    const left = bytes.slice();
    for (let at = from; at < left.length; at = (Math.floor(at / SECTOR_SIZE_BYTES) + 1) * SECTOR_SIZE_BYTES)
      if (this.#random.chance(0.5)) left.fill(0, at, (Math.floor(at / SECTOR_SIZE_BYTES) + 1) * SECTOR_SIZE_BYTES);
    return left;
  }

  #file(path: string): File {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const file: File = { bytes: undefined, versions: [{ bytes: undefined }] };
    this.#files.set(path, file);
    return file;
  }

  #change(path: string, bytes: Uint8Array | undefined, grownFrom?: number): void {
    const file = this.#file(path);
    file.bytes = bytes;
    file.versions.push({ bytes, ...(grownFrom !== undefined && { grownFrom }) });
  }

  #grow(path: string, more: Uint8Array): void {
    const { bytes = new Uint8Array(0), versions } = this.#file(path);
    const grown = new Uint8Array(bytes.length + more.length);
    grown.set(bytes);
    grown.set(more, bytes.length);
    this.#change(path, grown, versions.at(-1)?.grownFrom ?? bytes.length);
  }

  #sync(path: string): void {
    const file = this.#file(path);
    file.versions = [file.versions.at(-1) ?? { bytes: file.bytes }].map(({ bytes }) => ({ bytes }));
  }

  /** A sync that failed: what was to be written is read as before, and never reaches the disk by another sync. */
  #lose(path: string): void {
    const file = this.#file(path);
    file.versions = file.versions.slice(0, 1);
  }

  #createDisk(life: number): Disk {
    const run = <T>(operation: Partial<Operation<T>> & Pick<Operation<T>, "name" | "path" | "result">) =>
      this.#run(life, { latencyMs: 1, stages: [], synced: [], needsRoom: false, leave() {}, ...operation });
    return {
      read: (path) => run({ name: "read", path, result: () => this.#files.get(path)?.bytes?.slice() }),

      list: (folder) => run({ name: "list", path: folder, result: () => this.#namesIn(folder) }),

      write: (files) =>
        run({
          name: "write",
          path: files.map(({ path }) => path).join(" "),
          latencyMs: 1 + this.#random.below(20),
          stages: files.map(({ path, bytes }) => {
            const copy = bytes.slice();
            return () => this.#change(path, copy);
          }),
          synced: files.map(({ path }) => path),
          needsRoom: true,
          result: () => {},
          leave: () => {
            for (const [i, { path, bytes }] of files.entries())
              if (this.#random.chance(0.3))
                this.#change(`${path}.77-${i}.new`, bytes.slice(0, this.#random.below(bytes.length)));
          },
        }),

      begin: (path) =>
        run({
          name: "begin",
          path,
          latencyMs: 1 + this.#random.below(5),
          stages: [() => this.#change(path, new Uint8Array(0))],
          synced: [path],
          needsRoom: true,
          result: (): Appending => ({
            append: (bytes) => {
              const cut = this.#random.below(bytes.length);
              const stages = [bytes.slice(0, cut), bytes.slice(cut)].map((part) => () => this.#grow(path, part));
              const latencyMs = 1 + this.#random.below(10);
              return run({
                name: "append",
                path,
                latencyMs,
                stages,
                synced: [path],
                needsRoom: true,
                result: () => {},
              });
            },
            close: () => run({ name: "close", path, result: () => {} }),
          }),
        }),

      cut: (path, sizeBytes) => {
        const resize = () => {
          const file = this.#file(path);
          // What a failed sync lost is lost under the cut, too.
          const isLost = file.versions.at(-1)?.bytes !== file.bytes;
          const kept = isLost ? new Uint8Array(sizeBytes) : file.bytes?.slice(0, sizeBytes);
          if (isLost) kept?.set((file.versions.at(-1)?.bytes ?? new Uint8Array(0)).subarray(0, sizeBytes));
          file.bytes = file.bytes?.slice(0, sizeBytes);
          file.versions.push({ bytes: isLost ? kept : file.bytes });
        };
        return run({ name: "cut", path, latencyMs: 2, stages: [resize], synced: [path], result: () => {} });
      },

      remove: (path) => {
        const all = [...this.#files.keys()].filter((name) => name === path || name.startsWith(`${path}/`));
        const stages = all.map((name) => () => this.#change(name, undefined));
        return run({ name: "remove", path, stages, result: () => {} });
      },
    };
  }

  #namesIn(folder: string): string[] {
    const within = [...this.#files].filter(([path, { bytes }]) => bytes !== undefined && path.startsWith(`${folder}/`));
    return [...new Set(within.map(([path]) => path.slice(folder.length + 1).split("/")[0] ?? ""))];
  }

  #run<T>(life: number, operation: Operation<T>): Promise<T> {
    if (life !== this.#life) throw new Error(`the disk is asked to ${operation.name} by a process that is gone`);
    const { latencyMs, stages } = operation;
    const failure = this.#failureOf(operation);
    const done = failure === undefined ? stages.length : this.#random.below(stages.length + 1);
    const timesMs = stages.slice(0, done).map(() => this.#random.next() * latencyMs);
    const flight: Flight = { happenings: [], leave: operation.leave };
    this.#inFlight.add(flight);
    for (const [i, atMs] of timesMs.sort((a, b) => a - b).entries())
      flight.happenings.push(this.#timeline.after(atMs, () => stages[i]?.()));
    return new Promise((resolve, reject) => {
      const end = () => {
        this.#inFlight.delete(flight);
        this.#say(`${operation.name} ${operation.path}${failure === undefined ? "" : ` fails, ${done} stages done`}`);
        if (failure === undefined) {
          for (const path of operation.synced) this.#sync(path);
          resolve(operation.result());
          return;
        }
        if (done > 0) this.#failSync(operation);
        reject(failure);
      };
      flight.happenings.push(this.#timeline.after(latencyMs, end));
    });
  }

  /** After a failure: it was durable all the same, it may become so, or it never will. */
  #failSync({ synced }: Operation<unknown>): void {
    const kind = this.#random.below(3);
    for (const path of synced) {
      if (kind === 0) this.#sync(path);
      if (kind === 1) this.#lose(path);
    }
  }

  #failureOf({ name, path, needsRoom }: Operation<unknown>): Error | undefined {
    const isDue = this.#steps++ === this.#fault?.step;
    if (isDue && this.#fault?.code === "ENOSPC") this.#isFull = true;
    const code = this.#isFull && needsRoom ? "ENOSPC" : isDue && this.#fault?.code === "EIO" ? "EIO" : undefined;
    if (code === undefined) return undefined;
    this.failedSteps++;
    return Object.assign(new Error(`${code}: ${name} ${dirname(path)}/${basename(path)}`), { code });
  }
}
