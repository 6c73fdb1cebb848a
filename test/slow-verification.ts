/**
 * The figures of verification by their definitions (docs/spec/lot.md; docs/spec/usage.md, "Checks" to "Proof coverage"): lots
 * are held again from the entries, and what is known of a receipt is asked of the whole log. Quadratic, and the second road
 * to what the fold gives.
 */
import {
  type CoverageFigures,
  dayOf,
  dueOf,
  type Entry,
  type EntryOf,
  type Figures,
  type Grade,
  hex,
  keyId,
  lotSeedOf,
  parseAuthorization,
  parseHex,
  precedes,
  type RootKind,
  type Shapes,
  sha256,
  signedId,
  ticketOf,
  upperBound,
  verifierIndexOf,
} from "@tallystick/protocol";
import { SlowLog } from "./slow-figures.ts";

const DAY_SECONDS = 86_400;
const bytesOf = (id: string) => parseHex(id) ?? new Uint8Array(0);

type Receipt = {
  at: number;
  id: string;
  model: string;
  payer: string;
  node: string;
  gateway: string;
  isValid: boolean;
  openable: boolean;
  asked: boolean;
};
type Epoch = { at: number; size: number; timeSeconds: number };
type Lot = {
  epoch: Epoch;
  ordinal: number;
  /** By key id, in its order: the commit whose chain takes part, and what was revealed. */
  chains: Map<string, number>;
  reveals: Map<string, Uint8Array>;
  population: Receipt[];
  asked: Receipt[];
};
type Draw = { receipt: Receipt; verifier: string; epoch: number; at: number; untilSeconds: number };
/** `at` is where its lot was closed. */
type Stratum = { epoch: Epoch; at: number; model: string; population: number; draws: Draw[] };
type Check = { at: number; entry: EntryOf<"verification">; verifier: string; drawn: boolean };
type Verdict = {
  drawn: "passed" | "failed" | "lost" | undefined;
  unopened: boolean;
  undecided: boolean;
  omitted: boolean;
  requested: "passed" | "failed" | undefined;
  upheld: boolean;
};

export type VerificationFigures = Pick<Figures, "nodes" | "verifiers" | "independentVerifiers"> & {
  totals: Figures["totals"]["verification"];
  days: [string, Figures["days"][number]["verification"]][];
  models: [string, Figures["models"][number]["verification"]][];
};

/** What of the fold's figures is held to the slow ones. A node of which nothing is known may have a row or none. */
export function verificationOf(figures: Figures): VerificationFigures {
  const { totals, days, models, nodes, verifiers, independentVerifiers } = figures;
  return {
    totals: totals.verification,
    days: days.map(({ day, verification }) => [day, verification]),
    models: models.map(({ revision, verification }) => [revision, verification]),
    nodes: nodes.filter(isKnown),
    ...{ verifiers, independentVerifiers },
  };
}

const isKnown = ({ checked, failures, unopened, disputesUpheld }: Figures["nodes"][number]) =>
  checked + failures + unopened + disputesUpheld > 0;

/** The slow figures, of the days and models of `figures`, in that order. */
export function slowVerification(entries: readonly Entry[], figures: Figures): VerificationFigures {
  const log = new SlowVerification(entries);
  return {
    totals: { ...log.coverage(() => true), missingReveals: log.missing.length },
    days: figures.days.map(({ day }) => [
      day,
      {
        ...log.coverage((item) => log.dayOf(item) === day),
        missingReveals: log.missing.filter((item) => log.dayOf(item) === day).length,
      },
    ]),
    models: figures.models.map(({ revision }) => [
      revision,
      { ...log.coverage(({ model }) => model === revision), recent: log.recent(revision) },
    ]),
    ...{ nodes: log.nodes(), verifiers: log.verifiers(), independentVerifiers: log.independent() },
  };
}

class SlowVerification {
  readonly #log: SlowLog;
  readonly #entries: readonly Entry[];
  readonly #receipts: Receipt[];
  readonly #epochs: Epoch[];
  readonly #open: Lot[] = [];
  readonly #strata: Stratum[] = [];
  readonly #draws: Draw[] = [];
  readonly #askedTooLong: Receipt[] = [];
  /** The payers whose turn it is, in order, and what waits of each, the oldest first. */
  #turns: { payer: string; waiting: Receipt[] }[] = [];
  /** What was revealed of each chain, by the index of its commit, in order. */
  readonly #values = new Map<number, Uint8Array[]>();
  /** Reveals that did not come, each with an index of the day of its lot. */
  readonly missing: { verifier: string; at: number }[] = [];

  constructor(entries: readonly Entry[]) {
    this.#entries = entries;
    this.#log = new SlowLog(entries);
    const epochs = this.#log.epochs();
    this.#epochs = epochs.filter(({ size }, i) => epochs.slice(0, i).every((before) => before.size < size) && size > 0);
    this.#receipts = this.#log.receipts().receipts.map((receipt) => {
      const entry = entries[receipt.at];
      if (entry?.kind !== "receipt") throw new Error("a receipt is where it is");
      const { says } = parseAuthorization(entry.says.authorization);
      const grant = this.#log.session(hex(says.session), entries.length);
      const openable =
        entry.says.status === "ok" &&
        entry.says.provenance === "executed" &&
        says.openness === "lot" &&
        says.request.alg === "sha256" &&
        this.#log.publication(receipt.model, receipt.at) !== undefined;
      return {
        ...receipt,
        node: hex(entry.signed.keyId),
        gateway: grant === undefined ? "" : hex(grant.entry.signed.keyId),
        isValid: receipt.exclusion === undefined,
        openable,
        asked: openable && says.tier === "reexecuted",
      };
    });
    for (const [at, entry] of entries.entries()) {
      const ordinal = this.#epochs.findIndex((epoch) => epoch.at === at);
      const epoch = this.#epochs[ordinal];
      if (epoch !== undefined) this.#atEpoch(epoch, ordinal);
      else if (entry.kind === "lot" && entry.says.action === "reveal") this.#atReveal(at, hex(entry.signed.keyId));
    }
  }

  dayOf({ at }: { at: number }): string {
    const timeSeconds = this.#timeOf(at, this.#entries.length);
    return timeSeconds === undefined ? "open" : dayOf(timeSeconds);
  }

  /** The time that the log had told by `end`. */
  #nowAt(end: number): number {
    return this.#epochs.findLast(({ at }) => at < end)?.timeSeconds ?? 0;
  }

  #timeOf(at: number, end: number): number | undefined {
    return this.#epochs.find((epoch) => epoch.size > at && epoch.at < end)?.timeSeconds;
  }

  #atEpoch(epoch: Epoch, ordinal: number): void {
    for (const lot of [...this.#open]) if (ordinal - lot.ordinal >= 6) this.#close(lot, epoch.at, epoch.timeSeconds);
    const isOver = (receipt: Receipt) =>
      (this.#timeOf(receipt.at, epoch.at) ?? epoch.timeSeconds) + DAY_SECONDS <= epoch.timeSeconds;
    for (const list of [...this.#turns.map(({ waiting }) => waiting), ...this.#open.map(({ asked }) => asked)])
      this.#askedTooLong.push(...list.filter(isOver));
    for (const turn of this.#turns) turn.waiting = turn.waiting.filter((receipt) => !isOver(receipt));
    for (const lot of this.#open) lot.asked = lot.asked.filter((receipt) => !isOver(receipt));
    const from = this.#epochs[ordinal - 1]?.size ?? 0;
    const covered = this.#receipts.filter(({ at, openable }) => openable && at >= from && at < epoch.size);
    for (const receipt of covered) if (receipt.asked) this.#queue(receipt);
    const population = covered.filter(({ asked }) => !asked);
    const asked = this.#takeTurns();
    if (population.length + asked.length === 0) return;
    const chains = this.#chainsAt(epoch, this.#epochs[ordinal - 1]?.at ?? 0);
    const lot = { epoch, ordinal, chains, reveals: new Map(), population, asked };
    this.#open.push(lot);
    if (chains.size === 0) this.#close(lot, epoch.at, epoch.timeSeconds);
  }

  #queue(receipt: Receipt): void {
    const turn = this.#turns.find(({ payer }) => payer === receipt.payer);
    if (turn === undefined) this.#turns.push({ payer: receipt.payer, waiting: [receipt] });
    else turn.waiting.push(receipt);
  }

  #takeTurns(): Receipt[] {
    const taken: Receipt[] = [];
    this.#turns = this.#turns.filter(({ waiting }) => waiting.length > 0);
    while (taken.length < 64) {
      const turn = this.#turns.shift();
      const oldest = turn?.waiting.shift();
      if (turn === undefined || oldest === undefined) break;
      taken.push(oldest);
      if (turn.waiting.length > 0) this.#turns.push(turn);
    }
    return taken;
  }

  /** Who takes part in the lot of `epoch`, by which commit; `before` is the index of the epoch before it. */
  #chainsAt({ at, timeSeconds }: Epoch, before: number): Map<string, number> {
    const commits = this.#log.all("lot").filter((some) => some.entry.says.action === "commit");
    const verifiers = [...new Set(commits.map(({ entry }) => hex(entry.signed.keyId)))].sort();
    const chains = new Map<string, number>();
    for (const verifier of verifiers) {
      if (this.#log.roleAt(verifier, at) !== "verifier" || this.#isRetired(verifier, at)) continue;
      if (!this.#isRelied("key", verifier, timeSeconds, at)) continue;
      const commit = commits.findLast((some) => some.at < before && hex(some.entry.signed.keyId) === verifier);
      if (commit?.entry.says.action !== "commit") continue;
      const owed = this.#open.filter((lot) => lot.chains.get(verifier) === commit.at && !lot.reveals.has(verifier));
      if (this.#revealed(commit.at).length + owed.length < commit.entry.says.length) chains.set(verifier, commit.at);
    }
    return chains;
  }

  #revealed(commit: number): Uint8Array[] {
    const values = this.#values.get(commit) ?? [];
    this.#values.set(commit, values);
    return values;
  }

  #atReveal(at: number, verifier: string): void {
    const entry = this.#entries[at];
    if (entry?.kind !== "lot" || entry.says.action !== "reveal") return;
    const lot = this.#open.find(({ chains, reveals }) => chains.has(verifier) && !reveals.has(verifier));
    const commit = lot?.chains.get(verifier);
    if (lot === undefined || commit === undefined || lot.epoch.at !== entry.says.epoch) return;
    const committed = this.#entries[commit];
    if (committed?.kind !== "lot" || committed.says.action !== "commit") return;
    const last = this.#revealed(commit).at(-1) ?? committed.says.anchor;
    if (!precedes(entry.says.value, last)) return;
    this.#revealed(commit).push(entry.says.value);
    lot.reveals.set(verifier, entry.says.value);
    if (lot.reveals.size === lot.chains.size) this.#close(lot, at, this.#nowAt(at));
  }

  #close(lot: Lot, at: number, nowSeconds: number): void {
    this.#open.splice(this.#open.indexOf(lot), 1);
    const { epoch } = lot;
    const revealing = [...lot.chains.keys()].filter((verifier) => lot.reveals.has(verifier));
    for (const verifier of lot.chains.keys())
      if (!lot.reveals.has(verifier)) this.missing.push({ verifier, at: epoch.size - 1 });
    const reveals = revealing.map((verifier) => ({
      verifier: bytesOf(verifier),
      value: lot.reveals.get(verifier) ?? new Uint8Array(0),
    }));
    const entry = this.#entries[epoch.at];
    const seed = lotSeedOf(sha256(entry?.signed.bytes ?? new Uint8Array(0)), reveals);
    const drawOf = (receipt: Receipt, untilSeconds: number): Draw => {
      const verifier = revealing[verifierIndexOf(ticketOf(seed, bytesOf(receipt.id)), revealing.length)] ?? "";
      return { receipt, verifier, epoch: epoch.at, at, untilSeconds };
    };
    for (const model of [...new Set(lot.population.map((receipt) => receipt.model))]) {
      const all = lot.population.filter((receipt) => receipt.model === model);
      const ticket = ({ id }: Receipt) => hex(ticketOf(seed, bytesOf(id)));
      const byTicket = [...all].sort((a, b) => (ticket(a) < ticket(b) ? -1 : 1));
      const due = revealing.length === 0 ? 0 : dueOf(this.#windowAt(model, at), all.length);
      const draws = byTicket.slice(0, due).map((receipt) => drawOf(receipt, nowSeconds + DAY_SECONDS));
      this.#draws.push(...draws);
      this.#strata.push({ epoch, at, model, population: all.length, draws });
    }
    for (const receipt of lot.asked)
      if (revealing.length === 0) this.#queue(receipt);
      else this.#draws.push(drawOf(receipt, (this.#timeOf(receipt.at, at + 1) ?? 0) + DAY_SECONDS));
  }

  /** Whether no epoch has said a time of a day after its own since its lot was closed. */
  #isRecent(stratum: Stratum, end: number): boolean {
    const untilSeconds = stratum.epoch.timeSeconds + DAY_SECONDS;
    return !this.#epochs.some(({ at, timeSeconds }) => at > stratum.at && at <= end && timeSeconds >= untilSeconds);
  }

  #windowAt(model: string, end: number): Shapes {
    const strata = this.#strata.filter((some) => some.model === model && this.#isRecent(some, end));
    return shapesOf(
      strata.map(({ population, draws }) => ({ population, checked: draws.length - this.#lost(draws, end) })),
    );
  }

  #lost(draws: readonly Draw[], end: number): number {
    return draws.filter(({ receipt }) => this.#verdict(receipt, end).drawn === "lost").length;
  }

  #isRetired(key: string, at: number): boolean {
    const isIts = (some: { at: number; entry: EntryOf<"key"> }) => hex(keyId(some.entry.says.spki)) === key;
    const enrolled = this.#log.all("key").find((some) => isIts(some) && some.entry.says.action === "enrol");
    const retired = this.#log
      .all("key")
      .filter((some) => isIts(some) && some.at < at && some.entry.says.action === "retire");
    return retired.some((some) => enrolled !== undefined && some.at > enrolled.at);
  }

  #isRelied(kind: RootKind, root: string, timeSeconds: number | undefined, end: number): boolean {
    return !this.#log
      .all("revocation")
      .some(
        ({ at, entry: { says } }) =>
          at < end &&
          says.kind === kind &&
          hex(says.root) === root &&
          (timeSeconds === undefined || timeSeconds >= (says.since ?? 0)),
      );
  }

  /** The epoch at which a check that was drawn has not come. */
  #omission({ at, untilSeconds }: Draw, end: number): number | undefined {
    return this.#epochs.find((epoch) => epoch.at >= at && epoch.at < end && epoch.timeSeconds >= untilSeconds)?.at;
  }

  #drawOf({ id }: Receipt, end: number): Draw | undefined {
    return this.#draws.find((draw) => draw.receipt.id === id && draw.at < end);
  }

  /** The verifications of a receipt that count. */
  #checks(receipt: Receipt, end: number): Check[] {
    const draw = this.#drawOf(receipt, end);
    const all = this.#log
      .all("verification")
      .map(({ at, entry }) => ({ at, entry, verifier: hex(entry.signed.keyId) }))
      .filter(
        ({ at, entry, verifier }) =>
          at > receipt.at && at < end && hex(entry.says.receipt) === receipt.id && verifier !== receipt.node,
      );
    const namesDraw = ({ at, entry, verifier }: (typeof all)[number]) =>
      draw !== undefined && draw.at < at && draw.verifier === verifier && draw.epoch === entry.says.epoch;
    const isAnswered =
      draw !== undefined && all.some((some) => namesDraw(some) && this.#omission(draw, some.at) === undefined);
    return all
      .map((some) => ({ ...some, drawn: isAnswered && namesDraw(some) }))
      .filter(
        (check, i, counted) =>
          counted.findIndex(({ verifier, drawn }) => verifier === check.verifier && drawn === check.drawn) === i,
      );
  }

  #isDecided(receipt: Receipt, outcome: "upheld" | "rejected", timeSeconds: number | undefined, end: number): boolean {
    const disputes = this.#log
      .all("dispute")
      .filter(({ at, entry }) => at > receipt.at && at < end && hex(entry.says.receipt) === receipt.id);
    const firsts = disputes.filter(
      ({ entry }, i) => disputes.findIndex((other) => hex(other.entry.signed.keyId) === hex(entry.signed.keyId)) === i,
    );
    return firsts.some((dispute) => {
      const id = hex(signedId(dispute.entry.signed));
      const decision = this.#log
        .all("resolution")
        .find(
          ({ at, entry: { says } }) =>
            at > dispute.at && at < end && hex(says.dispute) === id && says.outcome !== "undecided",
        );
      return (
        decision?.entry.says.outcome === outcome &&
        this.#isRelied("key", hex(decision.entry.signed.keyId), timeSeconds, end)
      );
    });
  }

  #rootsOf({ entry: { says }, verifier }: Check): [RootKind, string][] {
    return [
      ["key", verifier],
      ...(says.profile === undefined ? [] : ([["judge", hex(says.profile.binary)]] as [RootKind, string][])),
      ...(says.ceremony === undefined ? [] : ([["ceremony", hex(says.ceremony)]] as [RootKind, string][])),
    ];
  }

  #verdict(receipt: Receipt, end: number): Verdict {
    const timeSeconds = this.#timeOf(receipt.at, end);
    const draw = this.#drawOf(receipt, end);
    const checks = this.#checks(receipt, end);
    const upheld = this.#isDecided(receipt, "upheld", timeSeconds, end);
    const rejected = !upheld && this.#isDecided(receipt, "rejected", timeSeconds, end);
    const isSound = (check: Check) =>
      this.#rootsOf(check).every(([kind, root]) => this.#isRelied(kind, root, timeSeconds, end));
    const outcomeOf = ({ entry: { says } }: Check) =>
      rejected && says.outcome === "failed" ? "undecided" : says.outcome;
    const isFailure = (check: Check) => outcomeOf(check) === "failed" || outcomeOf(check) === "unopened";
    const answer = checks.find(({ drawn }) => drawn);
    const requested = checks.filter((check) => !check.drawn && isSound(check));
    const omitted = draw !== undefined && answer === undefined && this.#omission(draw, end) !== undefined;
    const isAnswered = answer !== undefined && isSound(answer);
    const drawn = () => {
      if (draw === undefined) return undefined;
      if (upheld) return "failed";
      if (isAnswered) return isFailure(answer) ? "failed" : outcomeOf(answer) === "passed" ? "passed" : "lost";
      return answer !== undefined || omitted ? "lost" : undefined;
    };
    return {
      drawn: drawn(),
      unopened: isAnswered && outcomeOf(answer) === "unopened",
      undecided: isAnswered && outcomeOf(answer) === "undecided",
      ...{ omitted, upheld },
      requested: requested.some(isFailure)
        ? "failed"
        : requested.some((check) => outcomeOf(check) === "passed")
          ? "passed"
          : undefined,
    };
  }

  /** The highest tier for which there is a ground that is relied on. */
  #gradeOf(receipt: Receipt): Grade {
    const end = this.#entries.length;
    const timeSeconds = this.#timeOf(receipt.at, end);
    const isRelied = (kind: RootKind, root: string) => this.#isRelied(kind, root, timeSeconds, end);
    const isSigned = isRelied("key", receipt.node) && isRelied("key", receipt.gateway);
    const checks = this.#checks(receipt, end).filter((check) =>
      this.#rootsOf(check).every(([kind, root]) => isRelied(kind, root)),
    );
    const isRefuted =
      this.#isDecided(receipt, "upheld", timeSeconds, end) ||
      (!this.#isDecided(receipt, "rejected", timeSeconds, end) &&
        checks.some(({ entry: { says } }) => says.outcome === "failed" && says.method !== "proof"));
    if (!isRefuted) {
      const passed = checks.filter(({ entry }) => entry.says.outcome === "passed").map(({ entry }) => entry.says);
      if (passed.some(({ method, ceremony }) => method === "proof" && ceremony !== undefined)) return "proved";
      if (passed.some(({ method, profile }) => method !== "proof" && profile !== undefined)) return "reexecuted";
      if (isSigned && this.#isAttested(receipt, timeSeconds, isRelied)) return "attested";
    }
    return isSigned ? "signed" : "none";
  }

  #isAttested(
    { at: before, node }: Receipt,
    timeSeconds: number | undefined,
    isRelied: (kind: RootKind, root: string) => boolean,
  ): boolean {
    const appraisals = this.#log
      .all("appraisal")
      .filter(
        ({ at, entry: { says, signed } }) =>
          at < before &&
          hex(says.key) === node &&
          hex(signed.keyId) !== node &&
          this.#log.roleAt(node, at) === "node" &&
          says.technology !== "simulated" &&
          says.technology !== "hopper",
      )
      .map(({ entry }) => entry);
    const last = appraisals.filter(
      ({ says }, i) => appraisals.findLastIndex((other) => other.says.technology === says.technology) === i,
    );
    return last.some(({ says, signed }) => {
      if (says.outcome !== "passed" || (timeSeconds !== undefined && timeSeconds > says.expiry)) return false;
      const references = this.#log
        .all("reference")
        .filter(({ at, entry }) => at < before && entry.says.technology === says.technology)
        .filter(({ entry }) => hex(entry.says.measurement) === hex(says.measurement));
      const approving = references.filter(
        ({ entry }, i) =>
          entry.says.action === "approve" &&
          references.findLastIndex((other) => hex(other.entry.signed.keyId) === hex(entry.signed.keyId)) === i,
      );
      return (
        isRelied("vendor", hex(says.root)) &&
        isRelied("release", hex(says.measurement)) &&
        isRelied("key", hex(signed.keyId)) &&
        approving.some(({ entry }) => isRelied("key", hex(entry.signed.keyId)))
      );
    });
  }

  /** Of the receipts with a time, what each counts as. */
  #verdicts(): { receipt: Receipt; verdict: Verdict; isDrawn: boolean }[] {
    const end = this.#entries.length;
    return this.#receipts
      .filter(({ at }) => this.#timeOf(at, end) !== undefined)
      .map((receipt) => ({
        receipt,
        verdict: this.#verdict(receipt, end),
        isDrawn: this.#drawOf(receipt, end) !== undefined,
      }));
  }

  coverage(is: (item: { at: number; model: string }) => boolean): CoverageFigures {
    const end = this.#entries.length;
    const valid = this.#receipts.filter((receipt) => receipt.isValid && is(receipt));
    const tiers = { none: 0, signed: 0, attested: 0, reexecuted: 0, proved: 0 };
    for (const receipt of valid) tiers[this.#gradeOf(receipt)]++;
    const all = this.#verdicts().filter(({ receipt }) => is(receipt));
    const countsOf = (isOf: (one: (typeof all)[number]) => boolean) => {
      const count = (has: (verdict: Verdict) => boolean) =>
        all.filter((one) => one.isDrawn && isOf(one) && has(one.verdict)).length;
      return {
        drawn: count(() => true),
        checked: count(({ drawn }) => drawn === "passed" || drawn === "failed"),
        failures: count(({ drawn }) => drawn === "failed"),
        unopened: count(({ unopened }) => unopened),
        omitted: count(({ omitted }) => omitted),
        undecided: count(({ undecided }) => undecided),
      };
    };
    const strata = this.#strata.filter(({ epoch, model }) => is({ at: epoch.size - 1, model }));
    const counts = countsOf(({ receipt }) => !receipt.asked);
    const asked = countsOf(({ receipt }) => receipt.asked);
    const population = all.filter(({ receipt }) => receipt.asked).length;
    const tooLong = this.#askedTooLong.filter(is).length;
    const isRequested = (word: Verdict["requested"]) => all.filter(({ verdict }) => verdict.requested === word).length;
    const settled = strata.filter((stratum) => this.#isSettled(stratum, end));
    const shapes = shapesOf(settled.map(({ population, draws }) => ({ population, checked: draws.length })));
    const lost = settled.reduce((sum, { draws }) => sum + this.#lost(draws, end), 0);
    return {
      tiers,
      unopenable: valid.filter(({ openable }) => !openable).length,
      population: sumOf(strata),
      ...counts,
      undrawnEpochs: strata.filter(({ draws }) => draws.length === 0).length,
      asked: { population, waiting: population - asked.drawn - tooLong, ...asked, omitted: asked.omitted + tooLong },
      requested: isRequested("passed") + isRequested("failed"),
      requestedFailures: isRequested("failed"),
      disputesUpheld: all.filter(({ verdict }) => verdict.upheld).length,
      settled: sumOf(settled),
      upperBound: upperBound(shapes, counts.failures + lost),
    };
  }

  #isSettled({ draws }: Stratum, end: number): boolean {
    return draws.every(({ receipt }) => this.#verdict(receipt, end).drawn !== undefined);
  }

  recent(revision: string): Figures["models"][number]["verification"]["recent"] {
    const end = this.#entries.length;
    const strata = this.#strata.filter((some) => some.model === revision && this.#isRecent(some, end));
    const verdicts = strata.flatMap(({ draws }) => draws.map(({ receipt }) => this.#verdict(receipt, end).drawn));
    const settled = strata.filter((stratum) => this.#isSettled(stratum, end));
    const shapes = shapesOf(settled.map(({ population, draws }) => ({ population, checked: draws.length })));
    const lost = settled.reduce((sum, { draws }) => sum + this.#lost(draws, end), 0);
    const failures = verdicts.filter((drawn) => drawn === "failed").length;
    return {
      population: sumOf(strata),
      checked: verdicts.filter((drawn) => drawn === "passed" || drawn === "failed").length,
      failures,
      settled: sumOf(settled),
      upperBound: upperBound(shapes, failures + lost),
    };
  }

  #nameOf(key: string): string {
    return this.#log.all("key").find(({ entry }) => hex(keyId(entry.says.spki)) === key)?.entry.says.name ?? "";
  }

  nodes(): Figures["nodes"] {
    const all = this.#verdicts();
    const keys = [...new Set(all.map(({ receipt }) => receipt.node))].sort();
    const rows = keys.map((key) => {
      const own = all.filter(({ receipt }) => receipt.node === key).map(({ verdict }) => verdict);
      const wasChecked = ({ drawn, requested }: Verdict) =>
        drawn === "passed" || drawn === "failed" || requested !== undefined;
      return {
        ...{ key, name: this.#nameOf(key), checked: own.filter(wasChecked).length },
        failures: own.filter(({ drawn, requested }) => drawn === "failed" || requested === "failed").length,
        unopened: own.filter(({ unopened }) => unopened).length,
        disputesUpheld: own.filter(({ upheld }) => upheld).length,
      };
    });
    return rows.filter(isKnown);
  }

  verifiers(): Figures["verifiers"] {
    const end = this.#entries.length;
    const checks = this.#receipts.flatMap((receipt) => this.#checks(receipt, end));
    const inLots = this.#log.all("lot").map(({ entry }) => hex(entry.signed.keyId));
    const keys = [...new Set([...inLots, ...checks.map(({ verifier }) => verifier)])].sort();
    return keys.map((key) => {
      const own = checks.filter(({ verifier }) => verifier === key);
      const outcomes = (outcome: string) => own.filter(({ entry }) => entry.says.outcome === outcome).length;
      const draws = this.#draws.filter(({ verifier }) => verifier === key);
      const unanswered = draws.filter(({ receipt }) => !this.#checks(receipt, end).some(({ drawn }) => drawn));
      const omitted = unanswered.filter((draw) => this.#omission(draw, end) !== undefined).length;
      return {
        ...{ key, name: this.#nameOf(key), waiting: unanswered.length - omitted },
        ...{ passed: outcomes("passed"), failed: outcomes("failed") },
        ...{ unopened: outcomes("unopened"), undecided: outcomes("undecided"), omitted },
        missingReveals: this.missing.filter(({ verifier }) => verifier === key).length,
        costMicroseconds: own.reduce((sum, { entry }) => sum + entry.says.cost, 0),
      };
    });
  }

  independent(): number {
    const end = this.#entries.length;
    const timeSeconds = this.#epochs.at(-1)?.timeSeconds;
    const keys = new Set(this.#log.all("key").map(({ entry }) => hex(keyId(entry.says.spki))));
    return [...keys].filter(
      (key) =>
        this.#log.roleAt(key, end) === "verifier" &&
        !this.#isRetired(key, end) &&
        this.#isRelied("key", key, timeSeconds, end) &&
        !this.#nameOf(key).startsWith("local-"),
    ).length;
  }
}

const sumOf = (strata: readonly { population: number }[]) =>
  strata.reduce((sum, { population }) => sum + population, 0);

function shapesOf(strata: readonly { population: number; checked: number }[]): Shapes {
  const shapes: Shapes = new Map();
  for (const { population, checked } of strata)
    shapes.set(`${population} ${checked}`, (shapes.get(`${population} ${checked}`) ?? 0) + 1);
  return shapes;
}
