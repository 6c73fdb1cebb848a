/** HTML as a tagged template that escapes whatever is put into it, unless that is itself HTML made here. */

/** Markup that is safe to send: only `html` makes it. */
class Html {
  readonly markup: string;
  constructor(literals: readonly string[], values: readonly HtmlValue[]) {
    this.markup = literals.map((literal, i) => (i === 0 ? literal : markupOf(values[i - 1]) + literal)).join("");
  }
}

export type { Html };

/** What a template may hold; `undefined` is nothing. */
export type HtmlValue = Html | string | number | undefined | readonly HtmlValue[];

/** Values are escaped for text and for quoted attributes: every attribute in a template is quoted. */
export function html(literals: TemplateStringsArray, ...values: HtmlValue[]): Html {
  return new Html(literals, values);
}

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function markupOf(value: HtmlValue): string {
  if (value === undefined) return "";
  if (value instanceof Html) return value.markup;
  if (typeof value === "object") return value.map(markupOf).join("");
  return String(value).replace(/[&<>"']/g, (letter) => ESCAPES[letter] ?? letter);
}
