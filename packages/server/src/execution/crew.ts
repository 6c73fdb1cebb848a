/**
 * The workers of one engine and the calls that wait for them. What waits for one revision runs as a batch; a batch that fails
 * in any way is taken apart and each of its calls runs alone, once, so that only the culprit fails.
 */

import assert from "node:assert/strict";
import type { ExecutionProfile } from "@tallystick/protocol";
import { batchLength, takeBatch } from "./batch.ts";
import type { Call } from "./call.ts";
import type { Generating } from "./generating.ts";
import type { Host } from "./host.ts";
import type { ExecutionLimits } from "./limits.ts";
import type { Fault, Reply } from "./messages.ts";
import { pack, unpack } from "./packing.ts";
import { fits, keptBy, type Line, type Place, seat, writeNext } from "./place.ts";
import type { CheckedRevision } from "./revision.ts";
import { CLOSED, createSlot } from "./slot.ts";

export type Crew = {
  /** Opens a revision in one worker, and from then on takes calls for it. */
  open(revision: CheckedRevision, profile: ExecutionProfile): Promise<Fault | undefined>;
  /** Takes no more calls for a revision, fails those that wait, and unloads it. */
  drop(key: string): Promise<void>;
  find(key: string): Line | undefined;
  /** The revisions that some worker has loaded. */
  loaded(): string[];
  /** Puts a call in line; it is settled later, never at once. */
  enqueue(line: Line, call: Call): void;
  /** Lets go of a call that was settled meanwhile. If it runs just then, nothing less than ending its worker stops it. */
  forget(line: Line, call: Call): void;
  /** Gives a generation to a worker that has a place for it, or lets it wait for one. */
  generate(line: Line, one: Generating): void;
  /** Lets go of a generation that was settled. Its worker leaves it off after the pass that runs just then, or is ended. */
  leave(line: Line, one: Generating): void;
  [Symbol.asyncDispose](): Promise<void>;
};

export type Log = (message: string, details: Record<string, string | number>) => void;

/** How much the newest measurement moves the average: enough that a slow first call is soon forgotten. */
const NEWEST_WEIGHT = 0.5;

export function createCrew(start: () => Host, workerCount: number, limits: ExecutionLimits, log: Log): Crew {
  const lines = new Map<string, Line>();
  const running = new Map<Call, Place>();
  const wanted = (key: string) => lines.has(key);
  const createPlace = (): Place => ({
    slot: createSlot(start, wanted, limits),
    busy: false,
    generations: new Map(),
    current: undefined,
  });
  const places = Array.from({ length: workerCount }, createPlace);
  /** Those who want a worker to themselves, before any call. */
  const claims: { revision: CheckedRevision; take(place: Place | undefined): void }[] = [];
  let pumping: NodeJS.Immediate | undefined;
  let closed = false;

  /** Nobody gets one once the crew is closed. */
  function claim(revision: CheckedRevision): Promise<Place | undefined> {
    return new Promise((take) => {
      if (closed) return take(undefined);
      claims.push({ revision, take });
      pump();
    });
  }

  async function release(place: Place): Promise<void> {
    await place.slot.tidy();
    place.busy = false;
    seatAll();
    pump();
  }

  /** Gives work to whoever is idle, until one of the two runs out. */
  function pump(): void {
    if (closed) return;
    for (const claim of [...claims]) {
      const place = emptiest(claim.revision);
      if (place === undefined) continue;
      claims.splice(claims.indexOf(claim), 1);
      place.busy = true;
      claim.take(place);
    }
    for (let next = nextBatch(); next !== undefined; next = nextBatch()) void work(next.place, next.line);
    for (const place of places) if (!place.busy && place.generations.size > 0) void write(place);
  }

  /** Of the idle workers that have room for `revision`, the one that holds least. */
  function emptiest(revision: CheckedRevision): Place | undefined {
    const idle = places.filter((place) => !place.busy && fits(place, revision, limits));
    return idle.sort((a, b) => a.slot.loadedBytes() - b.slot.loadedBytes())[0];
  }

  /** Who waited longest goes first, if there is a place for it. */
  function nextBatch(): { place: Place; line: Line } | undefined {
    if (places.every(({ busy }) => busy)) return undefined;
    const ready = [...lines.values()].filter(({ waiting }) => waiting.size > 0);
    ready.sort((a, b) => waitsSince(a) - waitsSince(b));
    for (const line of ready) {
      const place = choose(line);
      if (place !== undefined) return { place, line };
    }
    return undefined;
  }

  function choose(line: Line): Place | undefined {
    const holders = places.filter(({ slot }) => slot.has(line.revision.key));
    if (holders.length === 0) return emptiest(line.revision);
    const idle = holders.find(({ busy }) => !busy);
    if (idle !== undefined) return idle;
    // Only busy workers have it loaded. To wait for one of them is worth as long as it would take to load it in another.
    const leftMs = waitsSince(line) + line.openMs - performance.now();
    if (leftMs <= 0 || line.waiting.size > batchLength(line.callMs, limits)) return emptiest(line.revision);
    line.patience ??= setTimeout(() => {
      line.patience = undefined;
      pump();
    }, leftMs);
    return undefined;
  }

  async function work(place: Place, line: Line): Promise<void> {
    place.busy = true;
    const batch = takeBatch(line.waiting, batchLength(line.callMs, limits), limits.batchBytes);
    const fault = await place.slot.open(line.revision, keptBy(place));
    const left = batch.filter(({ settled }) => !settled);
    if (fault !== undefined) fail(line, left, fault);
    else await runBatch(place, line, left);
    // Batches go first, but for one slice after each: neither kind keeps the other from its worker.
    await writeNext(place, limits);
    await release(place);
  }

  async function write(place: Place): Promise<void> {
    place.busy = true;
    await writeNext(place, limits);
    await release(place);
  }

  function seatAll(): void {
    for (const line of lines.values()) seat(line, places, limits);
  }

  async function runBatch(place: Place, line: Line, batch: Call[]): Promise<void> {
    if (batch.length === 0) return;
    const begun = performance.now();
    for (const call of batch) running.set(call, place);
    const patience = limitPatience(place, line, batch);
    const reply = await place.slot.run(line.revision.key, pack(batch.map(({ inputs }) => inputs)));
    clearTimeout(patience.timer);
    for (const call of batch) running.delete(call);
    if (reply.kind === "answers") {
      const callMs = (performance.now() - begun) / batch.length;
      line.callMs = (line.callMs ?? callMs) * (1 - NEWEST_WEIGHT) + callMs * NEWEST_WEIGHT;
      settle(line, batch, reply);
    } else if (reply.kind === "fault") {
      const fault = patience.fault ?? reply;
      const left = batch.filter(({ settled }) => !settled);
      if (batch.length > 1 && lines.get(line.revision.key) === line) takeApart(line, left, fault);
      else fail(line, left, fault);
    }
  }

  /**
   * Where others depend on it, a batch has half the time that its first call has left: the rest is for them to run alone.
   * The same goes for a call that runs alone because its batch failed, while others of that batch may still wait.
   */
  function limitPatience(place: Place, line: Line, batch: Call[]): { timer?: NodeJS.Timeout; fault?: Fault } {
    const patience: { timer?: NodeJS.Timeout; fault?: Fault } = {};
    if (batch.length === 1 && !(batch[0]?.alone && line.waiting.size > 0)) return patience;
    const limitMs = Math.ceil((Math.min(...batch.map(({ expiresAt }) => expiresAt)) - performance.now()) / 2);
    patience.timer = setTimeout(() => {
      const message = `no answer within ${limitMs} ms, half the time left, while other calls waited`;
      patience.fault = { kind: "fault", reason: "deadline", message };
      void place.slot.end();
    }, limitMs);
    return patience;
  }

  function settle(line: Line, batch: Call[], { answers, outputs }: Reply & { kind: "answers" }): void {
    const tensors = unpack(outputs);
    for (const [i, call] of batch.entries()) {
      const answer = answers[i];
      assert(answer, "a worker answers every call of a batch");
      const { profile } = line;
      if ("refusal" in answer) call.settle({ kind: "refused", message: answer.refusal });
      else call.settle({ kind: "answered", outputs: tensors[i] ?? [], unitCount: answer.unitCount, profile });
    }
  }

  function takeApart(line: Line, calls: Call[], { reason, message }: Fault): void {
    log("a batch failed; its calls run alone", {
      revision: line.revision.key,
      calls: calls.length,
      reason,
      fault: message,
    });
    for (const call of calls) call.alone = true;
    line.waiting = new Set([...calls, ...line.waiting]);
  }

  function fail(line: Line, calls: Call[], { reason, message }: Fault): void {
    if (calls.length === 0) return;
    log("calls failed", { revision: line.revision.key, calls: calls.length, reason, fault: message });
    for (const call of calls) call.settle({ kind: "failed", reason, message });
  }

  return {
    find: (key) => lines.get(key),
    loaded: () => [...new Set(places.flatMap(({ slot }) => slot.keys()))],

    async open(revision, profile) {
      const place = await claim(revision);
      if (place === undefined) return CLOSED;
      const begun = performance.now();
      const fault = await place.slot.open(revision, keptBy(place));
      const openMs = performance.now() - begun;
      const line: Line = {
        revision,
        profile,
        waiting: new Set(),
        generations: new Set(),
        callMs: undefined,
        openMs,
        patience: undefined,
      };
      if (fault === undefined) lines.set(revision.key, line);
      await release(place);
      return fault;
    },

    async drop(key) {
      const line = lines.get(key);
      if (line === undefined) return;
      lines.delete(key);
      clearTimeout(line.patience);
      const message = "this revision was unloaded";
      fail(line, [...line.waiting], { kind: "fault", reason: "engine", message });
      const begun = places.flatMap(({ generations }) => [...generations].filter(([, of]) => of === line));
      for (const one of [...line.generations, ...begun.map(([one]) => one)])
        one.settle({ kind: "failed", reason: "engine", message });
      const idle = places.filter(({ busy }) => !busy);
      for (const place of idle) place.busy = true;
      await Promise.all(idle.map(release));
    },

    enqueue(line, call) {
      line.waiting.add(call);
      // What arrives in the same turn goes together.
      pumping ??= setImmediate(() => {
        pumping = undefined;
        pump();
      });
    },

    forget(line, call) {
      line.waiting.delete(call);
      const place = running.get(call);
      if (place === undefined) return;
      log("a running call is given up; its worker ends", { revision: line.revision.key });
      void place.slot.end();
    },

    generate(line, one) {
      line.generations.add(one);
      seatAll();
      pump();
    },

    leave(line, one) {
      line.generations.delete(one);
      const place = places.find(({ current }) => current === one);
      if (place === undefined) return;
      one.grace = setTimeout(() => {
        log("a generation is given up in a pass that does not end; its worker ends", { revision: line.revision.key });
        void place.slot.end();
      }, limits.graceMs);
    },

    async [Symbol.asyncDispose]() {
      closed = true;
      for (const { take } of claims.splice(0)) take(undefined);
      clearImmediate(pumping);
      for (const { patience } of lines.values()) clearTimeout(patience);
      await Promise.all(places.map(({ slot }) => slot[Symbol.asyncDispose]()));
    },
  };
}

function waitsSince({ waiting }: Line): number {
  for (const { since } of waiting) return since;
  return Number.POSITIVE_INFINITY;
}
