/** Pieces that several sections are built from. */
import { type Html, type HtmlValue, html } from "./html.ts";

/** A section as a ledger has it: what it is about in the margin, the entries to the right of the line. */
export function section(id: string, title: string, margin: HtmlValue, body: HtmlValue): Html {
  return html`<section class="entry" id="${id}" aria-labelledby="${id}-title">
<header class="margin"><h2 id="${id}-title">${title}</h2>${margin}</header>
<div class="body">${body}</div>
</section>
`;
}

/** A command to paste. The button is hidden until a script can make it work. */
export function command(text: string): Html {
  return html`<div class="command"><pre tabindex="0"><code>${text}</code></pre>${copyButton(text, "Copy the command")}</div>`;
}

export function copyButton(text: string, label: string): Html {
  return html`<button type="button" class="copy" data-copy="${text}" aria-label="${label}" hidden>Copy</button>`;
}

/** Where a figure stands in the answer of the API. */
export function field(name: string): Html {
  return html`<a class="field" href="/v1/usage" title="this field of /v1/usage"><code>${name}</code></a>`;
}

/** A cell with the name of its column, which is shown where the screen is too narrow for a head. */
export function cell(label: string, value: HtmlValue, kind = ""): Html {
  return html`<td role="cell" data-label="${label}" class="${kind}">${value}</td>`;
}

export type Column = { label: string; kind?: string };

/** A table that stays one, for the ear too, where a narrow screen sets its rows as cards. */
export function table(caption: string, columns: readonly Column[], rows: HtmlValue, kind = ""): Html {
  const heads = columns.map(
    ({ label, kind: own = "" }) => html`<th role="columnheader" scope="col" class="${own}">${label}</th>`,
  );
  return html`<table role="table" class="${kind}">
<caption>${caption}</caption>
<thead role="rowgroup"><tr role="row">${heads}</tr></thead>
<tbody role="rowgroup">
${rows}</tbody>
</table>`;
}
