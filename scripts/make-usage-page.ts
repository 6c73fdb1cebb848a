/**
 * Makes the catalogue of docs/usage.md anew from the metrics' own data; what stands from "The simulator" on is left as it is:
 *
 *     npx tsx --conditions=@tallystick/source scripts/make-usage-page.ts
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { METRIC_GROUPS, METRICS, METRICS_VERSION, type Metric, STRATA } from "@tallystick/protocol";

export const USAGE_PAGE: string = join(import.meta.dirname, "../docs/usage.md");
const SIMULATOR = "## The simulator";

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
- What a row does not have is 0 where it is counted, and nothing where it is divided or ordered.

A metric is \`GET /v1/usage/{id}?by=&per=&from=&to=\`, and \`tally usage\`.
`;

/** The page, with what `current` has from the simulator on. */
export function usagePage(current: string): string {
  const at = current.indexOf(SIMULATOR);
  const tail =
    at < 0
      ? `${SIMULATOR}\n\nWhat the rules are worth against whom: [usage-simulator.md](usage-simulator.md).\n`
      : current.slice(at);
  const groups = METRIC_GROUPS.map(({ title, metrics }) => `## ${title}\n\n${metrics.map(entryOf).join("\n")}`);
  return `${HEAD}\n${groups.join("\n")}\n${tail}`;
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
  const current = (() => {
    try {
      return readFileSync(USAGE_PAGE, "utf8");
    } catch {
      return "";
    }
  })();
  writeFileSync(USAGE_PAGE, usagePage(current));
}
