/** The sequencer against a bare loop of writes and syncs, how long an entry waits for its promise, and the door before it. */
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { leafHash, nodeHash } from "@tallystick/protocol";
import type { Log } from "../packages/server/src/log/service.ts";
import { type Disk, systemDisk } from "../packages/server/src/platform/disk.ts";
import { createSystemRandom } from "../packages/server/src/platform/random.ts";
import { LOG_QUEUE_LENGTH, openEmptyLog } from "./bench-log.ts";
import { median, type Row } from "./ratio.ts";

const ROUNDS = 7;
/** A receipt and what a write-ahead frame adds to it come to some 640 bytes. */
const ENTRY_SIZE_BYTES = 600;
/** Entries of a round, by how many are in flight: as many as may wait, so that batches fill, and as many as have a client each. */
const LOADS = [
  { inFlight: LOG_QUEUE_LENGTH, entries: 200_000 },
  { inFlight: 64, entries: 20_000 },
];
const LATENCY_MS = 10_000;

/** The system's disk, and how many bytes each write to a segment had. */
function watchedDisk(): { disk: Disk; writes: number[] } {
  const writes: number[] = [];
  const begin: Disk["begin"] = async (path) => {
    const file = await systemDisk.begin(path);
    return {
      close: () => file.close(),
      append(bytes) {
        writes.push(bytes.length);
        return file.append(bytes);
      },
    };
  };
  return { disk: { ...systemDisk, begin }, writes };
}

/** Appends `count` entries, `inFlight` at a time. Each waits until it is durable. */
async function appendAll(log: Log, entries: readonly Uint8Array[], count: number, inFlight: number): Promise<void> {
  let next = 0;
  const client = async () => {
    while (next < count) await log.append(entries[next++ % entries.length]!);
  };
  await Promise.all(Array.from({ length: inFlight }, client));
}

/** The same writes, one after the other, each synced: the least that durability costs. Milliseconds, of each. */
function writePlainly(path: string, writes: readonly number[]): number[] {
  const bytes = createSystemRandom()(Math.max(...writes));
  const file = openSync(path, "w");
  const times = writes.map((sizeBytes) => {
    const started = performance.now();
    writeSync(file, bytes, 0, sizeBytes);
    fdatasyncSync(file);
    return performance.now() - started;
  });
  closeSync(file);
  return times;
}

/** The value that a share of `times` is at most. */
function percentile(times: readonly number[], share: number): number {
  return [...times].sort((a, b) => a - b)[Math.floor(share * (times.length - 1))] ?? Number.NaN;
}

/** The hashes that nothing but a tree of these entries takes: a leaf and a node each. Milliseconds. */
function hashPlainly(entries: readonly Uint8Array[], count: number): number {
  const started = performance.now();
  let last: Uint8Array = leafHash(entries[0]!);
  for (let i = 0; i < count; i++) last = nodeHash(last, leafHash(entries[i % entries.length]!));
  return performance.now() - started;
}

/** Times from append to promise with `perSecond` entries coming whether or not the log keeps up. Milliseconds. */
async function latencies(
  log: Log,
  entries: readonly Uint8Array[],
  perSecond: number,
): Promise<{ times: number[]; refused: number }> {
  const times: number[] = [];
  const appended: Promise<void>[] = [];
  let refused = 0;
  const started = performance.now();
  for (let elapsedMs = 0; elapsedMs < LATENCY_MS; elapsedMs = performance.now() - started) {
    for (const due = (perSecond * elapsedMs) / 1000; appended.length < due; ) {
      const sent = performance.now();
      const acknowledged = () => void times.push(performance.now() - sent);
      appended.push(log.append(entries[appended.length % entries.length]!).then(acknowledged, () => void refused++));
    }
    await new Promise((tick) => setTimeout(tick, 1));
  }
  await Promise.all(appended);
  return { times, refused };
}

export async function benchLog(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "tallystick-bench-"));
  const random = createSystemRandom();
  const entries = Array.from({ length: 16_384 }, () => random(ENTRY_SIZE_BYTES));
  const { disk, writes } = watchedDisk();
  const rows: Row[] = [];
  try {
    const log = await openEmptyLog(join(folder, "log"), disk);
    await appendAll(log, entries, 50_000, LOG_QUEUE_LENGTH); // Warm.
    let fullRate = 0;
    let plainTimes: number[] = [];
    for (const { inFlight, entries: count } of LOADS) {
      const rounds: {
        rate: number;
        integratedRate: number;
        ratio: number;
        hashedRatio: number;
        plainRate: number;
        cpuUs: number;
        batch: number;
      }[] = [];
      for (let i = 0; i < ROUNDS; i++) {
        await log.flush();
        writes.length = 0;
        const before = process.cpuUsage();
        const started = performance.now();
        await appendAll(log, entries, count, inFlight);
        const durableMs = performance.now() - started;
        await log.flush();
        const integratedMs = performance.now() - started;
        const { user, system } = process.cpuUsage(before);
        plainTimes = writePlainly(join(folder, "plain"), writes);
        const plainMs = plainTimes.reduce((sum, ms) => sum + ms, 0);
        rounds.push({
          rate: (1000 * count) / durableMs,
          integratedRate: (1000 * count) / integratedMs,
          ratio: plainMs / durableMs,
          hashedRatio: (plainMs + hashPlainly(entries, count)) / integratedMs,
          plainRate: (1000 * count) / plainMs,
          cpuUs: (user + system) / count,
          batch: count / writes.length,
        });
      }
      const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
      const load = `${inFlight} in flight, ${Math.round(of(({ batch }) => batch))} in a write`;
      rows.push(
        {
          name: `durable appends/s, ${load}, of baseline`,
          value: of(({ ratio }) => ratio),
          unit: "×",
          baseline: "write and fdatasync in turn, of the same writes, with nothing else to do",
        },
        {
          name: `appended and integrated/s, ${load}, of baseline`,
          value: of(({ hashedRatio }) => hashedRatio),
          unit: "×",
          baseline: "those writes, and then the hashes of the same entries: a leaf and a node each, on one thread",
        },
        {
          name: `durable appends/s, ${load}`,
          value: of(({ rate }) => rate),
          unit: "/s",
          // Asked where the disk could take more than that.
          ...(of(({ plainRate }) => plainRate) < 12_500 ? {} : { bound: { atLeast: 10_000 } }),
        },
        { name: `bare synced writes, as entries/s, ${load}`, value: of(({ plainRate }) => plainRate), unit: "/s" },
        { name: `appended and integrated/s, ${load}`, value: of(({ integratedRate }) => integratedRate), unit: "/s" },
        { name: `an entry, CPU of all threads, ${load}`, value: of(({ cpuUs }) => cpuUs), unit: "µs" },
      );
      fullRate ||= of(({ rate }) => rate);
    }
    await log.flush();
    const { times, refused } = await latencies(log, entries, fullRate / 2);
    const load = `at half the load of full batches (${Math.round(fullRate / 2)}/s)`;
    const baseline = "a bare synced write of 64 entries";
    for (const [name, share] of [
      ["p50", 0.5],
      ["p99", 0.99],
    ] as const)
      rows.push(
        { name: `an append ${load}, ${name}`, value: percentile(times, share), unit: "ms", baseline },
        { name: `${baseline}, ${name}`, value: percentile(plainTimes, share), unit: "ms" },
      );
    rows.push({ name: `appends refused ${load}`, value: refused / (refused + times.length), unit: "of all" });
    await log.close();
    return rows;
  } finally {
    await rm(folder, { recursive: true });
  }
}
