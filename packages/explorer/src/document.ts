/** What every page has around it: the head, the brand, and what it is allowed to load. */
import { type Html, type HtmlValue, html } from "./html.ts";
import { mark } from "./mark.ts";

/** What a page needs to be allowed, and nothing else: send it as `content-security-policy`. */
export const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export type Page = {
  title: string;
  description: string;
  origin: string;
  /** What it is headed by, below the brand, where no section of it is that. */
  heading?: string;
  /** What it is about. */
  lead: Html;
  /** What the page begins with, for whoever skips its head. */
  skipTo: string;
  /** Modules beside the one of every page. */
  scripts: readonly string[];
  main: HtmlValue;
  footer: Html;
};

/** A complete HTML document. */
export function renderPage({ title, description, origin, heading, lead, skipTo, scripts, main, footer }: Page): string {
  const modules = ["/assets/page.js", ...scripts].map(
    (path) => html`<script type="module" src="${path}"></script>
`,
  );
  const h1 =
    heading === undefined
      ? undefined
      : html`<h1>${heading}</h1>
`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="description" content="${description}">
<title>${title} · ${origin}</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/page.css">
${modules}</head>
<body>
<a class="skip" href="#main">Skip to ${skipTo}</a>
<header class="top">
<p class="brand">${mark()}<span>Tallystick</span></p>
<p class="origin"><code>${origin}</code></p>
${h1}<p class="lead">${lead}</p>
</header>
<main id="main" tabindex="-1">
${main}</main>
${footer}</body>
</html>
`.markup;
}
