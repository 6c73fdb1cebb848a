/**
 * The figures of docs/spec/usage.md by their definitions: each is asked of the whole log, with no state kept between
 * entries. Quadratic, and the second road to what the fold gives.
 */
import {
  type AuthorizationPayload,
  type Counts,
  type Custody,
  type Entry,
  type EntryOf,
  type Exclusion,
  type Figures,
  hex,
  keyId,
  type Manifest,
  type ModelFigures,
  type ModelPayload,
  parseAuthorization,
  parseCheckpoint,
  parseManifest,
  parsePolicy,
  type ReceiptPayload,
  type Role,
  sha256,
  signedId,
} from "@tallystick/protocol";
import { slowClusters } from "./slow-clusters.ts";
import { type Bill, SlowMoney } from "./slow-money.ts";

type At<K extends Entry["kind"]> = { at: number; entry: EntryOf<K> };
type Receipt = {
  at: number;
  id: string;
  model: string;
  custody: Custody;
  payer: string;
  decision: string;
  exclusion: Exclusion | undefined;
};

type Plain<T> = Omit<T, "verification" | "demand">;
/** The figures without those of verification and of demand, which have slow roads of their own, and without closed days. */
export type PlainFigures = Omit<
  Figures,
  "totals" | "days" | "models" | "closedDays" | "nodes" | "verifiers" | "independentVerifiers"
> & { totals: Plain<Figures["totals"]>; days: Plain<Figures["days"][number]>[]; models: Plain<ModelFigures>[] };

/** What of the fold's figures the slow ones are held to. */
export function plainOf(figures: Figures): PlainFigures {
  const { closedDays: _, nodes: __, verifiers: ___, independentVerifiers: ____, ...rest } = figures;
  const plain = <T extends { verification: unknown; demand: unknown }>(all: T): Plain<T> => {
    const { verification: _, demand: __, ...others } = all;
    return others;
  };
  return { ...rest, totals: plain(rest.totals), days: rest.days.map(plain), models: rest.models.map(plain) };
}

export function slowFigures(entries: readonly Entry[]): PlainFigures {
  const log = new SlowLog(entries);
  const { receipts, bills } = log.receipts();
  const money = new SlowMoney(entries, bills);
  const revenues = money.revenues();
  const acknowledged = receipts.flatMap((receipt) => {
    const first = log
      .all("acknowledgement")
      .find(({ at, entry }) => at > receipt.at && hex(entry.says.receipt) === receipt.id);
    return receipt.exclusion === undefined && first !== undefined ? [{ ...receipt, at: first.at }] : [];
  });
  const isOneParty = slowClusters(log, money);
  const isOutside = (relier: string, { at, id, model }: Receipt) => {
    const node = log.all("receipt").find((some) => some.at === at)?.entry.signed.keyId;
    const publisher = log.publication(model, entries.length)?.entry.signed.keyId;
    const checks = log.all("verification").filter((some) => some.at > at && hex(some.entry.says.receipt) === id);
    const verifiers = checks.map(({ entry }) => entry.signed.keyId).filter((key) => hex(key) !== hex(node ?? key));
    const interested = [node, publisher, ...verifiers].flatMap((key) => (key === undefined ? [] : hex(key)));
    return !interested.some((party) => isOneParty(relier, party));
  };
  const isTakenBack = (relier: string, decision: string | undefined) =>
    log.all("reversal").some((reversal) => {
      const of = receipts.find((some) => some.at < reversal.at && some.id === hex(reversal.entry.says.receipt));
      return hex(reversal.entry.signed.keyId) === relier && of?.decision === decision;
    });
  const reliances = log.all("reliance").flatMap(({ at, entry }) => {
    const receipt = receipts.find((some) => some.at < at && some.id === hex(entry.says.receipt));
    const relier = hex(entry.signed.keyId);
    if (receipt === undefined || receipt.exclusion !== undefined || (entry.says.class ?? "stated") !== "stated")
      return [];
    const relies = log.roleAt(relier, at) === "relier" && !isTakenBack(relier, receipt.decision);
    return relies && isOutside(relier, receipt) ? [{ ...receipt, at }] : [];
  });
  const isFirst = <T>(all: readonly T[], nameOf: (item: T) => string) =>
    all.filter((item, i) => all.findIndex((other) => nameOf(other) === nameOf(item)) === i);
  const decisions = isFirst(reliances, ({ decision }) => decision);
  const decisionsOfModels = isFirst(reliances, ({ decision, model }) => `${decision} ${model}`);

  type Is = (item: Pick<Receipt, "at" | "model">) => boolean;
  const countsOf = (is: Is, relied: number): Counts => {
    const own = receipts.filter(is);
    const valid = own.filter(({ exclusion }) => exclusion === undefined);
    return {
      gross: own.length,
      valid: valid.length,
      requesters: new Set(valid.map(({ payer }) => payer)).size,
      acknowledged: acknowledged.filter(is).length,
      decisionsReliedOn: relied,
      decisionsEnforced: 0,
      revenue: money.revenueOf(revenues.filter(is)),
    };
  };
  const events = [...receipts, ...acknowledged, ...decisionsOfModels, ...revenues];
  const sorted = (names: string[]) => [...new Set(names)].sort();
  const days = sorted(events.map(({ at }) => log.dayOf(at)));
  const isOfDay = (day: string) => (item: Pick<Receipt, "at">) => log.dayOf(item.at) === day;
  const asOfSeconds = log.latestTime();
  const today = asOfSeconds === null ? null : dayOfTime(asOfSeconds);
  const models = log.models().map(({ revision, manifest, yanked }): Plain<ModelFigures> => {
    const is: Is = ({ model }) => model === revision;
    const from = asOfSeconds === null ? "" : dayOfTime(asOfSeconds - 30 * 86_400);
    const used = receipts.filter((some) => is(some) && some.exclusion === undefined).map(({ at }) => log.dayOf(at));
    const lastUsedDay = used.sort().at(-1) ?? null;
    const { name, version, category } = manifest;
    const state = yanked ? "yanked" : used.some((day) => day > from) ? "active" : "idle";
    const relied = decisionsOfModels.filter(is).length;
    return { rank: 0, name, version, revision, category, state, lastUsedDay, ...countsOf(is, relied) };
  });
  const rankOf = (model: Plain<ModelFigures>) => [-model.decisionsReliedOn, -model.valid, -model.gross];
  models.sort((a, b) => {
    const [x, y] = [rankOf(a), rankOf(b)];
    const differs = x.findIndex((value, i) => value !== y[i]);
    if (differs >= 0) return (x[differs] ?? 0) - (y[differs] ?? 0);
    return a.name !== b.name ? (a.name < b.name ? -1 : 1) : a.revision < b.revision ? -1 : 1;
  });
  const stateCount = (state: string) => models.filter((model) => model.state === state).length;
  const reasons = sorted(receipts.flatMap(({ exclusion }) => exclusion ?? [])).map((reason) => [
    reason,
    receipts.filter(({ exclusion }) => exclusion === reason).length,
  ]);
  return {
    rules: "tallystick-usage-v7",
    size: entries.length,
    asOfSeconds,
    today,
    totals: {
      ...countsOf(() => true, decisions.length),
      models: stateCount("active") + stateCount("idle"),
      activeModels: stateCount("active"),
      idleModels: stateCount("idle"),
    },
    days: days.map((day) => ({ day, ...countsOf(isOfDay(day), decisions.filter(isOfDay(day)).length) })),
    models: models.map((model, i) => ({ ...model, rank: i + 1 })),
    exclusions: Object.fromEntries(reasons),
    equivocations: log.equivocations(),
    credits: money.credits(),
    earnings: money.earnings((key) => log.roleAt(key, entries.length) ?? null),
    settlementFaults: money.faults(),
    clock: log.clock(),
  };
}

/** What the publisher asks for so many units, in millionths, rounded up. */
function slowPrice(published: ModelPayload | undefined, { units, outputUnits = 0 }: ReceiptPayload): bigint {
  if (published === undefined) return 0n;
  const { price = 0n, unitPrice = 0n, outputUnitPrice = 0n } = published;
  let millionths = price * 1_000_000n + unitPrice * BigInt(units) + outputUnitPrice * BigInt(outputUnits);
  while (millionths % 1_000_000n !== 0n) millionths++;
  return millionths / 1_000_000n;
}

function dayOfTime(timeSeconds: number): string {
  return new Date(timeSeconds * 1000).toISOString().slice(0, 10);
}

/** What the whole log says about one thing at one index. */
export class SlowLog {
  readonly #entries: readonly Entry[];

  constructor(entries: readonly Entry[]) {
    this.#entries = entries;
  }

  all<K extends Entry["kind"]>(kind: K): At<K>[] {
    return this.#entries.flatMap((entry, at) => (isOf(kind, entry) ? [{ at, entry }] : []));
  }

  /** Receipt ids with two different statements under them that the first one's key signed. */
  equivocations(): number {
    const receipts = this.all("receipt").map(({ entry }) => ({
      id: hex(signedId(parseAuthorization(entry.says.authorization).signed)),
      statement: hex(signedId(entry.signed)),
      node: hex(entry.signed.keyId),
    }));
    const first = receipts.filter((some, i) => receipts.findIndex(({ id }) => id === some.id) === i);
    const isSaidAnew = ({ id, node, statement }: (typeof receipts)[number]) =>
      receipts.some((other) => other.id === id && other.node === node && other.statement !== statement);
    return first.filter(isSaidAnew).length;
  }

  clock(): "log" | "witnesses" {
    const asks = this.all("policy").map(({ entry }) => parsePolicy(entry.says.policy).quorum.kind !== "none");
    return asks.at(-1) === true ? "witnesses" : "log";
  }

  roleAt(key: string, at: number): Role | undefined {
    return this.all("key").find(
      (some) => some.at < at && some.entry.says.action === "enrol" && hex(keyId(some.entry.says.spki)) === key,
    )?.entry.says.role;
  }

  /** The entry that publishes `revision`: the first with a manifest that is it. */
  publication(revision: string, at: number): (At<"model"> & { manifest: Manifest }) | undefined {
    for (const some of this.all("model")) {
      const { action, manifest } = some.entry.says;
      if (some.at >= at || action !== "publish" || manifest === undefined) continue;
      if (hex(some.entry.says.revision) !== revision || hex(sha256(manifest)) !== revision) continue;
      const parsed = orUndefined(() => parseManifest(manifest));
      if (parsed !== undefined) return { ...some, manifest: parsed };
    }
    return undefined;
  }

  #isYanked(revision: string, at: number): boolean {
    const published = this.publication(revision, at);
    return this.all("model").some(
      ({ at: yankAt, entry }) =>
        published !== undefined &&
        published.at < yankAt &&
        yankAt < at &&
        entry.says.action === "yank" &&
        hex(entry.says.revision) === revision &&
        hex(entry.signed.keyId) === hex(published.entry.signed.keyId),
    );
  }

  models(): { revision: string; manifest: Manifest; yanked: boolean }[] {
    const end = this.#entries.length;
    const revisions = new Set(this.all("model").map(({ entry }) => hex(entry.says.revision)));
    return [...revisions].flatMap((revision) => {
      const published = this.publication(revision, end);
      if (published === undefined) return [];
      return [{ revision, manifest: published.manifest, yanked: this.#isYanked(revision, end) }];
    });
  }

  session(id: string, at: number): At<"grant"> | undefined {
    return this.all("grant").find((some) => some.at < at && hex(signedId(some.entry.signed)) === id);
  }

  /** The receipts, each at its lowest index, and what those cost that cost anything. */
  receipts(): { receipts: Receipt[]; bills: Bill[] } {
    const bills: Bill[] = [];
    const asked = this.all("receipt").flatMap(({ at, entry }) => {
      const authorization = orUndefined(() => parseAuthorization(entry.says.authorization));
      if (authorization === undefined) return [];
      const grant = this.session(hex(authorization.says.session), at);
      const sessionKey = grant && hex(keyId(grant.entry.says.sessionKey));
      const known = sessionKey === hex(authorization.signed.keyId);
      return [{ at, entry, authorization, id: hex(signedId(authorization.signed)), grant, known }];
    });
    const unique = asked.filter(({ id }, i) => asked.findIndex((other) => other.id === id) === i);
    const nonceOf = (some: (typeof unique)[number]) =>
      `${hex(some.authorization.says.session)} ${some.authorization.says.nonce}`;
    const receipts = unique.map((some): Receipt => {
      const { at, entry, id, grant, known } = some;
      const { says } = some.authorization;
      const revision = hex(says.revision);
      const operator = grant && this.roleAt(hex(keyId(grant.entry.says.sessionKey)), grant.at);
      const { price } = entry.says;
      const published = this.publication(revision, at);
      const publication = published?.entry;
      const upstream = published?.manifest.upstream;
      const session = hex(says.session);
      const payerTag = grant === undefined ? "" : hex(grant.entry.says.payerTag);
      const sessionSpent = bills.reduce((sum, bill) => (bill.session === session ? sum + bill.price : sum), 0n);
      const left = new SlowMoney(this.#entries.slice(0, at), bills).balanceOf(payerTag);
      const reasons: [Exclusion, boolean][] = [
        ["unknown_session", !known],
        ["reused_nonce", unique.some((other) => other.known && other.at < at && nonceOf(other) === nonceOf(some))],
        ["unknown_node", this.roleAt(hex(entry.signed.keyId), at) !== "node"],
        ["unknown_model", this.publication(revision, at) === undefined],
        ["yanked_model", this.#isYanked(revision, at)],
        ["not_ok", entry.says.status !== "ok"],
        [
          "broken_terms",
          entry.says.price > says.maxPrice ||
            !isWithinReach(says, published?.manifest) ||
            !isOnLadder(entry.says.units) ||
            !isOnLadder(entry.says.outputUnits ?? 0) ||
            says.expiry > (grant?.entry.says.expiry ?? 0) ||
            (entry.says.status === "ok") !== (entry.says.response !== undefined) ||
            (entry.says.status !== "ok" && (entry.says.price > 0n || entry.says.stream !== undefined)) ||
            entry.says.provenance !== (upstream === undefined ? "executed" : "relayed") ||
            (entry.says.upstream !== undefined && entry.says.upstream.name !== upstream),
        ],
        ["overpriced", price > slowPrice(publication?.says, entry.says)],
        [
          "unpaid",
          price > 0n &&
            (grant?.entry.says.paymentClass !== "credits" ||
              price > left ||
              sessionSpent + price > grant.entry.says.budget),
        ],
        ["test_traffic", says.traffic === "test"],
        ["probe_traffic", says.traffic === "probe"],
        ["self_dealing", operator !== undefined && !["relier", "disputer", "auditor"].includes(operator)],
      ];
      const payer = grant === undefined ? "" : hex(grant.entry.says.payerTag);
      const decision = says.decision === undefined ? id : `${payer} ${hex(says.decision)}`;
      const exclusion = reasons.find(([, holds]) => holds)?.[0];
      const custody = grant?.entry.says.custody ?? "gateway";
      const forNothing = reasons.slice(0, -3).some(([, holds]) => holds);
      if (price > 0n && !forNothing) {
        const gateway = grant === undefined ? "" : hex(grant.entry.signed.keyId);
        const payees = {
          node: hex(entry.signed.keyId),
          publisher: publication && hex(publication.signed.keyId),
          gateway,
        };
        const counts = exclusion === undefined;
        bills.push({ at, id, model: revision, payer, session, price, counts, ...payees });
      }
      return { at, id, model: publication === undefined ? "" : revision, custody, payer, decision, exclusion };
    });
    return { receipts, bills };
  }

  /** The epochs that say a time: how much of the log each covers, and when. */
  epochs(): { at: number; size: number; timeSeconds: number }[] {
    return this.all("epoch").flatMap(({ at, entry }) => {
      const checkpoint = orUndefined(() => parseCheckpoint(entry.says.checkpoint));
      if (checkpoint === undefined || checkpoint.size > at) return [];
      const times = checkpoint.note.signatures
        .filter(({ name, signature }) => name === checkpoint.origin && signature.length === 72)
        .map(({ signature }) => Number(Buffer.from(signature).readBigUInt64BE()))
        .filter((timeSeconds) => timeSeconds < 2 ** 32)
        .sort((a, b) => a - b);
      const median = times[Math.ceil(times.length / 2) - 1];
      return median === undefined ? [] : [{ at, size: checkpoint.size, timeSeconds: median }];
    });
  }

  dayOf(at: number): string {
    const epoch = this.epochs().find(({ size }) => size > at);
    return epoch === undefined ? "open" : dayOfTime(epoch.timeSeconds);
  }

  latestTime(): number | null {
    const epochs = this.epochs();
    const most = Math.max(...epochs.map(({ size }) => size));
    return epochs.find(({ size }) => size === most && size > 0)?.timeSeconds ?? null;
  }
}

function isOf<K extends Entry["kind"]>(kind: K, entry: Entry): entry is EntryOf<K> {
  return entry.kind === kind;
}

function orUndefined<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

/** Whether a count is 0 or, for a k up to 64, the least number whose square is not below 2^k. */
function isOnLadder(count: number): boolean {
  const square = (n: number) => BigInt(n) * BigInt(n);
  const isStep = (k: number) => square(count) >= 2n ** BigInt(k) && square(count - 1) < 2n ** BigInt(k);
  return count === 0 || Array.from({ length: 65 }, (_, k) => k).some(isStep);
}

/** Whether the tier asked for is one that answers of the model can come to. */
function isWithinReach(
  { tier, request, openness }: AuthorizationPayload,
  { circuit, engine, tolerance, upstream }: Partial<Manifest> = {},
): boolean {
  const canRunAgain = upstream === undefined && (tolerance !== undefined || engine === "judge");
  if (request.alg === "poseidon2") return tier === "proved" && circuit !== undefined;
  return tier === "signed" || (tier === "reexecuted" && openness === "lot" && canRunAgain);
}
