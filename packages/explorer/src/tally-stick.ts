/** A count as the Exchequer cut it into a stick: the wider the notch, the more it stands for. */
import { type Html, html } from "./html.ts";

const NOTCHES = [
  { worth: 1_000_000, width: 44 },
  { worth: 100_000, width: 36 },
  { worth: 10_000, width: 29 },
  { worth: 1_000, width: 23 },
  { worth: 100, width: 17 },
  { worth: 20, width: 11 },
  { worth: 1, width: 6 },
];

const LENGTH = 520;
/** Each half's thickness, and the slit between them. */
const HALF = 15;
const SLIT = 3;
const DEPTH = 9;
/** The lower half is the shorter one, and both are cut only where both are. */
const FOIL = 44;
const END = 16;
const GAP = 5;

/**
 * The two halves of the stick, cut alike: what is settled is cut, what is provisional only scored. It repeats a
 * figure that stands beside it, so it is hidden from those who listen.
 */
export function tallyStick(settled: number, provisional: number): Html {
  const cuts = place(widthsOf(settled), FOIL + END);
  const scores = place(widthsOf(provisional), cuts.end);
  const length = Math.max(LENGTH, scores.end + END);
  const [top, bottom] = [0, 2 * HALF + SLIT];
  const stock = `M0 ${top}${cuts.notches.map(notchIn(top, DEPTH)).join("")}H${length}l-4 ${HALF}H0z`;
  const foil = `M${FOIL} ${bottom}${cuts.notches.map(notchIn(bottom, bottom - DEPTH)).join("")}H${length - 8}l4 -${HALF}H${FOIL}z`;
  const scored = scores.notches.flatMap((notch) => [
    scoreIn(top, DEPTH, notch),
    scoreIn(bottom, bottom - DEPTH, notch),
  ]);
  return html`<svg class="tally" viewBox="-1 -1 ${length + 2} ${bottom + 2}" aria-hidden="true"><path class="wood" d="${stock}"/><path class="wood" d="${foil}"/>${scored}</svg>`;
}

/** The notches of a count, the widest first. */
function widthsOf(count: number): number[] {
  return NOTCHES.flatMap(({ worth, width }, i) => {
    const above = NOTCHES[i - 1]?.worth ?? Number.POSITIVE_INFINITY;
    return new Array<number>(Math.floor((count % above) / worth)).fill(width);
  });
}

type Notch = { x: number; width: number };

function place(widths: readonly number[], start: number): { notches: Notch[]; end: number } {
  let end = start;
  const notches = widths.map((width) => {
    const x = end;
    end += width + GAP;
    return { x, width };
  });
  return { notches, end };
}

/** A notch in an edge, as a piece of the path along that edge. */
function notchIn(edge: number, tip: number): (notch: Notch) => string {
  return ({ x, width }) => `H${x}L${x + width / 2} ${tip}L${x + width} ${edge}`;
}

function scoreIn(edge: number, tip: number, { x, width }: Notch): Html {
  return html`<path class="score" d="M${x} ${edge}L${x + width / 2} ${tip}L${x + width} ${edge}"/>`;
}
