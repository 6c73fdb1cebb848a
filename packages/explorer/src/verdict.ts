/** A verdict as a visitor reads it: every check, and a mark that is green only where nothing was left unchecked. */
import { type Check, hex, type Verdict, type VerifiedReceipt } from "@tallystick/protocol";
import { countOf, isoTime, plural, timeOf } from "./format.ts";
import { type Html, html } from "./html.ts";

/** Whose word the key of the log is. */
export type KeySource = "page" | "own";

const STATES = {
  passed: { mark: "✓", word: "passed" },
  failed: { mark: "✗", word: "failed" },
  not_checked: { mark: "○", word: "not checked" },
} as const;

const KEY_SOURCES: Record<KeySource, string> = {
  page: "The key of the log came from this same server. Compare it with one you got elsewhere: only then does this not rest on the server’s word.",
  own: "Checked with the key you gave, not with the server’s.",
};

export function verdictHtml(verdict: Verdict<VerifiedReceipt>, keySource: KeySource): Html {
  const counts = (Object.keys(STATES) as Check["state"][]).map((state) => {
    const count = verdict.checks.filter((check) => check.state === state).length;
    return `${countOf(count)} ${STATES[state].word}`;
  });
  return html`<div class="verdict ${toneOf(verdict)}">
<p class="outcome">${outcomeOf(verdict)}</p>
<p class="note">${counts.join(" · ")}. ${KEY_SOURCES[keySource]}</p>
${verdict.outcome === "verified" ? contentOf(verdict.value) : undefined}<ol class="checks">
${verdict.checks.map(checkRow)}</ol>
</div>
`;
}

/** Something kept the checks from being made: no verdict at all. */
export function noVerdictHtml(reason: string): Html {
  return html`<div class="verdict open">
<p class="outcome">Nothing was checked</p>
<p>${reason}</p>
</div>
`;
}

/** The colour. `complete` asks for every check, not only for those that the verdict rests on. */
function toneOf({ outcome, checks }: Verdict<VerifiedReceipt>): "complete" | "partial" | "open" | "broken" {
  if (outcome === "failed") return "broken";
  if (outcome === "inconclusive") return "open";
  return checks.every(({ state }) => state === "passed") ? "complete" : "partial";
}

function outcomeOf(verdict: Verdict<VerifiedReceipt>): string {
  if (verdict.outcome === "failed") return `Verification failed: ${verdict.failure.replaceAll("_", " ")}`;
  if (verdict.outcome === "inconclusive")
    return "Inconclusive: nothing failed, but a verdict needs more than could be checked";
  const open = verdict.checks.filter(({ state }) => state === "not_checked").length;
  return open === 0
    ? "This receipt holds, and every check was made"
    : `This receipt holds, as far as it was checked: ${plural(open, "check")} not made`;
}

function checkRow(check: Check): Html {
  const { mark, word } = STATES[check.state];
  const failure = check.state === "failed" ? html` <code>${check.failure}</code>` : undefined;
  return html`<li class="check ${check.state}"><span class="mark" aria-hidden="true">${mark}</span><span class="check-name">${check.name} <span class="state">${word}</span>${failure}</span><span class="detail">${check.detail}</span></li>
`;
}

function contentOf({
  id,
  index,
  receipt,
  authorization,
  grant,
  manifest,
  nodeName,
  seenSeconds,
}: VerifiedReceipt): Html {
  const rows = [
    ["Receipt", html`<code class="long">${hex(id)}</code>`],
    ["Model", `${manifest.name} ${manifest.version}`],
    ["Node", nodeName],
    ["Status", receipt.status],
    ["Custody", grant.custody],
    ["Tier", authorization.tier],
    [
      "In the log",
      html`entry ${countOf(index)}, seen <time datetime="${isoTime(seenSeconds)}">${timeOf(seenSeconds)}</time>`,
    ],
  ] as const;
  return html`<dl class="says">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
`;
}
