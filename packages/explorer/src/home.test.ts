import { OPEN_DAY } from "@tallystick/protocol";
import { beforeAll, describe, expect, test } from "vitest";
import { TestNetwork } from "../test/network.ts";
import { renderHome } from "./home.ts";
import { lastDays } from "./sections/days.ts";
import type { HomeView } from "./view.ts";

const NOON_SECONDS = Date.UTC(2026, 10, 22, 12) / 1000;
const DAY_SECONDS = 86_400;

/** The text between tags, one space for each. */
const textOf = (markup: string) => markup.replace(/<[^<>]*>/g, " ").replace(/\s+/g, " ");
const sectionOf = (page: string, id: string) =>
  new RegExp(`<section[^>]* id="${id}"[\\s\\S]*?</section>`).exec(page)?.[0] ?? "";

describe("an empty network", () => {
  let page: string;
  beforeAll(async () => {
    const network = await TestNetwork.create();
    await network.publish("example/unused", "text");
    page = renderHome(network.view());
  });

  test("shows zeros, and how to make the first call before anything else", () => {
    expect(textOf(sectionOf(page, "relied"))).toMatch(
      /Decisions relied on today 0 .*All time 0 .*Decisions enforced 0 /,
    );
    expect(textOf(sectionOf(page, "usage"))).toMatch(
      /gross 0 .*Valid 0 .*Organic 0 .*Floor 0 .*Too few to judge 0 .*Requesters 0 /,
    );
    expect(sectionOf(page, "call")).toContain("infer -d @example.json</code>");
    expect(page.indexOf('id="call"')).toBeLessThan(page.indexOf('id="usage"'));
  });

  test("names its only model as idle", () => {
    expect(textOf(sectionOf(page, "models"))).toMatch(
      /1 of 1 model idle .*Hosting is not use.*example\/unused .*idle, never used/,
    );
  });

  test("says that it has no checkpoint, no epoch and no receipt", () => {
    expect(textOf(page)).toMatch(/No epoch yet.*No receipt yet.*Checkpoint none yet/);
  });
});

describe("a network in use", () => {
  let network: TestNetwork;
  let view: HomeView;
  let page: string;
  beforeAll(async () => {
    network = await TestNetwork.create();
    const [busy, calm] = [
      await network.publish("example/busy", "risk", "2.1"),
      await network.publish("example/calm", "vision"),
    ];
    const gone = await network.publish("example/gone", "audio");
    await network.publish("example/never", "text");
    const old = await network.publish("example/old", "forecasting");
    const [session, account] = [await network.open("gateway"), await network.open("account")];
    await network.call(session, old);
    await network.call(session, gone);
    await network.epoch(NOON_SECONDS - 40 * DAY_SECONDS);
    await network.yank(gone);
    for (let i = 0; i < 3; i++) await network.call(session, busy);
    await network.rely(await network.call(account, calm));
    await network.epoch(NOON_SECONDS - 2 * DAY_SECONDS);
    await network.rely(await network.call(session, busy));
    await network.call(session, busy, { traffic: "test" });
    await network.epoch(NOON_SECONDS);
    await network.rely(await network.call(account, busy));
    await network.call(account, calm, { status: "failed" });
    view = network.view();
    page = renderHome(view);
  });

  test("counts today's decisions with those that are still open, and says which are provisional", () => {
    const text = textOf(sectionOf(page, "relied"));
    expect(text).toMatch(/Decisions relied on today 2 2026-11-22 UTC, by the log’s own clock. 1 of them provisional/);
    expect(text).toMatch(/All time 3 .*Decisions enforced 0 Until contracts exist/);
  });

  test("shows the strata side by side, and why they differ", () => {
    expect(textOf(sectionOf(page, "usage"))).toMatch(
      /Inferences, gross 10 .*Valid 8 .*Organic 0 .*Floor 0 .*1 not ok, 1 test traffic\. Not organic, each for its first reason: 8 free of charge\..*Too few to judge 0 .*Requesters 2 Payer keys, not people/,
    );
  });

  test("says how anybody recomputes the figures", () => {
    expect(sectionOf(page, "usage")).toContain("<code>npx tally audit http://127.0.0.1:4780</code>");
    expect(page).toContain("<code>tallystick-usage-v7</code>");
  });

  test("ranks what is used and says why it stands there, and sets apart what is idle and what is withdrawn", () => {
    const text = textOf(sectionOf(page, "models"));
    expect(text).toMatch(
      /2 of 4 models idle .* 1 example\/busy 2.1 risk 6 calls from 2 keys: all free of charge, which shows no demand 2 0 0 5 6 in use 2 example\/calm 1 vision .*one key.* 1 0 0 1 2 in use Idle .*Hosting is not use.*example\/old 1 forecasting .* 0 0 0 1 1 idle, last used 2026-10-13 — example\/never 1 text never called 0 0 0 0 0 idle, never used Withdrawn .*example\/gone .*yanked/,
    );
  });

  test("shows each day since the first call, the quiet ones too, and what is open apart", () => {
    const days = lastDays(view.figures).map(({ day, valid, decisionsReliedOn }) => [day, valid, decisionsReliedOn]);
    expect(days).toHaveLength(15);
    expect(days.slice(-4)).toEqual([
      ["2026-11-20", 4, 1],
      ["2026-11-21", 0, 0],
      ["2026-11-22", 1, 1],
      [OPEN_DAY, 1, 1],
    ]);
  });

  test("marks a day as provisional until it is closed, in words and in the chart", () => {
    const text = textOf(sectionOf(page, "days"));
    expect(text).toMatch(/open provisional 1 .* 2026-11-22 provisional 1 .* 2026-11-21 provisional 0 .* 2026-11-20 1 /);
    expect(sectionOf(page, "days").match(/<g class="provisional">/g)).toHaveLength(3);
  });

  test("draws the days from the figures of the table, each half to its own scale", () => {
    const chart = /<figure class="day-chart"[\s\S]*?<\/figure>/.exec(page)?.[0] ?? "";
    const heights = (kind: string) =>
      [...chart.matchAll(new RegExp(`<rect class="${kind}" [^>]*height="([\\d.]+)"`, "g"))].map(([, h]) => Number(h));
    expect(heights("valid").slice(-4)).toEqual([60, 0, 15, 15]);
    expect(heights("relied").slice(-4)).toEqual([60, 0, 60, 60]);
    expect(textOf(chart)).toContain("at most 4 valid inferences and 1 decision relied on in a day");
    expect(textOf(chart)).toContain("2026-11-20: 4 valid, 0 organic, 1 relied on");
  });

  test("offers to verify each of the latest receipts, whose whole id is kept", () => {
    const receipts = sectionOf(page, "receipts");
    for (const { id } of view.latest) {
      expect(receipts).toContain(`data-verify="${id}"`);
      expect(receipts).toContain(`href="/v1/receipts/${id}"`);
      expect(receipts).toContain(`data-copy="${id}"`);
    }
    expect(textOf(receipts)).toMatch(/failed account open/);
  });

  test("says how old its checkpoint is, at which size, and whose word the key is", () => {
    expect(textOf(page)).toMatch(/Checkpoint size \d+, 2026-11-22 12:00 UTC Root \S{44} /);
    expect(sectionOf(page, "verify")).toContain(`value="${view.logVkey}"`);
    expect(textOf(page)).toContain("This key came from the same server: compare it with one you got elsewhere.");
  });

  test("hides whatever needs a script until a script shows it", () => {
    const needing = [...page.matchAll(/<(?:button type="button"|form)[^>]*>/g)].map(([tag]) => tag);
    expect(needing.length).toBeGreaterThan(view.latest.length);
    for (const tag of needing) expect(tag).toMatch(/ hidden>$/);
  });

  test("is the same bytes for the same view", () => {
    expect(renderHome(network.view())).toBe(page);
  });
});

test("a network without a model or an entry has a page too", async () => {
  const view = (await TestNetwork.create()).view();
  expect(textOf(renderHome(view))).toContain("0 of 0 models idle");
});

describe("names that are markup", () => {
  const HOSTILE = `"><img src=x onerror='alert(1)'></title></pre><script>alert(2)</script>`;
  let page: string;
  beforeAll(async () => {
    const network = await TestNetwork.create();
    const model = await network.publish("example/model", "risk");
    await network.call(await network.open("account"), model);
    const view: HomeView = JSON.parse(JSON.stringify(network.view()), (key, value) =>
      typeof value === "string" && !["state", "day"].includes(key) ? HOSTILE : value,
    );
    page = renderHome(view);
  });

  test("stay text wherever they stand", () => {
    expect(page).not.toContain("<img");
    expect([...page.matchAll(/<script/g)]).toHaveLength(2);
    expect(page.match(/&quot;&gt;&lt;img src=x onerror=&#39;alert\(1\)&#39;&gt;/g)?.length).toBeGreaterThan(10);
  });

  test("leave no script, style or handler in the page that its policy would have to allow", () => {
    const tags = [...page.matchAll(/<[a-z][^<>]*>/g)].map(([tag]) => tag.replace(/"[^"]*"/g, ""));
    for (const tag of tags) expect(tag).not.toMatch(/\son|\sstyle=|'|\bjavascript:/);
    expect(page).not.toContain("<style");
    for (const [, script] of page.matchAll(/<script([^<]*)<\/script>/g))
      expect(script).toMatch(/^ type="module" src="\/assets\/\w+\.js">$/);
  });
});
