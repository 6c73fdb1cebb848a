/**
 * Metrics in Prometheus's text format, version 0.0.4. Labels come from closed lists and from the log's own names; however
 * many those become, what a metric keeps is bounded.
 */

/** Series of one metric; what comes after them is counted under `other`. */
const SERIES_MOST = 2_000;
const OTHER = "other";

export type Definition = { name: string; help: string; labels?: readonly string[] };
/** The values of a metric's labels, in their order. */
export type LabelValues = readonly string[];
export type Sample = { labels?: LabelValues; value: number };

export type Counter = { add(labels: LabelValues, by?: number): void };
export type Histogram = { observe(labels: LabelValues, value: number): void };

export type Metrics = {
  counter(definition: Definition): Counter;
  /** A value that is looked up whenever somebody asks. */
  gauge(definition: Definition, read: () => number | readonly Sample[]): void;
  /** The same of a count that somebody else keeps. */
  total(definition: Definition, read: () => number | readonly Sample[]): void;
  /** Counts values in buckets, each up to its bound. */
  histogram(definition: Definition, bounds: readonly number[]): Histogram;
  text(): string;
};

export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export function createMetrics(): Metrics {
  const families: (() => string)[] = [];
  const add = (kind: string, { name, help }: Definition, lines: () => string[]) =>
    families.push(() => [`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, ...lines(), ""].join("\n"));
  const read = (kind: string) => (definition: Definition, values: () => number | readonly Sample[]) => {
    const { name, labels = [] } = definition;
    add(kind, definition, () => {
      const found = values();
      const samples: readonly Sample[] = typeof found === "number" ? [{ value: found }] : found;
      return samples.slice(0, SERIES_MOST).map((one) => line(name, pairs(labels, one.labels ?? []), one.value));
    });
  };

  return {
    gauge: read("gauge"),
    total: read("counter"),

    counter(definition) {
      const { name, labels = [] } = definition;
      const series = createSeries(labels.length, () => ({ value: 0 }));
      add("counter", definition, () => series.all().map(([of, { value }]) => line(name, pairs(labels, of), value)));
      return {
        add(of, by = 1) {
          series.get(of).value += by;
        },
      };
    },

    histogram(definition, bounds) {
      const { name, labels = [] } = definition;
      const series = createSeries(labels.length, () => ({ counts: bounds.map(() => 0), count: 0, sum: 0 }));
      add("histogram", definition, () =>
        series.all().flatMap(([of, { counts, count, sum }]) => {
          const own = pairs(labels, of);
          let below = 0;
          const buckets = bounds.map((bound, i) => {
            below += counts[i] ?? 0;
            return line(`${name}_bucket`, [...own, `le="${bound}"`], below);
          });
          const rest = line(`${name}_bucket`, [...own, 'le="+Inf"'], count);
          return [...buckets, rest, line(`${name}_sum`, own, sum), line(`${name}_count`, own, count)];
        }),
      );
      return {
        observe(of, value) {
          const one = series.get(of);
          const bucket = bounds.findIndex((bound) => value <= bound);
          if (bucket >= 0) one.counts[bucket] = (one.counts[bucket] ?? 0) + 1;
          one.count++;
          one.sum += value;
        },
      };
    },

    text: () => families.map((family) => family()).join(""),
  };
}

function createSeries<T>(labelCount: number, create: () => T) {
  const series = new Map<string, { labels: LabelValues; state: T }>();
  const other = Array.from({ length: labelCount }, () => OTHER);
  const find = (labels: LabelValues): T => {
    const name = labels.join("\0");
    const known = series.get(name);
    if (known !== undefined) return known.state;
    if (series.size >= SERIES_MOST - 1 && labels !== other) return find(other);
    const state = create();
    series.set(name, { labels: [...labels], state });
    return state;
  };
  return { get: find, all: () => [...series.values()].map(({ labels, state }) => [labels, state] as const) };
}

function pairs(names: readonly string[], values: LabelValues): string[] {
  return names.map((name, i) => `${name}="${(values[i] ?? "").replace(/[\\"\n]/g, escapeCharacter)}"`);
}

function escapeCharacter(character: string): string {
  return character === "\n" ? "\\n" : `\\${character}`;
}

function line(name: string, labels: readonly string[], value: number): string {
  return `${name}${labels.length === 0 ? "" : `{${labels.join(",")}}`} ${value}`;
}
