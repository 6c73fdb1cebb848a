/** The log that all of the page rests on, and where its raw forms are. */
import { base64, type Checkpoint, cosignatureTimes, Malformed, parseCheckpoint, utf8 } from "@tallystick/protocol";
import { countOf, isoTime, plural, timeOf } from "../format.ts";
import { type Html, html } from "../html.ts";
import { copyButton } from "../parts.ts";
import type { LogView } from "../view.ts";

export function footer(view: LogView): Html {
  const { origin, logVkey, figures } = view;
  return html`<footer class="entry">
<div class="margin"><h2>The log</h2></div>
<div class="body">
<dl class="log">
<div><dt>Origin</dt><dd><code class="long">${origin}</code></dd></div>
${checkpointRows(view)}
${witnessRow(view)}
<div><dt>Figures</dt><dd>over ${plural(figures.size, "entry", "entries")}, rules <code>${figures.rules}</code></dd></div>
<div><dt>Key</dt><dd><code class="long">${logVkey}</code> ${copyButton(logVkey, "Copy the key of the log")}</dd></div>
</dl>
<nav aria-label="Raw forms"><a href="/usage">/usage</a> <a href="/v1/usage">/v1/usage</a> <a href="/v1/usage/metrics">/v1/usage/metrics</a> <a href="/v1/models">/v1/models</a> <a href="/checkpoint">/checkpoint</a> <a href="/v1/log">/v1/log</a> <a href="/openapi.json">/openapi.json</a> <a href="/errors">/errors</a></nav>
<p class="note">How each is defined: docs/spec in the source, of which entry.md, log.md, receipt.md and usage.md are what another implementer needs.</p>
</div>
</footer>
`;
}

function checkpointRows({ checkpoint, origin }: LogView): Html {
  const parsed = parseOrUndefined(checkpoint);
  if (parsed === undefined) return html`<div><dt>Checkpoint</dt><dd>none yet</dd></div>`;
  const seconds = cosignatureTimes(parsed.note, origin).at(-1);
  const time =
    seconds === undefined
      ? "without a time"
      : html`<time datetime="${isoTime(seconds)}" data-age>${timeOf(seconds)}</time>`;
  return html`<div><dt>Checkpoint</dt><dd>size ${countOf(parsed.size)}, ${time}</dd></div>
<div><dt>Root</dt><dd><code class="long">${base64(parsed.root)}</code></dd></div>`;
}

/** Who else vouches that the log only grows. That one operator runs them all is said where it is so. */
function witnessRow({ witnesses, witnessedSize }: LogView): Html {
  if (witnesses.length === 0) return html`<div><dt>Witnesses</dt><dd>none: the log vouches for itself</dd></div>`;
  const names = witnesses.map(({ name }) => html`<code>${name}</code> `);
  const seen =
    witnessedSize === undefined ? "none of it is cosigned yet" : `cosigned to size ${countOf(witnessedSize)}`;
  const own = witnesses.every(({ here }) => here)
    ? "One operator runs them and the log: they show that it kept to its own word, and not that anybody else watched."
    : "";
  return html`<div><dt>Witnesses</dt><dd>${names}${seen}. ${own}</dd></div>`;
}

function parseOrUndefined(checkpoint: string): Checkpoint | undefined {
  try {
    return parseCheckpoint(utf8(checkpoint));
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}
