import { beforeAll, expect, test } from "vitest";
import { TestNetwork } from "../test/network.ts";
import { renderHome } from "./home.ts";
import { renderProblems } from "./problems-page.ts";
import { renderUsage } from "./usage-page.ts";

let pages: Record<string, string>;
beforeAll(async () => {
  const view = (await TestNetwork.create()).view();
  const usage = { organicRules: { version: "v", digest: "ab".repeat(32) }, closedDays: [], recomputations: [] };
  pages = {
    home: renderHome(view),
    usage: renderUsage({ ...view, ...usage, auditors: { agreed: 0, disagreed: 0 } }),
    errors: renderProblems({ ...view, problems: [] }),
  };
});

test.each([
  ["home", "Decisions relied on today", "Skip to the figures"],
  ["usage", "Usage", "Skip to the figures"],
  ["errors", "Errors", "Skip to the codes"],
])(
  "the page %s has one heading of the first rank, %s, and a link past its head that says to what",
  (name, heading, skip) => {
    const page = pages[name] ?? "";
    expect([...page.matchAll(/<h1[^>]*>([^<]*)<\/h1>/g)].map(([, text]) => text)).toEqual([heading]);
    expect(page).toContain(`<a class="skip" href="#main">${skip}</a>`);
    expect(page.indexOf("<h1")).toBeLessThan(page.indexOf("<h2"));
  },
);
