/**
 * The metrics of a day by their definitions (docs/usage.md): each is asked of the list of receipts and of what was said of them.
 * How a lane was judged, and who is of one cluster, is given. The second road to what a day's document has.
 */
import {
  dayOf,
  type Entry,
  type FoldState,
  hex,
  type Judgement,
  keyOf,
  type Lane,
  parseAuthorization,
  parseHex,
  type Quad,
  type Series,
  type Value,
} from "@tallystick/protocol";
import { SlowLog } from "./slow-figures.ts";
import { SlowMoney } from "./slow-money.ts";

const DAY_SECONDS = 86_400;
type Keys = [by: string, key: string][];
type Receipt = {
  at: number;
  id: string;
  seconds: number;
  day: string;
  rank: number;
  reason: string | undefined;
  keys: Keys;
  cluster: string | undefined;
  tag: string;
  model: string;
  node: string;
  seller: string;
  decision: string;
  units: number;
  outputUnits: number;
  price: bigint;
  subsidised: bigint;
  tier: string;
  lag: number | undefined;
};

/** A document's rows, flat: by "period start dimension key metric". */
export type FlatRows = Record<string, Quad>;

const STRATUM = [0, 1, 2, 3];
const four = (figureOf: (stratum: number) => Value): Quad => {
  const [gross = null, valid = null, organic = null, floor = null] = STRATUM.map(figureOf);
  return [gross, valid, organic, floor];
};
const fromValid = (figureOf: (stratum: number) => Value) => four((s) => (s === 0 ? null : figureOf(s)));
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const total = (values: readonly bigint[]) => values.reduce((a, b) => a + b, 0n);
/** A sum of counts: a text where no number is exact. */
const exact = (values: readonly number[]): Value => {
  const whole = total(values.map(BigInt));
  return whole > 2n ** 53n - 1n ? String(whole) : Number(whole);
};
const distinct = <T>(values: readonly T[]) => [...new Set(values)];
const counted = (names: readonly string[]) => distinct(names).map((name) => names.filter((n) => n === name).length);

/** To six digits, half up. */
function share(above: number | bigint, below: number | bigint): number | null {
  const [n, d] = [BigInt(above), BigInt(below)];
  if (d === 0n) return null;
  let millionths = (n * 1_000_000n) / d;
  if (2n * (n * 1_000_000n - millionths * d) >= d) millionths++;
  return Number(millionths) / 1e6;
}
const concentration = (amounts: readonly number[]) =>
  [sum(amounts.map((amount) => amount ** 2)), sum(amounts) ** 2] as const;

/** What of a log's prefix, the one at whose end `day` was closed, the document of `day` has. */
export class SlowMetrics {
  readonly #log: SlowLog;
  readonly #entries: readonly Entry[];
  readonly #fold: FoldState;
  readonly #series: Series;
  readonly #judgement: Judgement;
  readonly #day: string;
  readonly #all: Receipt[];
  readonly #money: SlowMoney;
  readonly #rows: FlatRows = {};

  constructor(entries: readonly Entry[], fold: FoldState, series: Series, judgement: Judgement, day: string) {
    this.#log = new SlowLog(entries);
    this.#entries = entries;
    this.#fold = fold;
    this.#series = series;
    this.#judgement = judgement;
    this.#day = day;
    const { receipts, bills } = this.#log.receipts();
    this.#money = new SlowMoney(entries, bills);
    const all = receipts.flatMap((receipt) => this.#receiptOf(receipt) ?? []);
    const named = this.#namedApps(all);
    const appOf = (app: string) => (app === "" || named.includes(app) ? app : "other");
    this.#all = all.map((receipt) => ({
      ...receipt,
      keys: receipt.keys.map(([by, key]): Keys[number] => [by, by === "app" ? appOf(key) : key]),
    }));
  }

  /** A hundred apps, by what they have in the 31 days that end with the day. */
  #namedApps(all: readonly Receipt[]): string[] {
    const first = dayOf(Date.parse(this.#day) / 1000 - 30 * DAY_SECONDS);
    const inDays = all.filter(({ day }) => day >= first && day <= this.#day);
    const appOf = ({ keys }: Receipt) => keys.find(([by]) => by === "app")?.[1] ?? "";
    const apps = distinct(inDays.map(appOf)).filter((app) => app !== "" && app !== "other");
    const count = (app: string, s: number) => inDays.filter((some) => appOf(some) === app && some.rank >= s).length;
    apps.sort();
    for (const s of [0, 1, 2]) apps.sort((a, b) => count(b, s) - count(a, s));
    return apps.slice(0, 100);
  }

  #secondsOf(at: number): number | undefined {
    const epochs = this.#log.epochs();
    return epochs.find(({ size }, i) => size > at && !epochs.slice(0, i).some((before) => before.size >= size))
      ?.timeSeconds;
  }

  #clusterOf(id: string): string {
    return hex(Uint8Array.from(this.#judgement.clusterOf(keyOfHex(id)), (unit) => unit.charCodeAt(0)));
  }

  /** How the lane of a receipt was judged on a day. */
  #rankOn(id: string, day: string): number {
    const lane = this.#laneOf(id);
    if (!this.#series.organics.get(day)?.has(lane)) return 1;
    return this.#series.floors.get(day)?.has(lane) ? 3 : 2;
  }

  #laneOf(id: string): Lane {
    const lane = this.#fold.receipts.get(keyOfHex(id))?.lane;
    if (lane === undefined) throw new Error(`no receipt ${id}`);
    return lane;
  }

  #receiptOf(receipt: ReturnType<SlowLog["receipts"]>["receipts"][number]): Receipt | undefined {
    const { at, id, model, payer, custody, decision, exclusion } = receipt;
    const entry = this.#entries[at];
    const seconds = this.#secondsOf(at);
    if (entry?.kind !== "receipt" || seconds === undefined) return undefined;
    const asked = parseAuthorization(entry.says.authorization).says;
    const grant = this.#log.session(hex(asked.session), at)?.entry;
    const published = this.#log.publication(model, this.#entries.length);
    const publisher = published === undefined ? "unpublished" : hex(published.entry.signed.keyId);
    const day = dayOf(seconds);
    const mode = grant?.says.tagMode ?? "anonymous";
    const label = exclusion ?? this.#series.labels.get(day)?.get(this.#laneOf(id));
    const columns = [`custody_${custody}`, mode, this.#laneOf(id).funding];
    if (label === "declared_owner" || label === "too_few") columns.push(label);
    // An excluded receipt shows in the columns of its lane, and in its own.
    if (exclusion === "test_traffic") columns.push("test");
    if (exclusion === "probe_traffic") columns.push("probe");
    const node = hex(entry.signed.keyId);
    const parts: Keys = [
      ["network", ""],
      ["model", model === "" ? "unpublished" : model],
      ["publisher", publisher],
      ["node", node],
      ["category", published?.manifest.category ?? "unpublished"],
      ["app", grant?.says.app ?? ""],
    ];
    const passed = this.#log
      .all("verification")
      .find((some) => some.at > at && hex(some.entry.says.receipt) === id && some.entry.says.outcome === "passed");
    const passedAt = passed && this.#secondsOf(passed.at);
    const isValid = exclusion === undefined;
    return {
      ...{ at, id, seconds, day, model, node, decision, tag: payer, reason: label },
      rank: isValid ? this.#rankOn(id, day) : 0,
      keys: [...parts, ...columns.map((name): Keys[number] => ["column", name])],
      cluster: payer === "" || mode === "anonymous" ? undefined : this.#clusterOf(payer),
      seller: this.#clusterOf(publisher),
      units: entry.says.units,
      outputUnits: entry.says.outputUnits ?? 0,
      price: isValid ? entry.says.price : 0n,
      subsidised: isValid
        ? (this.#money.revenues().find((event) => event.at === at && event.gross > 0n)?.subsidy ?? 0n)
        : 0n,
      tier: passed === undefined ? "signed" : "reexecuted",
      lag: isValid && passedAt !== undefined ? Math.max(0, passedAt - seconds) : undefined,
    };
  }

  #put(period: string, keys: readonly string[], id: string, quad: Quad): void {
    if (quad.some((value) => value !== null && value !== 0 && value !== "0"))
      this.#rows[[period, ...keys, id].join(" ")] = quad;
  }

  #putShare(period: string, keys: readonly string[], id: string, quad: Quad): void {
    if (quad.some((value) => value !== null)) this.#rows[[period, ...keys, id].join(" ")] = quad;
  }

  rows(): FlatRows {
    const days = (from: string) => (receipt: { day: string }) => receipt.day >= from && receipt.day <= this.#day;
    const back = (count: number) => dayOf(Date.parse(this.#day) / 1000 - (count - 1) * DAY_SECONDS);
    let monday = this.#day;
    while (new Date(monday).getUTCDay() !== 1) monday = dayOf(Date.parse(monday) / 1000 - DAY_SECONDS);
    const first = `${this.#day.slice(0, 7)}-01`;
    for (let hour = 0; hour < 24; hour++) {
      const start = `${this.#day}T${String(hour).padStart(2, "0")}:00:00Z`;
      this.#sums(`hour ${start}`, (some) => Math.floor(some.seconds / 3_600) === Date.parse(start) / 3_600_000);
    }
    for (const [per, start] of [
      ["day", this.#day],
      ["week", monday],
      ["month", first],
    ] as const) {
      this.#sums(`${per} ${start}`, days(start));
      this.#sets(`${per} ${start}`, this.#all.filter(days(start)), start);
      this.#relied(`${per} ${start}`, days(start), this.#all.filter(days(start)));
      this.#refundedLate(`${per} ${start}`, days(start));
    }
    this.#supply(this.#all.filter(days(back(30))), this.#all.filter(days(back(7))));
    this.#cohorts(this.#all.filter(days(first)), `month ${first}`);
    this.#integrity();
    return this.#rows;
  }

  /** Acknowledgements and refunds, each at its own time, and where its receipt is on that one's day. */
  #events(): {
    kind: "ack" | "refund";
    seconds: number;
    day: string;
    rank: number;
    keys: Keys;
    amount: bigint;
    subsidy: bigint;
    of: Receipt;
  }[] {
    const acknowledged = new Set<string>();
    return this.#entries.flatMap((entry, at) => {
      if (entry.kind !== "acknowledgement" && entry.kind !== "settlement") return [];
      const says = entry.says;
      const id = "receipt" in says ? hex(says.receipt) : "";
      const receipt = this.#all.find((some) => some.id === id && some.at < at);
      const seconds = this.#secondsOf(at);
      if (receipt === undefined || receipt.rank === 0 || seconds === undefined) return [];
      const event = this.#money.revenues().find((some) => some.at === at);
      if (entry.kind === "settlement" ? event === undefined : acknowledged.has(id)) return [];
      if (entry.kind === "acknowledgement") acknowledged.add(id);
      const { rank, keys } = receipt;
      const kind = entry.kind === "settlement" ? ("refund" as const) : ("ack" as const);
      return [
        {
          kind,
          seconds,
          day: dayOf(seconds),
          rank,
          keys,
          amount: event?.refunded ?? 0n,
          subsidy: -(event?.subsidy ?? 0n),
          of: receipt,
        },
      ];
    });
  }

  #sums(period: string, is: (item: { seconds: number; day: string }) => boolean): void {
    const receipts = this.#all.filter(is);
    const events = this.#events().filter(is);
    for (const keys of keysIn([...receipts, ...events])) {
      const own = receipts.filter(has(keys));
      const later = events.filter(has(keys));
      const of = (s: number) => own.filter(({ rank }) => rank >= s);
      const eventsOf = (s: number, kind: string) => later.filter((some) => some.kind === kind && some.rank >= s);
      const put = (id: string, quad: Quad) => this.#put(period, keys, id, quad);
      put(
        "inferences",
        four((s) => of(s).length),
      );
      put(
        "units",
        fromValid((s) => exact(of(s).map(({ units }) => units))),
      );
      put(
        "output_units",
        fromValid((s) => exact(of(s).map(({ outputUnits }) => outputUnits))),
      );
      put("failures", [own.filter(({ reason }) => reason === "not_ok").length, null, null, null]);
      put(
        "acknowledged",
        fromValid((s) => eventsOf(s, "ack").length),
      );
      for (const tier of ["signed", "reexecuted"])
        put(
          `${tier}_inferences`,
          fromValid((s) => of(s).filter((some) => some.tier === tier).length),
        );
      put(
        "verified_inferences",
        fromValid((s) => of(s).filter((some) => some.tier !== "signed").length),
      );
      const [gross, refunded] = [
        (s: number) => total(of(s).map(({ price }) => price)),
        (s: number) => total(eventsOf(s, "refund").map(({ amount }) => amount)),
      ];
      const subsidised = (s: number) => total(of(s).map((some) => some.subsidised));
      put(
        "revenue_gross",
        fromValid((s) => String(gross(s))),
      );
      put(
        "revenue_refunded",
        fromValid((s) => String(refunded(s))),
      );
      put(
        "revenue_net",
        fromValid((s) => String(gross(s) - refunded(s))),
      );
      const givenBack = (s: number) => total(eventsOf(s, "refund").map(({ subsidy }) => subsidy));
      put(
        "revenue_subsidised",
        fromValid((s) => String(subsidised(s) - givenBack(s))),
      );
      if (period.startsWith("hour")) continue;
      const ratioOf = (id: string, quad: Quad) => this.#putShare(period, keys, id, quad);
      const said = this.#events().filter((event) => own.includes(event.of));
      const saidOf = (s: number, kind: string) => said.filter((some) => some.kind === kind && some.rank >= s);
      ratioOf(
        "acknowledged_share",
        fromValid((s) => share(saidOf(s, "ack").length, of(s).length)),
      );
      ratioOf(
        "refund_rate",
        fromValid((s) => share(total(saidOf(s, "refund").map(({ amount }) => amount)), gross(s))),
      );
      ratioOf(
        "subsidised_share",
        fromValid((s) => share(subsidised(s), gross(s))),
      );
      if (keys[0] !== "model") continue;
      ratioOf(
        "price_per_unit",
        fromValid((s) => share(gross(s), total(of(s).map(({ units }) => BigInt(units))))),
      );
    }
    for (const reason of distinct(receipts.flatMap((some) => some.reason ?? []))) {
      const own = receipts.filter((some) => some.reason === reason);
      this.#put(
        period,
        ["reason", reason],
        "inferences",
        four((s) => own.filter(({ rank }) => rank >= s).length),
      );
      const price = (s: number) => String(total(own.filter(({ rank }) => rank >= s).map((some) => some.price)));
      this.#put(period, ["reason", reason], "revenue_gross", fromValid(price));
    }
  }

  #sets(period: string, receipts: readonly Receipt[], start: string): void {
    const byKeys = keysIn([...receipts, ...this.#events().filter(({ day }) => day >= start && day <= this.#day)]);
    for (const keys of byKeys) {
      const own = receipts.filter(has(keys));
      const of = (s: number) => own.filter(({ rank }) => rank >= s);
      const told = (s: number) => of(s).flatMap(({ cluster }) => cluster ?? []);
      const ratioOf = (id: string, quad: Quad) => this.#putShare(period, keys, id, quad);
      this.#put(
        period,
        keys,
        "payers",
        four((s) => distinct(told(s)).length),
      );
      const tags = (s: number) => of(s).flatMap(({ tag, cluster }) => (cluster === undefined ? [] : tag));
      this.#put(
        period,
        keys,
        "payer_tags",
        four((s) => distinct(tags(s)).length),
      );
      ratioOf(
        "effective_payers",
        four((s) => oneOver(concentration(counted(told(s))))),
      );
      ratioOf(
        "top_payer_share",
        four((s) => share(Math.max(0, ...counted(told(s))), told(s).length)),
      );
      const failed = own.filter(({ reason }) => reason === "not_ok").length;
      ratioOf("failure_rate", [share(failed, own.length), null, null, null]);
      ratioOf(
        "wash_gap",
        four((s) => share(own.length - of(s).length, own.length)),
      );
      const checked = (s: number) => of(s).filter(({ tier }) => tier !== "signed").length;
      ratioOf(
        "proof_coverage",
        fromValid((s) => share(checked(s), of(s).length)),
      );
      const lags = (s: number) =>
        of(s)
          .flatMap(({ lag }) => lag ?? [])
          .sort((a, b) => a - b);
      ratioOf(
        "never_verified_share",
        fromValid((s) => share(of(s).length - lags(s).length, of(s).length)),
      );
      for (const percent of [50, 95, 99]) {
        const lagOf = (s: number) => lags(s)[Math.ceil((lags(s).length * percent) / 100) - 1] ?? null;
        ratioOf(`verification_lag_p${percent}`, fromValid(lagOf));
      }
    }
    this.#network(period, receipts, start);
  }

  #network(period: string, receipts: readonly Receipt[], start: string): void {
    const of = (s: number) => receipts.filter(({ rank }) => rank >= s);
    const listed = this.#listed();
    const days = (Date.parse(this.#day) - Date.parse(start)) / 86_400_000 + 1;
    for (const keys of keysIn(listed)) {
      const count = listed.filter(has(keys)).length * days;
      const density = (s: number) => share(of(s).filter(has(keys)).length, count);
      this.#putShare(period, keys, "inference_density", four(density));
    }
    if (byNetwork(period, receipts, this.#events(), start, this.#day)) return;
    const put = (id: string, quad: Quad) => this.#put(period, ["network", ""], id, quad);
    const ratioOf = (id: string, quad: Quad) => this.#putShare(period, ["network", ""], id, quad);
    const ofModels = (s: number) => of(s).filter(({ model }) => model !== "");
    for (const keys of keysIn(ofModels(0)).filter(([by]) => ["network", "publisher", "category"].includes(by)))
      this.#put(
        period,
        keys,
        "active_models",
        four(
          (s) =>
            distinct(
              ofModels(s)
                .filter(has(keys))
                .map(({ model }) => model),
            ).length,
        ),
      );
    put(
      "active_nodes",
      four((s) => distinct(of(s).map(({ node }) => node)).length),
    );
    const models = (s: number) => counted(ofModels(s).map(({ model }) => model)).sort((a, b) => b - a);
    ratioOf(
      "hhi_models",
      four((s) => share(...concentration(models(s)))),
    );
    ratioOf(
      "effective_models",
      four((s) => oneOver(concentration(models(s)))),
    );
    const entropy = (s: number) =>
      -sum(models(s).map((n) => (n / ofModels(s).length) * Math.log(n / ofModels(s).length)));
    const byEntropy = (s: number) => (ofModels(s).length === 0 ? null : Math.round(Math.exp(entropy(s)) * 1e6) / 1e6);
    ratioOf("effective_models_by_entropy", four(byEntropy));
    ratioOf(
      "top_model_share",
      four((s) => share(models(s)[0] ?? 0, ofModels(s).length)),
    );
    ratioOf(
      "top10_model_share",
      four((s) => share(sum(models(s).slice(0, 10)), ofModels(s).length)),
    );
    const half = (s: number) =>
      models(s).findIndex((_, i) => 2 * sum(models(s).slice(0, i + 1)) >= ofModels(s).length) + 1;
    ratioOf(
      "fewest_models_for_half",
      four((s) => half(s) || null),
    );
    const population = (s: number) => distinct([...listed, ...ofModels(s)].map(({ model }) => model)).length;
    ratioOf(
      "gini_models",
      four((s) => slowGini(models(s), population(s))),
    );
    ratioOf(
      "effective_nodes",
      four((s) => oneOver(concentration(counted(of(s).map(({ node }) => node))))),
    );
    for (const app of distinct(
      receipts.flatMap(({ keys }) => keys.filter(([by]) => by === "app").map(([, key]) => key)),
    ))
      this.#putShare(
        period,
        ["app", app],
        "app_share",
        four((s) => share(of(s).filter(has(["app", app])).length, of(s).length)),
      );
    const told = (s: number) => of(s).filter(({ cluster }) => cluster !== undefined);
    const isNew = (s: number) => (some: Receipt) =>
      !this.#all.some((other) => other.cluster === some.cluster && other.rank >= s && other.day < start);
    put(
      "new_payers",
      four(
        (s) =>
          distinct(
            told(s)
              .filter(isNew(s))
              .map(({ cluster }) => cluster),
          ).length,
      ),
    );
    put(
      "new_inferences",
      four((s) => told(s).filter(isNew(s)).length),
    );
    ratioOf(
      "returning_share",
      four((s) => share(told(s).filter((some) => !isNew(s)(some)).length, told(s).length)),
    );
    const buysOfSeveral = (s: number) => (some: Receipt) =>
      told(s).some(({ cluster, seller }) => cluster === some.cluster && seller !== some.seller);
    ratioOf(
      "multi_model_share",
      four((s) => share(told(s).filter(buysOfSeveral(s)).length, told(s).length)),
    );
  }

  #listed(): { model: string; seconds: number; keys: Keys }[] {
    const end = Date.parse(this.#day) / 1000 + DAY_SECONDS;
    return this.#log.models().flatMap(({ revision, manifest, yanked }) => {
      const published = this.#log.publication(revision, this.#entries.length);
      const seconds = published && this.#secondsOf(published.at);
      if (yanked || published === undefined || seconds === undefined || seconds >= end) return [];
      const publisher = hex(published.entry.signed.keyId);
      const keys: Keys = [
        ["network", ""],
        ["publisher", publisher],
        ["category", manifest.category],
      ];
      return [{ model: revision, seconds, keys }];
    });
  }

  #supply(month: readonly Receipt[], week: readonly Receipt[]): void {
    const period = `day ${this.#day}`;
    const isPart = ([by]: readonly string[]) => by !== "column";
    const payersOf = (receipts: readonly Receipt[], s: number) =>
      distinct(receipts.flatMap(({ rank, cluster }) => (rank >= s ? (cluster ?? []) : [])));
    for (const keys of keysIn(month).filter(isPart)) {
      const own = month.filter(has(keys));
      this.#put(
        period,
        keys,
        "payers_7d",
        four((s) => payersOf(week.filter(has(keys)), s).length),
      );
      this.#put(
        period,
        keys,
        "payers_30d",
        four((s) => payersOf(own, s).length),
      );
      if (keys[0] !== "network" && keys[0] !== "model") continue;
      const daily = (s: number) =>
        sum(
          distinct(own.map(({ day }) => day)).map(
            (day) =>
              payersOf(
                own.filter((some) => some.day === day),
                s,
              ).length,
          ),
        );
      this.#putShare(
        period,
        keys,
        "stickiness",
        four((s) => share(daily(s), 30 * payersOf(own, s).length)),
      );
    }
    const end = Date.parse(this.#day) / 1000 + DAY_SECONDS;
    const listed = this.#listed();
    const used = (model: string, s: number) => month.filter((some) => some.model === model && some.rank >= s);
    for (const keys of keysIn(listed)) {
      const own = listed.filter(has(keys));
      const old = own.filter(({ seconds }) => seconds <= end - 30 * DAY_SECONDS);
      const put = (id: string, quad: Quad) => this.#putShare(period, keys, id, quad);
      this.#put(
        period,
        keys,
        "listed_models",
        four(() => own.length),
      );
      this.#put(
        period,
        keys,
        "idle_models",
        four((s) => own.filter(({ model }) => used(model, s).length === 0).length),
      );
      put(
        "idle_share",
        four((s) => share(old.filter(({ model }) => used(model, s).length === 0).length, old.length)),
      );
      for (const k of [1, 3, 10])
        put(
          `active_model_ratio_${k}`,
          four((s) => share(old.filter(({ model }) => payersOf(used(model, s), s).length >= k).length, old.length)),
        );
      const watched = (s: number) =>
        own.map(({ model, seconds }) => {
          const firsts = this.#all.filter((some) => some.model === model && some.rank >= s && some.day <= this.#day);
          const first = Math.min(...firsts.map((some) => Math.floor(some.seconds / 3_600)));
          const until = firsts.length > 0 ? first : end / 3_600;
          return { came: firsts.length > 0, hours: Math.max(0, until - Math.floor(seconds / 3_600)) };
        });
      put(
        "hours_to_first_inference",
        four((s) => slowMedian(watched(s))),
      );
      for (const days of [1, 7, 30])
        put(
          `reached_${days}d`,
          four((s) => reached(watched(s), days * 24)),
        );
    }
    this.#costs(listed, month);
  }

  #costs(listed: readonly { model: string }[], month: readonly Receipt[]): void {
    const earned = (model: string, s: number) =>
      total(month.filter((some) => some.model === model && some.rank >= s).map(({ price }) => price));
    for (const { model } of listed) {
      const above = (s: number) =>
        listed.map((some) => earned(some.model, s)).filter((other) => other > earned(model, s));
      const least = (amounts: bigint[]) => amounts.toSorted((a, b) => (a < b ? -1 : 1))[0] ?? 0n;
      const cost = (more: bigint, s: number) => String((more - earned(model, s) + 10n) / 10n);
      const next = (s: number) => (above(s).length === 0 ? null : cost(least(above(s)), s));
      const tenth = (s: number) =>
        above(s).length < 10 ? null : cost(above(s).sort((a, b) => (a > b ? -1 : 1))[9] ?? 0n, s);
      this.#putShare(`day ${this.#day}`, ["model", model], "cost_to_fake_rank", fromValid(next));
      this.#putShare(`day ${this.#day}`, ["model", model], "cost_to_fake_top10", fromValid(tenth));
    }
  }

  #cohorts(receipts: readonly Receipt[], period: string): void {
    const first = (cluster: string, s: number) =>
      this.#all
        .filter((some) => some.cluster === cluster && some.rank >= s && some.day <= this.#day)
        .map(({ day }) => day)
        .sort()[0];
    const clusters = distinct(this.#all.flatMap(({ cluster }) => cluster ?? []));
    const months = distinct(
      clusters.flatMap((cluster) => STRATUM.flatMap((s) => first(cluster, s)?.slice(0, 7) ?? [])),
    );
    for (const month of months) {
      const isOf = (cluster: string | undefined, s: number) =>
        cluster !== undefined && first(cluster, s)?.slice(0, 7) === month;
      const own = (s: number) => receipts.filter(({ rank, cluster }) => rank >= s && isOf(cluster, s));
      const here = (s: number) => distinct(own(s).map(({ cluster }) => cluster)).length;
      const keys = ["cohort", `${month}-01`];
      this.#put(period, keys, "cohort_payers", four(here));
      this.#put(
        period,
        keys,
        "cohort_inferences",
        four((s) => own(s).length),
      );
      this.#putShare(
        period,
        keys,
        "retention",
        four((s) => share(here(s), clusters.filter((one) => isOf(one, s)).length)),
      );
    }
  }

  /** Refunds of a day that was over for a day or more, by how the day had it. */
  #refundedLate(period: string, is: (item: { day: string }) => boolean): void {
    const late = this.#events().filter(
      ({ kind, seconds, of }) => kind === "refund" && seconds >= Date.parse(of.day) / 1000 + 2 * DAY_SECONDS,
    );
    const inPeriod = late.filter(is).map(({ of, amount }) => ({ ...of, amount }));
    for (const keys of keysIn(inPeriod).filter(([, key]) => !["declared_owner", "too_few"].includes(key ?? ""))) {
      const own = inPeriod.filter(has(keys));
      const amountOf = (s: number) => String(total(own.filter(({ rank }) => rank >= s).map(({ amount }) => amount)));
      this.#put(period, keys, "revenue_refunded_late", fromValid(amountOf));
    }
  }

  #relied(period: string, is: (item: { day: string }) => boolean, receipts: readonly Receipt[]): void {
    const stated = this.#statements().filter(is);
    for (const keys of keysIn(stated)) {
      const own = stated.filter(has(keys));
      const of = (s: number) => own.filter(({ rank }) => rank >= s);
      this.#put(
        period,
        keys,
        "decisions_relied_on",
        four((s) => distinct(of(s).map(({ decision }) => decision)).length),
      );
      if (keys[0] === "purpose" || keys[0] === "stake") continue;
      const relied = (s: number) => distinct(of(s).map(({ id }) => id)).length;
      this.#put(period, keys, "receipts_relied_on", four(relied));
      const parties = (s: number) =>
        distinct(of(s).map(({ relier, decision }) => `${relier} ${decision}`)).map((pair) => pair.slice(0, 64));
      this.#put(
        period,
        keys,
        "relying_parties",
        four((s) => distinct(parties(s)).length),
      );
      this.#putShare(
        period,
        keys,
        "effective_relying_parties",
        four((s) => oneOver(concentration(counted(parties(s))))),
      );
      const rate = (s: number) => share(relied(s), receipts.filter((some) => some.rank >= s && has(keys)(some)).length);
      this.#putShare(period, keys, "reliance_rate", four(rate));
      const decisions = distinct(own.map(({ decision }) => decision));
      const gone = decisions.filter((one) => own.every((some) => some.decision !== one || some.reversed));
      this.#putShare(period, keys, "reversed_share", [share(gone.length, decisions.length), null, null, null]);
    }
  }

  #statements() {
    const reliances = this.#log.all("reliance").flatMap(({ at, entry }) => {
      const relier = hex(entry.signed.keyId);
      const receipt = this.#all.find((some) => some.id === hex(entry.says.receipt) && some.at < at);
      const seconds = this.#secondsOf(at);
      if (
        receipt === undefined ||
        receipt.rank === 0 ||
        seconds === undefined ||
        this.#log.roleAt(relier, at) !== "relier"
      )
        return [];
      return [{ at, relier, receipt, day: dayOf(seconds), says: entry.says }];
    });
    // What was taken back once is not said again; said again while it stands, it says nothing.
    const reversals = this.#log.all("reversal").map(({ at, entry }) => ({
      at,
      by: hex(entry.signed.keyId),
      decision: this.#all.find((some) => some.id === hex(entry.says.receipt) && some.at < at)?.decision,
    }));
    const endOf = (some: (typeof reliances)[number]) =>
      reversals.find(({ at, by, decision }) => at > some.at && by === some.relier && decision === some.receipt.decision)
        ?.at;
    const isLate = (some: (typeof reliances)[number]) =>
      reversals.some(
        ({ at, by, decision }) => at < some.at && by === some.relier && decision === some.receipt.decision,
      );
    const said = reliances.filter(
      (some) =>
        !isLate(some) &&
        !reliances.some(
          (other) => other.at < some.at && other.relier === some.relier && other.receipt === some.receipt,
        ),
    );
    return said.map((some) => {
      const { receipt, relier, day, says } = some;
      const sellers = receipt.keys.filter(([by]) => by === "node" || by === "publisher").map(([, key]) => key);
      const verifiers = this.#log.all("verification").filter(({ entry }) => hex(entry.says.receipt) === receipt.id);
      const interested = [...sellers, ...verifiers.map(({ entry }) => hex(entry.signed.keyId))];
      const isInside = interested.some((key) => this.#clusterOf(key) === this.#clusterOf(relier));
      const reversed = endOf(some) !== undefined;
      const age = (Date.parse(day) - Date.parse(receipt.day)) / 86_400_000;
      const rank = isInside || reversed ? 0 : age >= 0 && age <= 30 ? receipt.rank : 1;
      const bucket = says.valueBucket === undefined ? "" : String(says.valueBucket).padStart(2, "0");
      const ofLane = receipt.keys.filter(([, key]) => !["declared_owner", "too_few", "test", "probe"].includes(key));
      const keys: Keys = [...ofLane, ["purpose", says.purpose ?? ""], ["stake", bucket]];
      return { day, keys, rank, reversed, id: receipt.id, decision: receipt.decision, relier: this.#clusterOf(relier) };
    });
  }

  #integrity(): void {
    const put = (id: string, value: number) =>
      this.#put(`day ${this.#day}`, ["network", ""], id, [value, null, null, null]);
    const epochs = this.#log
      .epochs()
      .filter(({ size }, i, all) => !all.slice(0, i).some((before) => before.size >= size));
    const own = epochs.flatMap(({ timeSeconds }, i) => (dayOf(timeSeconds) === this.#day ? [i] : []));
    put("epochs", own.length);
    const gap = (i: number) => (i === 0 ? 0 : (epochs[i]?.timeSeconds ?? 0) - (epochs[i - 1]?.timeSeconds ?? 0));
    put("epoch_gap_seconds", Math.max(0, ...own.map(gap)));
  }
}

const keyOfHex = (id: string) => keyOf(parseHex(id) ?? new Uint8Array(0));
const has =
  ([by, key]: readonly string[]) =>
  ({ keys }: { keys: Keys }): boolean =>
    keys.some((own) => own[0] === by && own[1] === key);
const keysIn = (items: readonly { keys: Keys }[]): [string, string][] =>
  distinct(items.flatMap(({ keys }) => keys.map((pair) => JSON.stringify(pair)))).map(
    (text) => JSON.parse(text) as [string, string],
  );
const oneOver = ([squares, square]: readonly [number, number]) => share(square, squares);

/** Whether a period has nothing at all. */
function byNetwork(
  _: string,
  receipts: readonly Receipt[],
  events: readonly { day: string }[],
  from: string,
  to: string,
): boolean {
  return receipts.length === 0 && !events.some(({ day }) => day >= from && day <= to);
}

/** Half the mean difference of any two, by their mean. */
function slowGini(amounts: readonly number[], population: number): number | null {
  const all = [...amounts, ...Array.from({ length: population - amounts.length }, () => 0)];
  const differences = sum(all.flatMap((a) => all.map((b) => Math.abs(a - b))));
  return share(differences, 2 * population * sum(all));
}

type Watched = { hours: number; came: boolean };

/** Kaplan and Meier's curve as a fraction, hour by hour. */
function waitingAfter(watched: readonly Watched[], hours: number): [bigint, bigint] {
  let [above, below] = [1n, 1n];
  for (const hour of distinct(watched.filter(({ came }) => came).map((some) => some.hours)).filter((h) => h <= hours)) {
    const atRisk = watched.filter((some) => some.hours >= hour).length;
    const came = watched.filter((some) => some.came && some.hours === hour).length;
    above *= BigInt(atRisk - came);
    below *= BigInt(atRisk);
  }
  return [above, below];
}

function reached(watched: readonly Watched[], hours: number): number | null {
  const [above, below] = waitingAfter(watched, hours);
  return watched.length === 0 ? null : share(below - above, below);
}

function slowMedian(watched: readonly Watched[]): number | null {
  const hours = watched.map((some) => some.hours).sort((a, b) => a - b);
  return hours.find((hour) => waitingAfter(watched, hour)[0] * 2n <= waitingAfter(watched, hour)[1]) ?? null;
}
