import { expect, test } from "vitest";
import { createMetrics } from "./metrics.ts";

test("counters, gauges and histograms are written as Prometheus's text format has them", () => {
  const metrics = createMetrics();
  const requests = metrics.counter({ name: "requests_total", help: "Requests.", labels: ["route", "status"] });
  requests.add(["/v1/infer", "200"]);
  requests.add(["/v1/infer", "200"], 2);
  requests.add(['a"b\\c\nd', "404"]);
  metrics.gauge({ name: "size", help: "Entries." }, () => 7);
  metrics.total({ name: "given_total", help: "Given.", labels: ["to"] }, () => [{ labels: ["a"], value: 1 }]);
  const seconds = metrics.histogram({ name: "seconds", help: "How long.", labels: ["route"] }, [0.1, 1]);
  for (const value of [0.05, 0.1, 0.5, 3]) seconds.observe(["/"], value);
  expect(metrics.text()).toBe(`# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{route="/v1/infer",status="200"} 3
requests_total{route="a\\"b\\\\c\\nd",status="404"} 1
# HELP size Entries.
# TYPE size gauge
size 7
# HELP given_total Given.
# TYPE given_total counter
given_total{to="a"} 1
# HELP seconds How long.
# TYPE seconds histogram
seconds_bucket{route="/",le="0.1"} 2
seconds_bucket{route="/",le="1"} 3
seconds_bucket{route="/",le="+Inf"} 4
seconds_sum{route="/"} 3.65
seconds_count{route="/"} 4
`);
});

test("a metric keeps two thousand series, and counts what comes after them together", () => {
  const metrics = createMetrics();
  const counter = metrics.counter({ name: "n", help: "N.", labels: ["model"] });
  for (let i = 0; i < 5_000; i++) counter.add([`model-${i}`]);
  counter.add(["model-0"]);
  const lines = metrics.text().trimEnd().split("\n").slice(2);
  expect(lines).toHaveLength(2_000);
  expect(lines[0]).toBe('n{model="model-0"} 2');
  expect(lines.at(-1)).toBe('n{model="other"} 3001');
});
