/** The page at `/errors`: what each type of refusal means and what to do, each at the address that refusals name. */
import { renderPage } from "./document.ts";
import { type Html, html } from "./html.ts";
import { cell, section, table } from "./parts.ts";
import { footer } from "./sections/footer.ts";
import type { LogView, ProblemView } from "./view.ts";

const COLUMNS = [{ label: "Code" }, { label: "Status", kind: "count" }, { label: "Meaning" }, { label: "What to do" }];

export function renderProblems(view: LogView & { problems: readonly ProblemView[] }): string {
  const rows = view.problems.map(row);
  const note = html`<p class="note">A refusal names its type by the address of its row here, as RFC 9457 has it.</p>`;
  return renderPage({
    title: "Errors",
    description: "Every type of refusal: what it means and what to do.",
    origin: view.origin,
    heading: "Errors",
    lead: html`Why a request is refused, and what to do. <a href="/">The network’s page</a>`,
    skipTo: "the codes",
    scripts: [],
    main: section(
      "errors",
      "What does a refusal mean?",
      note,
      table("Each code of a refusal", COLUMNS, rows, "cards problems"),
    ),
    footer: footer(view),
  });
}

function row({ code, status, title, meaning, remedy }: ProblemView): Html {
  return html`<tr role="row" id="${code}"><th role="rowheader" scope="row"><code>${code}</code></th>${cell("Status", status, "count")}${cell("Meaning", html`<strong>${title}</strong>: ${marked(meaning)}`)}${cell("What to do", marked(remedy))}</tr>
`;
}

/** Text whose code stands between backticks, as in the documents. */
function marked(text: string): Html[] {
  return text.split("`").map((part, i) => (i % 2 === 1 ? html`<code>${part}</code>` : html`${part}`));
}
