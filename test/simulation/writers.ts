/** Those who append: each thinks, appends, waits for the answer, and begins again. Where there is no log, they wait for one. */
import { utf8 } from "@tallystick/protocol";
import type { Log } from "../../packages/server/src/log/service.ts";
import { ServiceError } from "../../packages/server/src/platform/errors.ts";
import { must } from "./evidence.ts";
import type { World } from "./world.ts";

const WRITERS = 64;

export class Writers {
  readonly #world: World;
  readonly #find: () => Log | undefined;
  readonly #thinkMs: number;
  readonly #entrySizeBytes: number;
  readonly #written: Uint8Array[] = [];
  readonly #waiting = new Set<number>();
  #entryCount: number;

  /** `find` gives the log that can be reached. */
  constructor(world: World, find: () => Log | undefined) {
    const { random } = world;
    this.#world = world;
    this.#find = find;
    this.#thinkMs = random.anyMagnitude(500);
    this.#entryCount = random.chance(0.5) ? random.anyMagnitude(1_200) : random.below(1_200);
    this.#entrySizeBytes = random.chance(0.03) ? 65_535 : 200;
  }

  start(): void {
    for (let writer = 0; writer < WRITERS; writer++) this.#write(writer);
  }

  stop(): void {
    this.#entryCount = 0;
  }

  /** Who waited for a log, or for an answer from one that is gone, goes on. */
  wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const writer of waiting) this.#write(writer);
  }

  #write(writer: number, thinkMs = this.#thinkMs * (0.2 + this.#world.random.next())): void {
    const { timeline, random, seen } = this.#world;
    timeline.after(thinkMs, () => {
      if (seen.entries >= this.#entryCount) return;
      this.#waiting.add(writer);
      const log = this.#find();
      if (log === undefined) return;
      const again = (afterMs?: number) => {
        this.#waiting.delete(writer);
        this.#write(writer, afterMs);
      };
      this.append(log).then(
        () => again(),
        (error: unknown) => {
          if (!(error instanceof ServiceError) || error.code !== "unavailable") this.#world.violation = error;
          again(100 + random.below(1_000));
        },
      );
    });
  }

  async append(log: Log): Promise<void> {
    const { evidence, random, seen } = this.#world;
    const entry = this.#anyEntry();
    this.#written.push(entry);
    seen.entries++;
    const index = await log.append(entry);
    evidence.acknowledge(index, entry);
    if (!random.chance(0.2)) return;
    await log.followed(index);
    must(log.head.size > index, `entry ${index} is followed and the log is of ${log.head.size}`);
  }

  /** A new entry, or one that was written before: a log takes it again. */
  #anyEntry(): Uint8Array {
    const { random } = this.#world;
    const again = this.#written[random.below(this.#written.length + 1)];
    if (again !== undefined && random.chance(0.1)) return again;
    if (random.chance(0.01)) return new Uint8Array(0);
    const head = utf8(`${this.#written.length} `);
    return Buffer.concat([head, Buffer.alloc(random.below(this.#entrySizeBytes - head.length), random.below(256))]);
  }
}
