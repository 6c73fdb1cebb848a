import { LABELS, METRICS } from "@tallystick/protocol";
import { beforeAll, describe, expect, test } from "vitest";
import { TestNetwork } from "../test/network.ts";
import { renderUsage } from "./usage-page.ts";
import type { UsageView } from "./view.ts";

/** The text between tags, one space for each. */
const textOf = (markup: string) => markup.replace(/<[^<>]*>/g, " ").replace(/\s+/g, " ");
const sectionOf = (page: string, id: string) =>
  new RegExp(`<section[^>]* id="${id}"[\\s\\S]*?</section>`).exec(page)?.[0] ?? "";

const [SAME, OTHER] = ["ab".repeat(32), "cd".repeat(32)];

async function viewOfUse(): Promise<UsageView> {
  const network = await TestNetwork.create();
  const model = await network.publish("example/model", "risk");
  const session = await network.open("account");
  for (let i = 0; i < 5; i++) await network.call(session, model);
  await network.call(session, model, { status: "failed" });
  await network.epoch(Date.UTC(2026, 10, 22, 12) / 1000);
  return {
    ...network.view(),
    organicRules: { version: "tallystick-organic-v2", digest: SAME },
    closedDays: [
      { day: "2026-11-20", digest: SAME, snapshot: { index: 1_204, digest: SAME } },
      { day: "2026-11-19", digest: SAME, snapshot: { index: 1_100, digest: OTHER } },
      { day: "2026-11-18", digest: SAME, snapshot: undefined },
    ],
    auditors: { agreed: 1, disagreed: 1 },
    recomputations: [
      {
        index: 9,
        name: "b",
        auditor: OTHER,
        day: undefined,
        size: 8,
        result: OTHER,
        agrees: false,
        disputedDay: "2026-11-19",
      },
      {
        index: 7,
        name: "a",
        auditor: SAME,
        day: "2026-11-21",
        size: 6,
        result: SAME,
        agrees: true,
        disputedDay: undefined,
      },
    ],
  };
}

describe("a network in use", () => {
  let view: UsageView;
  let page: string;
  beforeAll(async () => {
    view = await viewOfUse();
    page = renderUsage(view);
  });

  test("shows the way from gross to floor, each reason at its step, and marks it as provisional", () => {
    const text = textOf(sectionOf(page, "strata"));
    expect(text).toMatch(
      /Gross: .* 6 100\.0.% less: not_ok 1 16\.6.% Valid: .* 5 83\.3.% less: free free of charge 5 83\.3.% Organic: .* 0 0\.0.%.* Floor: .* 0 0\.0.%/,
    );
    expect(text).toContain("all of it is provisional");
    expect(text).toContain(view.organicRules.digest);
  });

  test("steps add up: what a stratum lacks is what is said to be taken off", () => {
    const labels = { free: 1, recirculated: 1, too_few: 2 };
    const totals = { ...view.figures.totals, demand: { organic: 1, floor: 1, labels } };
    const text = textOf(sectionOf(renderUsage({ ...view, figures: { ...view.figures, totals } }), "strata"));
    const stepOf = (pattern: RegExp) => Number(pattern.exec(text)?.[1]);
    const taken = LABELS.map((label) => stepOf(new RegExp(`less: ${label} [^0-9]*(\\d+)`)) || 0);
    const [valid, organic] = [stepOf(/Valid: [^0-9]*(\d+)/), stepOf(/Organic: [^0-9]*(\d+)/)];
    expect(valid - taken.reduce((sum, count) => sum + count)).toBe(organic);
    expect(text.match(/less: too_few/g)).toHaveLength(1);
    expect(text).toMatch(/too few to judge: no accusation, nobody can tell 2 /);
  });

  test("says of every metric how it can be gamed, and where its figures are", () => {
    const section = sectionOf(page, "metrics");
    for (const { id, needs } of METRICS as readonly { id: string; needs?: string }[]) {
      expect(section).toContain(`id="metric-${id}"`);
      expect(section.includes(`href="/v1/usage/${id}"`)).toBe(needs === undefined);
    }
    expect(section.match(/<dt>Gamed by<\/dt><dd>[^<]+<\/dd>/g)).toHaveLength(METRICS.length);
  });

  test("counts auditors by the last word of each, and says on which day who disagrees", () => {
    const text = textOf(sectionOf(page, "recomputed"));
    expect(text).toContain("2 auditors, 1 disagrees");
    expect(text).toMatch(/b .* 8 .* disagrees on 2026-11-19 open a .* 6 .* agrees 2026-11-21 /);
  });

  test("tells auditors of one name apart: by the id of each one's key, whole to copy, and the entry in which it says so", () => {
    const recomputations = view.recomputations.map((one) => ({ ...one, name: "auditor" }));
    const section = sectionOf(renderUsage({ ...view, recomputations }), "recomputed");
    expect(textOf(section)).toMatch(/ auditor cdcdcdcd…cdcdcd Copy 9 8 .* auditor abababab…ababab Copy 7 6 /);
    for (const { auditor } of recomputations)
      expect(section).toContain(`data-copy="${auditor}" aria-label="Copy the id`);
  });

  test("shows where the log's own word of a day is another than the day's document", () => {
    const text = textOf(sectionOf(page, "recomputed"));
    expect(text).toMatch(/2026-11-20 .* the same, entry 1,204 2026-11-19 .* another: cdcdcdcd…cdcdcd, entry 1,100/);
    expect(text).toMatch(/2026-11-18 .* none yet/);
  });

  test("needs no script but the one of every page, and hides what does", () => {
    expect([...page.matchAll(/<script/g)]).toHaveLength(1);
    for (const [tag] of page.matchAll(/<button type="button"[^>]*>/g)) expect(tag).toMatch(/ hidden>$/);
  });
});

test("a network without an entry has a page too, and says what is not there yet", async () => {
  const empty = (await TestNetwork.create()).view();
  const nobody = { auditors: { agreed: 0, disagreed: 0 }, recomputations: [] };
  const view = { ...empty, organicRules: { version: "v", digest: SAME }, closedDays: [], ...nobody };
  const text = textOf(renderUsage(view));
  expect(text).toContain("Nothing was asked yet.");
  expect(text).toContain("Nobody has published a count of their own yet.");
  expect(text).toContain("No day of log.example/tallystick is closed yet");
});

test("names that are markup stay text", async () => {
  const HOSTILE = `"><img src=x onerror='alert(1)'></title><script>alert(2)</script>`;
  const view: UsageView = JSON.parse(JSON.stringify(await viewOfUse()), (key, value) =>
    typeof value === "string" && !["state", "day"].includes(key) ? HOSTILE : value,
  );
  const page = renderUsage(view);
  expect(page).not.toContain("<img");
  expect([...page.matchAll(/<script/g)]).toHaveLength(1);
});
