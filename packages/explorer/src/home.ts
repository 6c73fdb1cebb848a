/** The page at `/`: rendered whole on the server from one view, complete without a script. */
import { renderPage } from "./document.ts";
import { html } from "./html.ts";
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

export function renderHome(view: HomeView): string {
  const { figures, origin } = view;
  const empty = figures.totals.gross === 0;
  return renderPage({
    title: "Tallystick",
    description: `Decisions relied on, inferences and models of ${origin}: every figure recomputed from one public log.`,
    origin,
    lead: html`A network for AI inference whose every answer leaves a receipt signed by both sides, and whose every figure anybody can recompute.`,
    skipTo: "the figures",
    scripts: ["/assets/verify.js"],
    main: [
      headline(view),
      ...(empty ? [firstCall(view)] : []),
      ...[usage(view), models(figures), coverage(figures), days(figures), receipts(view.latest), verify(view)],
      ...(empty ? [] : [firstCall(view)]),
    ],
    footer: footer(view),
  });
}
