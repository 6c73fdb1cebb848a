/** The referee: runs again what is disputed, from the opening that came with the dispute, and says in the log who is right. */
import {
  type FoldState,
  hex,
  keyId,
  type LotOpening,
  type ResolutionPayload,
  type Signer,
  type Submission,
  signEntry,
} from "@tallystick/protocol";
import type { Clock } from "../platform/clock.ts";
import type { Report } from "../platform/http.ts";
import { caseOf, claimOf, type Judge, type Reexecution } from "./cases.ts";
import { evidenceOf } from "./evidence.ts";
import { createLoop } from "./loop.ts";

/** A dispute that nobody has decided: its signed id, and the receipt that it is of. */
export type OpenDispute = { id: Uint8Array; receipt: Uint8Array; index: number };

export type RefereeParts = {
  signer: Signer;
  fold: FoldState;
  clock: Clock;
  report: Report;
  judge: Judge;
  disputes(): readonly OpenDispute[];
  readEntry(index: number): Promise<Uint8Array>;
  /** What came with the dispute; undefined where nothing did. */
  findOpening(dispute: Uint8Array): LotOpening | undefined;
  askOpening(ask: { receipt: Uint8Array; node: Uint8Array }): Promise<LotOpening | undefined>;
  /** What came with a dispute is destroyed once it is decided. */
  forgetOpening(dispute: Uint8Array): void;
  submit(statement: Submission): Promise<void>;
  /** How long an opening is asked for before the dispute is left undecided. */
  patienceMs: number;
  pauseMs: number;
};

export type Referee = { wake(): void; idle(): Promise<void>; close(): Promise<void> };

export function createReferee(parts: RefereeParts): Referee {
  const { signer, fold, clock, report, judge } = parts;
  const own = keyId(signer.spki);
  let isClosed = false;
  /** When a dispute was tried first, and when it is tried next. */
  const tried = new Map<string, { firstMs: number; nextMs: number }>();

  async function decide(): Promise<void> {
    const open = parts.disputes();
    const names = new Set(open.map(({ id }) => hex(id)));
    for (const name of tried.keys()) if (!names.has(name)) tried.delete(name);
    const due = open.find(({ id }) => (tried.get(hex(id))?.nextMs ?? 0) <= clock.nowMs());
    if (due !== undefined) {
      const firstMs = tried.get(hex(due.id))?.firstMs ?? clock.nowMs();
      tried.set(hex(due.id), { firstMs, nextMs: clock.nowMs() + parts.pauseMs });
      await look(due, clock.nowMs() - firstMs >= parts.patienceMs).catch((error: unknown) => {
        if (isClosed) return; // Its judge was ended under it.
        report("a dispute could not be decided; it is tried again", { dispute: hex(due.id), error: String(error) });
      });
      return deciding.wake();
    }
    const nextMs = Math.min(...[...tried.values()].map((one) => one.nextMs));
    if (nextMs !== Number.POSITIVE_INFINITY) deciding.wakeIn(Math.max(1, nextMs - clock.nowMs()));
  }

  async function look({ id, receipt, index }: OpenDispute, isLast: boolean): Promise<void> {
    const looked = caseOf(fold, receipt, await parts.readEntry(index));
    const ask = { receipt, node: looked.node };
    const opening = parts.findOpening(id) ?? (await parts.askOpening(ask).catch(() => undefined));
    if (opening === undefined && !isLast) return;
    const found = await judged(opening === undefined ? undefined : claimOf(looked, opening));
    const { method, detail, profile } = found;
    const outcome = resolutionOf(found);
    const ran = profile === undefined ? {} : { profile };
    const evidence = evidenceOf(looked, { by: own, outcome, method, detail, ...ran });
    const says = { version: 1, dispute: id, outcome, evidence: evidence.digest, ...ran } as const;
    const { signed } = await signEntry(signer, "resolution", says);
    await parts.submit({ entry: signed.bytes, evidence: evidence.bytes });
    tried.delete(hex(id));
    parts.forgetOpening(id);
    report(`a dispute was decided: ${outcome}`, { receipt: hex(receipt), why: detail });
  }

  async function judged(opened: ReturnType<typeof claimOf> | undefined): Promise<Reexecution> {
    if (opened?.ok === true) return judge.reexecute(opened.claim);
    const detail = opened?.fault ?? "nobody gave an opening of the receipt";
    return { outcome: "undecided", method: "reexecution", detail, isProvable: false, costMicroseconds: 0 };
  }

  const deciding = createLoop(decide, report);
  return {
    wake: deciding.wake,
    idle: deciding.idle,
    close() {
      isClosed = true;
      return deciding.close();
    },
  };
}

/** Only what anybody could show is held against a node. */
function resolutionOf({ outcome, isProvable }: Reexecution): ResolutionPayload["outcome"] {
  if (outcome === "passed") return "rejected";
  return outcome === "failed" && isProvable ? "upheld" : "undecided";
}
