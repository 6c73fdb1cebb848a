/** The page: rendered whole on the server from one view, complete without a script. */
import { html } from "./html.ts";
import { mark } from "./mark.ts";
import { coverage } from "./sections/coverage.ts";
import { days } from "./sections/days.ts";
import { firstCall } from "./sections/first-call.ts";
import { footer } from "./sections/footer.ts";
import { headline } from "./sections/headline.ts";
import { models } from "./sections/models.ts";
import { receipts } from "./sections/receipts.ts";
import { usage } from "./sections/usage.ts";
import { verify } from "./sections/verify.ts";
import type { HomeView } from "./view.ts";

/** What the page needs to be allowed, and nothing else: send it as `content-security-policy`. */
export const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The page at `/`, a complete HTML document. */
export function renderHome(view: HomeView): string {
  const { figures, origin } = view;
  const empty = figures.totals.gross === 0;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="description" content="Decisions relied on, inferences and models of ${origin}: every figure recomputed from one public log.">
<title>Tallystick · ${origin}</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/page.css">
<script type="module" src="/assets/page.js"></script>
<script type="module" src="/assets/verify.js"></script>
</head>
<body>
<a class="skip" href="#main">Skip to the figures</a>
<header class="top">
<p class="brand">${mark()}<span>Tallystick</span></p>
<p class="origin"><code>${origin}</code></p>
<p class="lead">A network for AI inference whose every answer leaves a receipt signed by both sides, and whose every figure anybody can recompute.</p>
</header>
<main id="main" tabindex="-1">
${headline(view)}${empty ? firstCall(view) : undefined}${usage(view)}${models(figures)}${coverage(figures)}${days(figures)}${receipts(view.latest)}${verify(view)}${empty ? undefined : firstCall(view)}</main>
${footer(view)}</body>
</html>
`.markup;
}
