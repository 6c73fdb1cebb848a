import { readFileSync } from "node:fs";
import { join } from "node:path";
import { STRATA } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { strataBar } from "./strata-bar.ts";

const css = (name: string) => readFileSync(join(import.meta.dirname, "assets", name), "utf8");
const FIGURES = css("figures.css");
const [light = "", dark = ""] = css("base.css").split("prefers-color-scheme: dark");
const THEMES = { light, dark };

const bar = (organic: number, floor: number) =>
  strataBar({ gross: 40, valid: 30, demand: { organic, floor } })?.markup ?? "";

/** What WCAG 1.4.11 asks between what is to be told apart. */
const LEAST = 3;

/** Relative luminance of `#rrggbb` (WCAG 2.2). */
function luminanceOf(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrastOf(a: string, b: string): number {
  const [darker = 0, lighter = 0] = [luminanceOf(a), luminanceOf(b)].sort((x, y) => x - y);
  return (lighter + 0.05) / (darker + 0.05);
}

/** The token that `property` of `selector` is. */
const tokenOf = (selector: string, property: string) =>
  new RegExp(`^${selector.replaceAll(".", "\\.")} \\{[^}]*\\b${property}: var\\(--([a-z-]+)\\)`, "m").exec(
    FIGURES,
  )?.[1];

test.each(Object.entries(THEMES))(
  "in the %s theme each stratum can be told from its neighbours and from the paper",
  (_, theme) => {
    const colourOf = (token: string | undefined) =>
      new RegExp(`--${token}: (#[0-9a-f]{6});`).exec(theme)?.[1] ?? expect.unreachable(`no colour ${token}`);
    const told = (a: string | undefined, b: string | undefined) =>
      expect(contrastOf(colourOf(a), colourOf(b)), `${a}, ${b}`).toBeGreaterThanOrEqual(LEAST);
    const [gross, valid, organic, floor] = STRATA.map((stratum) => tokenOf(`.stick .${stratum}`, "fill"));
    told(gross, valid);
    told(valid, organic);
    // Four tones that differ so from one another and from the paper do not exist: a line and an outline do the rest.
    const line = tokenOf(".stick .cut", "stroke");
    for (const neighbour of [organic, floor]) told(line, neighbour);
    for (const paper of [valid, organic, floor]) told("paper", paper);
    for (const inside of ["paper", gross]) told(tokenOf(".stick .outline", "stroke"), inside);
    expect(tokenOf(".key.gross::before", "border-color")).toBe(tokenOf(".stick .outline", "stroke"));
  },
);

test("the bar says which tone is which, in the tone's own swatch", () => {
  const legend = /<figcaption>.*<\/figcaption>/s.exec(bar(20, 10))?.[0] ?? "";
  for (const stratum of STRATA) {
    expect(legend).toContain(`<span class="key ${stratum}">${stratum}`);
    expect(tokenOf(`.key.${stratum}::before`, "background")).toBe(tokenOf(`.stick .${stratum}`, "fill"));
  }
});

test("a line parts the floor from what is only organic, and there is none where one of them is empty", () => {
  expect(bar(20, 10)).toContain('<path class="cut" d="M25 0V4"/>');
  for (const one of [bar(20, 20), bar(20, 0)]) expect(one).not.toContain("cut");
});

test("where there is nothing to draw there is no legend either", () => {
  expect(strataBar({ gross: 0, valid: 0, demand: { organic: 0, floor: 0 } })).toBeUndefined();
});
