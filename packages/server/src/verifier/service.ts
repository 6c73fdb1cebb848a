/**
 * The verifier: takes part in the lots by its hash chain, runs what they give it again, and says in the log what came of it
 * (docs/spec/verification.md). All that it has to do follows from the log, so that a restart goes on where it was.
 */
import {
  encodeLotOpening,
  type FoldState,
  hex,
  keyId,
  type LotOpening,
  type LotPayload,
  type Method,
  type Outcome,
  type Signer,
  type Submission,
  signEntry,
} from "@tallystick/protocol";
import type { Clock } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import type { Report } from "../platform/http.ts";
import { pause } from "../platform/pause.ts";
import type { Random } from "../platform/random.ts";
import { type Case, caseOf, claimOf, type Judge, type Reexecution } from "./cases.ts";
import { type Chain, makeChain, readChains } from "./chain.ts";
import { evidenceOf, type Finding } from "./evidence.ts";
import { createLoop } from "./loop.ts";

/** A receipt that a lot has drawn for this verifier. */
export type Drawn = { receipt: Uint8Array; index: number; epoch: number };
/** A receipt that its requester wants looked at. `check` is what it signed for that. */
export type Check = { receipt: Uint8Array; index: number; check: Uint8Array; opening?: LotOpening };

/** What the fold says of the lots to this verifier. */
export type Lots = {
  drawn(): readonly Drawn[];
  /** The epoch entries, by index, for which it has yet to reveal; the oldest first. */
  revealDue(): readonly number[];
  /** What its next reveal has to hash to: what it revealed last of the chain that the lot rests on, or that chain's anchor. */
  lastReveal(): Uint8Array | undefined;
  /** The same of the chain that it committed to last, and how many reveals of it are left; undefined before the first. */
  newest(): { last: Uint8Array; left: number } | undefined;
};

export type VerifierParts = {
  signer: Signer;
  fold: FoldState;
  clock: Clock;
  random: Random;
  report: Report;
  lots: Lots;
  judge: Judge;
  /** Where its hash chain is kept, and how long one is. */
  chainPath: string;
  chainLength?: number;
  readEntry(index: number): Promise<Uint8Array>;
  /** Asks the node with that key for an opening; undefined where it gives none. Throws where it is not reached. */
  askOpening(ask: { receipt: Uint8Array; node: Uint8Array; check?: Uint8Array }): Promise<LotOpening | undefined>;
  /** Receipts that requesters want this verifier to look at. Each is given once. */
  takeChecks(): Promise<readonly Check[]>;
  /** Gets a statement into the log; resolves once the fold has it. What the log refuses is a ServiceError. */
  submit(statement: Submission): Promise<void>;
  limits: VerifierLimits;
};

export type VerifierLimits = {
  /** How long an opening is asked for before the receipt is said to be unopened, and the pause after the first try. */
  patienceMs: number;
  pauseMs: number;
  /** The share of one processor that running models again may take. */
  cpuShare: number;
};

export const VERIFIER_LIMITS: VerifierLimits = { patienceMs: 600_000, pauseMs: 2_000, cpuShare: 0.25 };
/** The longest pause between two tries, and after one check. */
const PAUSE_MOST_MS = 60_000;
const REST_MOST_MS = 300_000;
/** With so many reveals left the next chain is committed to: it takes two epochs to count, and open lots are owed some. */
const LEFT_LEAST = 64;
/** Verifications that may be on their way into the log. */
const SAID_AT_ONCE = 16;

export type Verifier = {
  /** The log has gone on, or somebody asked for a check. */
  wake(): void;
  /** Resolves once nothing is to be done at once. */
  idle(): Promise<void>;
  close(): Promise<void>;
};

/** A try that came to nothing, and when the next one is due. */
type Tried = { firstMs: number; nextMs: number; count: number };

export function createVerifier(parts: VerifierParts): Verifier {
  const { signer, fold, clock, random, report, lots, judge, limits } = parts;
  const own = keyId(signer.spki);
  const tried = new Map<string, Tried>();
  /** Verifications on their way into the log. */
  const saying = new Map<string, Promise<void>>();
  let chains: Chain[] | undefined;

  async function say(says: LotPayload): Promise<void> {
    await parts.submit({ entry: (await signEntry(signer, "lot", says)).signed.bytes });
  }

  /** Commits to a chain before the one that counts is at its end, or where that one is not kept here; and gives those that are. */
  async function commit(): Promise<Chain[]> {
    const kept = chains ?? (await readChains(parts.chainPath));
    chains = kept;
    const newest = lots.newest();
    const at = newest === undefined ? -1 : kept.findLastIndex((chain) => chain.before(newest.last) !== undefined);
    const { length = 0 } = kept[at] ?? {};
    const left = (newest?.left ?? 0) - lots.revealDue().length;
    if (at >= 0 && left > Math.min(LEFT_LEAST, length / 2)) return kept;
    // One may have been made of which nothing was said.
    const isUnsaid = at < kept.length - 1 && (newest === undefined || at >= 0);
    const next = (isUnsaid && kept.at(-1)) || (await makeChain(parts.chainPath, random, parts.chainLength));
    chains = isUnsaid ? kept : [...kept.slice(-1), next];
    await say({ version: 1, action: "commit", anchor: next.anchor, length: next.length });
    return chains;
  }

  async function reveal(): Promise<void> {
    const kept = await commit();
    for (const epoch of lots.revealDue()) {
      const last = lots.lastReveal();
      const value = last && kept.findLast((chain) => chain.before(last) !== undefined)?.before(last);
      if (value === undefined) return; // That lot rests on a chain that is lost: it closes without this verifier.
      await say({ version: 1, action: "reveal", epoch, value });
    }
  }

  async function verify(): Promise<void> {
    for (const { receipt, index, check, opening } of await parts.takeChecks())
      await attempt({ receipt, index }, { check, ...(opening === undefined ? {} : { opening }) });
    const waiting = lots.drawn();
    const names = new Set(waiting.map(({ receipt }) => hex(receipt)));
    for (const name of tried.keys()) if (!names.has(name)) tried.delete(name);
    const isDue = (name: string) => !saying.has(name) && (tried.get(name)?.nextMs ?? 0) <= clock.nowMs();
    const due = waiting.find(({ receipt }) => isDue(hex(receipt)));
    if (due !== undefined) {
      await attempt(due, { epoch: due.epoch });
      return checking.wake();
    }
    const nextMs = Math.min(...[...tried.values()].map((one) => one.nextMs));
    if (nextMs !== Number.POSITIVE_INFINITY) checking.wakeIn(Math.max(1, nextMs - clock.nowMs()));
  }

  type Why = { epoch?: number; check?: Uint8Array; opening?: LotOpening };

  /** Looks at one receipt. What goes wrong on the way is tried again later. */
  async function attempt({ receipt, index }: Pick<Drawn, "receipt" | "index">, why: Why): Promise<void> {
    try {
      const looked = caseOf(fold, receipt, await parts.readEntry(index));
      await look(looked, why);
    } catch (error) {
      failed(receipt, error);
    }
  }

  function failed(receipt: Uint8Array, error: unknown): void {
    if (closing.signal.aborted) return; // Its judge was ended under it: the next start begins again.
    tryLater(receipt);
    if (error instanceof ServiceError && error.code === "conflict") return; // It is said already.
    report("a receipt could not be verified", { receipt: hex(receipt), error: String(error) });
  }

  async function look(looked: Case, { epoch, check, opening: given }: Why): Promise<void> {
    const drawn = epoch === undefined ? {} : { epoch };
    const asked = { receipt: looked.id, node: looked.node, ...(check === undefined ? {} : { check }) };
    const opening = given ?? (await parts.askOpening(asked).catch(() => undefined));
    const opened = opening === undefined ? undefined : claimOf(looked, opening);
    if (opening === undefined || opened?.ok !== true) {
      const why = opened?.ok === false ? opened.fault : "its node gave no opening";
      if (epoch === undefined) return report("a check that was asked for has no opening", { receipt: hex(looked.id) });
      if (!tryLater(looked.id)) return; // It may be on its way, or its node about to come back.
      return conclude(looked, { ...drawn, outcome: "unopened", method: "reexecution", detail: why }, 0);
    }
    const found = await judge.reexecute(opened.claim);
    const { outcome, method, detail, profile } = found;
    const finding = { ...drawn, outcome, method, detail, ...(profile === undefined ? {} : { profile }) };
    // Disputed before it is said to be false: a crash in between must not leave it undisputed.
    if (isFault(found)) await dispute(looked, finding, opening);
    await conclude(looked, finding, found.costMicroseconds);
    await rest(found.costMicroseconds);
  }

  type Found = Omit<Finding, "by"> & { outcome: Outcome; method: Method };

  async function conclude(looked: Case, finding: Found, cost: number): Promise<void> {
    const { outcome, method, profile, epoch } = finding;
    const evidence = evidenceOf(looked, { by: own, ...finding });
    const { signed } = await signEntry(signer, "verification", {
      ...{ version: 1, receipt: looked.id, method, outcome, evidence: evidence.digest, cost },
      ...(profile === undefined ? {} : { profile }),
      ...(epoch === undefined ? {} : { epoch }),
    });
    const name = hex(looked.id);
    // The log takes a moment to publish it, in which the next is looked at.
    const said = parts
      .submit({ entry: signed.bytes, evidence: evidence.bytes })
      .then(() => void tried.delete(name))
      .catch((error: unknown) => failed(looked.id, error))
      .finally(() => {
        saying.delete(name);
        checking.wake();
      });
    saying.set(name, said);
    if (outcome !== "passed") report(`a receipt was verified: ${outcome}`, { receipt: name, why: finding.detail });
    if (saying.size >= SAID_AT_ONCE) await Promise.race(saying.values());
  }

  async function dispute(looked: Case, finding: Found, opening: LotOpening): Promise<void> {
    const evidence = evidenceOf(looked, { by: own, ...finding });
    const says = { version: 1, receipt: looked.id, ground: "mismatch", evidence: evidence.digest } as const;
    const { signed } = await signEntry(signer, "dispute", says);
    await parts
      .submit({ entry: signed.bytes, evidence: evidence.bytes, opening: encodeLotOpening(opening) })
      .catch((error: unknown) => {
        if (!(error instanceof ServiceError && error.code === "conflict")) throw error; // It was disputed before.
      });
  }

  /** Puts the next try off. Whether there have been tries for as long as there may be. */
  function tryLater(receipt: Uint8Array): boolean {
    const nowMs = clock.nowMs();
    const { firstMs, count } = tried.get(hex(receipt)) ?? { firstMs: nowMs, count: 0 };
    const pauseMs = Math.min(PAUSE_MOST_MS, limits.pauseMs * 2 ** Math.min(count, 10));
    tried.set(hex(receipt), { firstMs, nextMs: nowMs + pauseMs, count: count + 1 });
    return nowMs - firstMs >= limits.patienceMs;
  }

  /** Leaves the processor to calls, for as long as the share says. */
  async function rest(costMicroseconds: number): Promise<void> {
    const restMs = Math.min(REST_MOST_MS, (costMicroseconds / 1000) * (1 / limits.cpuShare - 1));
    if (restMs >= 1) await pause(restMs, closing.signal);
  }

  const closing = new AbortController();
  const revealing = createLoop(reveal, report);
  const checking = createLoop(verify, report);

  return {
    wake() {
      revealing.wake();
      checking.wake();
    },

    async idle() {
      await revealing.idle();
      await checking.idle();
      while (saying.size > 0) {
        await Promise.all(saying.values());
        await checking.idle();
      }
    },

    async close() {
      closing.abort();
      // Both at once: while one ends, the other begins nothing.
      await Promise.all([revealing.close(), checking.close()]);
      await Promise.all(saying.values());
    },
  };
}

function isFault({ outcome, isProvable }: Reexecution): boolean {
  return outcome === "failed" && isProvable;
}
