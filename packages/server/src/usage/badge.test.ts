import { expect, test } from "vitest";
import { type Badge, drawBadge } from "./badge.ts";

const BADGE: Badge = {
  label: "decisions relied on",
  value: "1,204 / day",
  provisional: false,
  title: "statlog/credit-default: 1,204 decisions relied on a day over 30 closed days.",
};

/** Fails where a tag is not closed, an attribute is not quoted, or a text has a letter that only markup may. */
function checkXml(xml: string): string[] {
  const open: string[] = [];
  const tags = /<(\/?)([a-z]+)((?: [a-zA-Z:-]+="[^"<&]*(?:&(?:amp|lt|gt|quot|#39);[^"<&]*)*")*)(\/?)>/g;
  const between = xml.replace(tags, (_, closing: string, name: string, __, selfClosing: string) => {
    if (closing === "/") expect(open.pop()).toBe(name);
    else if (selfClosing === "") open.push(name);
    return "";
  });
  expect(open).toEqual([]);
  expect(between).not.toMatch(/[<>]|&(?!(?:amp|lt|gt|quot|#39);)/);
  return [...xml.matchAll(tags)].map(([, , name = ""]) => name);
}

test("a badge is well-formed and light, and draws only shapes and letters", () => {
  const svg = drawBadge(BADGE);
  const names = checkXml(svg);
  expect(new Set(names)).toEqual(new Set(["svg", "title", "rect", "path", "g", "text"]));
  expect(svg.length).toBeLessThan(1_200);
  expect(svg.replace("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:|url\(|@import|href/);
});

test("a badge says the same to whoever does not see it", () => {
  expect(drawBadge(BADGE)).toContain(`role="img" aria-label="${BADGE.title}"`);
  expect(drawBadge(BADGE)).toContain(`<title>${BADGE.title}</title>`);
});

test("what may still change says so in words and not by its colour alone", () => {
  const [final, provisional] = [drawBadge(BADGE), drawBadge({ ...BADGE, provisional: true })];
  expect(provisional).toContain(">1,204 / day, provisional</text>");
  expect(provisional).toContain("Provisional: a day among them may still change.");
  expect(final).not.toMatch(/provisional/i);
});

test("names that are markup stay text", () => {
  const hostile = `"/><script>alert('1')</script>&amp;]]>`;
  const svg = drawBadge({ label: hostile, value: hostile, title: hostile, provisional: true });
  expect(new Set(checkXml(svg))).toEqual(new Set(["svg", "title", "rect", "path", "g", "text"]));
});

test("letters have the room that they take: the more there are, the wider", () => {
  const widthOf = (value: string) => Number(/width="(\d+)"/.exec(drawBadge({ ...BADGE, value }))?.[1]);
  expect(widthOf("mmmm")).toBeGreaterThan(widthOf("iiii"));
  expect(widthOf("12 / day")).toBeGreaterThan(widthOf("1 / day"));
  expect(widthOf("")).toBeGreaterThan(100);
});
