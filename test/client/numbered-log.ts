/** Logs of entries that are but numbers: what reads no entry needs no better ones. */
import { utf8 } from "@tallystick/protocol";
import { LogInMemory } from "../log-in-memory.ts";

/** A log of `size` entries; from `forkedAt` on they are others than in a log without it. */
export function numberedLog(size: number, forkedAt: number = size): LogInMemory {
  const log = new LogInMemory();
  extendLog(log, size, forkedAt);
  return log;
}

/** Appends until `log` has `size` entries. */
export function extendLog(log: LogInMemory, size: number, forkedAt: number = size): void {
  for (let index = log.entries.length; index < size; index++)
    log.append(utf8(index < forkedAt ? `entry ${index}` : `other ${index}`));
}
