/**
 * Makes docs/usage.md anew from the metrics' own data, and from a run of the simulator the figures of that page and those of
 * docs/usage-simulator.md:
 *
 *     npx tsx --conditions=@tallystick/source scripts/make-usage-page.ts
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { METRIC_GROUPS, METRICS, METRICS_VERSION, type Metric, STRATA } from "@tallystick/protocol";

export const USAGE_PAGE: string = join(import.meta.dirname, "../docs/usage.md");
export const SIMULATOR_PAGE: string = join(import.meta.dirname, "../docs/usage-simulator.md");
const SEED = "11";

/** What `tally simulate --seed 11` printed, and on which day. */
export type Run = { day: string; text: string };

const WAITING = METRICS.filter(({ needs }) => needs !== undefined).length;

const STRATUM_ROWS: [string, string][] = [
  ["stratum", "what is in it"],
  ["gross", "every receipt, once"],
  ["valid", "those that no rule excludes: of a known session, node and model, paid or free, no test, no probe"],
  ["organic", "the valid whose payers the log ties to no seller, of models with payers enough to tell"],
  ["floor", "the organic of which somebody outside keeps a part of the price for good"],
];

function table(rows: [string, string][]): string {
  const widths = [0, 1].map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`;
  const [head = ["", ""], ...body] = rows;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}

const HEAD = `# Usage, metric by metric

Hosting is not use, and a count that costs nothing to raise is raised. So each figure here stands
beside those that are harder to raise, and says how it is gamed.

Every metric is a function of the log (\`${METRICS_VERSION}\`): anybody who has the tiles computes
the same document of a day, byte for byte, and \`tally audit\` does. There are ${METRICS.length}; ${WAITING} of
them have no figure yet, and say what they need. The rules are in [spec/usage.md](spec/usage.md).

## Four strata

${table(STRATUM_ROWS)}

Where a formula says S, it holds of each stratum. A stratum is part of the one before it, so that
counts never grow from left to right. Organic is a judgement, by rules with a version, that errs
towards letting stand what may be honest; the floor is none: it is what faking would have cost.

## How to read a metric

- **additive**: the figure of a whole is the sum of those of its parts. **distinct**: something counts
  once in each row, so that a sum over rows is more. **relative**: a stratum may have more of it than
  the one before. **ratio**: a quotient, to six digits. **as of**: a state at the end of the day.
- A row is of the network, a model (by revision), a publisher or a node (by key), a category, an app,
  a **column** or a **reason**. Columns are custody (\`custody_gateway\`, \`custody_account\`,
  \`custody_wallet\`), tags (\`stable\`, \`scoped\`, \`anonymous\`), money (\`free\`, \`subsidised\`,
  \`unattributed\`, \`funded\`), \`declared_owner\`, \`too_few\`, \`test\` and \`probe\`: what is left out of a
  stratum is shown there, not deleted. A reason is why a receipt is not in the next stratum.
- Apps name themselves, so that a document names a hundred at most: those with most organic receipts in
  the 31 days that end with its day, then valid, then any; of equals, the first by name. The others are
  the row \`other\`, and so is whoever has that name. The row without a key is of calls that name no app.
- Receipts whose revision nobody had published before them are of no model: one row of models,
  publishers and categories each, \`unpublished\`. Where models are counted or compared, it is none.
- Weeks begin on Monday; weeks and months are shown up to the day that is asked for, with exact sets.
- A day is final a day after its end. Until then it is provisional.
- A count of units over 2^53 − 1 is a text in decimal, as amounts are: sums are exact.
- What a row does not have is 0 where it is counted, and nothing where it is divided or ordered.

A metric is \`GET /v1/usage/{id}?by=&per=&from=&to=\`, and \`tally usage\`.
`;

/** docs/usage.md, with what the run came to. */
export function usagePage(run: Run): string {
  const groups = METRIC_GROUPS.map(({ title, metrics }) => `## ${title}\n\n${metrics.map(entryOf).join("\n")}`);
  return `${HEAD}\n${groups.join("\n")}\n${attacksOf(run)}`;
}

function attacksOf({ day, text }: Run): string {
  const attacks = text.split("\n\n").find((part) => part.startsWith("ATTACK "));
  const honest = (what: string) => {
    const share = new RegExp(`^${what} +(\\S+ %)$`, "m").exec(text)?.[1];
    if (share === undefined) throw new Error(`the simulator does not print how much is ${what}`);
    return share;
  };
  return `## The simulator

What the rules are worth against whom. \`tally simulate --seed ${SEED}\`, ${day}: shares are of receipts,
costs are atomic units paid for good for 1,000 organic ones, of calls that cost 1,000 each:

\`\`\`text
${attacks}
\`\`\`

Structural attacks are those that the log itself shows. Of the honest demand that was paid for in that run,
${honest("labelled as wash, wrongly")} was labelled as wash, and ${honest("in models too few ask")} is in models too few to judge. How it is made, what the rest of a
run says, and what patience and a gateway of one's own get through: [usage-simulator.md](usage-simulator.md).
`;
}

/** Where docs/usage-simulator.md has a run: its day and its text. */
const RUN = new RegExp(
  `(\`tally simulate --seed ${SEED}\`, of )(\\S+)(, .*:\\n\\n\`\`\`text\\n)([^\`]*)(\\n\`\`\`\\n)`,
);

/** The run that docs/usage-simulator.md shows. */
export function runIn(page: string): Run {
  const [, , day, , text] = RUN.exec(page) ?? [];
  if (day === undefined || text === undefined) throw new Error(`${SIMULATOR_PAGE} shows no run of seed ${SEED}`);
  return { day, text };
}

/** docs/usage-simulator.md with that run instead of its own. */
export function simulatorPage(page: string, { day, text }: Run): string {
  return page.replace(RUN, (_, before, _day, between, _text, after) => [before, day, between, text, after].join(""));
}

/** Runs the simulator, which takes some seconds. */
export async function runSimulator(): Promise<Run> {
  const { simulateCommand } = await import("../packages/client/src/cli/simulate.ts");
  const { openHome } = await import("../packages/client/src/cli/home.ts");
  const { systemEdges } = await import("../packages/client/src/edges.ts");
  const texts: string[] = [];
  const terminal = { out: (text: string) => void texts.push(text), err: () => {}, isTty: false };
  await simulateCommand({ seed: SEED, json: false }, { terminal, home: openHome({}), edges: systemEdges, env: {} });
  return { day: new Date().toISOString().slice(0, 10), text: texts.join("").trimEnd() };
}

function entryOf(metric: Metric): string {
  const { id, name, unit, kind, formula, source, by, per, strata, gamedBy, needs } = metric;
  const of = strata === undefined ? "" : `, of ${strata.join(", ")}`;
  const lines = [
    `\`${id}\`: ${unit}; ${kind.replace("_", " ")}${of}; by ${by.join(", ")}; per ${per.join(", ")}.`,
    `${upper(formula)}.`,
    `**From:** ${source}.`,
    `**Gamed by:** ${gamedBy}.`,
    ...(needs === undefined ? [] : [`**Needs:** ${needs}.`]),
  ];
  return `### ${name}\n\n${lines.map(wrap).join("\n\n")}\n`;
}

const STRATUM_FIRST = new RegExp(`^(${STRATA.join("|")}|as )`);

/** A sentence; one that begins with a name of the catalogue keeps it as it is. */
function upper(text: string): string {
  const isName = METRICS.some(({ id }) => new RegExp(`^${id}\\b`).test(text) && id.includes("_"));
  return isName || STRATUM_FIRST.test(text) ? text : text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** Lines of at most 100 columns. */
function wrap(text: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + word.length >= 100) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join("\n");
}

if (import.meta.filename === process.argv[1]) {
  const run = await runSimulator();
  writeFileSync(SIMULATOR_PAGE, simulatorPage(readFileSync(SIMULATOR_PAGE, "utf8"), run));
  writeFileSync(USAGE_PAGE, usagePage(run));
}
