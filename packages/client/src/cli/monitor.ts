/** `tally monitor`: follows a log, look by look, and ends with an alarm when it does what a log must not do. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseNoteKey } from "@tallystick/protocol";
import { IncompleteLogError, RefusedError, UnreachableError } from "../errors.ts";
import type { Alarm } from "../log/alarm.ts";
import { type Accepted, followLog } from "../log/follow.ts";
import { type WitnessWatch, watchWitness } from "../log/witness.ts";
import type { Context } from "./context.ts";
import { type LogArguments, type OpenedLog, openLog } from "./logs.ts";
import { isUrl, trustOf } from "./networks.ts";
import { createProgress, EXIT, type Exit, printable, UsageError } from "./terminal.ts";

export type MonitorArguments = LogArguments & {
  interval?: string;
  stale?: string;
  once: boolean;
  witnesses: readonly string[];
  json: boolean;
};

const INTERVAL_SECONDS = 60;
const DAY_SECONDS = 86_400;
/** A server that does not answer must not keep the next look from being made. */
const ANSWER_WITHIN_MS = 30_000;

export async function monitor(args: MonitorArguments, context: Context): Promise<Exit> {
  const intervalMs = 1_000 * secondsOf(args.interval ?? String(INTERVAL_SECONDS), "--interval");
  const staleSeconds = args.stale === undefined ? undefined : secondsOf(args.stale, "--stale");
  const stray = args.witnesses.find((url) => !isUrl(url));
  if (stray !== undefined) throw new UsageError(`--witness takes the URL of a witness, not ${JSON.stringify(stray)}`);
  const stop = new AbortController();
  const end = () => stop.abort();
  process.once("SIGINT", end).once("SIGTERM", end);
  try {
    const bounded = withAborts(context, stop.signal);
    const witnesses = args.witnesses.map((url) => watchWitness(url, bounded.edges));
    return await follow(
      new Monitor(args, bounded, witnesses, staleSeconds),
      intervalMs,
      args.once,
      stop.signal,
      context,
    );
  } finally {
    process.off("SIGINT", end).off("SIGTERM", end);
  }
}

async function follow(
  looks: Monitor,
  intervalMs: number,
  isOnce: boolean,
  stop: AbortSignal,
  { terminal }: Context,
): Promise<Exit> {
  for (;;) {
    try {
      if (await looks.look()) return EXIT.alarm;
    } catch (error) {
      if (stop.aborted) return EXIT.ok;
      if (isOnce || !isTrouble(error)) throw error;
      terminal.err(`tally: ${printable(error.message)}; looking again in ${intervalMs / 1_000} s\n`);
    }
    if (isOnce) return EXIT.ok;
    await sleep(intervalMs, undefined, { signal: stop }).catch(() => {});
    if (stop.aborted) return EXIT.ok;
  }
}

function isTrouble(error: unknown): error is Error {
  return error instanceof UnreachableError || error instanceof RefusedError || error instanceof IncompleteLogError;
}

/** The same edges, whose requests end with the command, or where nobody answers. */
function withAborts(context: Context, stop: AbortSignal): Context {
  const { fetch } = context.edges;
  const bounded: typeof fetch = (url, init) =>
    fetch(url, { ...init, signal: AbortSignal.any([stop, AbortSignal.timeout(ANSWER_WITHIN_MS)]) });
  return { ...context, edges: { ...context.edges, fetch: bounded } };
}

class Monitor {
  readonly #args: MonitorArguments;
  readonly #context: Context;
  readonly #witnesses: readonly WitnessWatch[];
  readonly #staleSeconds: number | undefined;
  #opened: OpenedLog | undefined;

  constructor(
    args: MonitorArguments,
    context: Context,
    witnesses: readonly WitnessWatch[],
    staleSeconds: number | undefined,
  ) {
    this.#args = args;
    this.#context = context;
    this.#witnesses = witnesses;
    this.#staleSeconds = staleSeconds;
  }

  /** Looks once and prints what was seen. Whether there was an alarm. */
  async look(): Promise<boolean> {
    this.#opened ??= await openLog(this.#args, this.#context);
    const { source, logKey } = this.#opened;
    const { home, terminal, edges } = this.#context;
    const trust = await trustOf(logKey, this.#context.policy);
    const { name: origin } = parseNoteKey(logKey.vkey);
    const kept = await home.findCheckpoint(origin);
    const progress = createProgress(terminal, "reading", edges.nowMs);
    const look = await followLog(source, {
      trust,
      onProgress: progress.update,
      ...(kept === undefined ? {} : { kept }),
    }).finally(progress.end);
    if (!look.ok) return this.#alarm(origin, look.alarm);
    const { accepted } = look;
    await home.keepCheckpoint(accepted);
    for (const witness of this.#witnesses) {
      const compared = await witness.compare(accepted, source, trust);
      if (compared.outcome === "alarm") return this.#alarm(origin, compared.alarm);
      if (compared.outcome === "unknown")
        terminal.err(
          `tally: nothing to compare with from the witness ${printable(`${witness.url}: ${compared.reason}`)}\n`,
        );
    }
    const ageSeconds = Math.max(0, Math.floor(edges.nowMs() / 1_000) - accepted.timeSeconds);
    if (this.#staleSeconds !== undefined && ageSeconds > this.#staleSeconds)
      return this.#alarm(origin, stale(accepted, ageSeconds));
    this.#say(accepted, kept?.checkpoint.size, ageSeconds);
    return false;
  }

  #say({ checkpoint: { origin, size }, timeSeconds }: Accepted, before: number | undefined, ageSeconds: number): void {
    const { out } = this.#context.terminal;
    const newEntries = before === undefined ? null : size - before;
    if (this.#args.json) out(`${JSON.stringify({ origin, size, newEntries, timeSeconds })}\n`);
    else {
      const what = newEntries === null ? "met for the first time; its entries were not read" : `${newEntries} new`;
      out(
        printable(`${timeText(timeSeconds)}  ${origin}  ${size} entries, ${what}, cosigned ${ageSeconds} s ago`).concat(
          "\n",
        ),
      );
    }
  }

  async #alarm(origin: string, { kind, detail, evidence }: Alarm): Promise<true> {
    const { home, terminal } = this.#context;
    const folder = await home.keepEvidence(origin, evidence);
    const alarm = { kind, detail };
    if (this.#args.json) terminal.out(`${JSON.stringify({ origin, alarm, evidence: folder })}\n`);
    else terminal.out(`${printable(`ALARM  ${origin}  ${kind}: ${detail}`)}\nThe evidence is in ${folder}\n`);
    return true;
  }
}

function stale({ bytes }: Accepted, ageSeconds: number): Alarm {
  const detail = `the newest checkpoint was cosigned ${ageSeconds} seconds ago`;
  return { kind: "stale", detail, evidence: new Map([["checkpoint-served", bytes]]) };
}

function timeText(timeSeconds: number): string {
  return new Date(timeSeconds * 1_000).toISOString().replace(".000", "");
}

function secondsOf(text: string, option: string): number {
  const seconds = Number(text);
  if (!/^[1-9][0-9]*$/.test(text) || seconds > 366 * DAY_SECONDS)
    throw new UsageError(`${option} takes a whole number of seconds, not ${JSON.stringify(text)}`);
  return seconds;
}
