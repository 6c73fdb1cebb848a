/** The page at `/usage`: what the figures are, why some calls are in no higher stratum, and who counted again. */
import { renderPage } from "./document.ts";
import { html } from "./html.ts";
import { CATALOGUE } from "./sections/catalogue.ts";
import { footer } from "./sections/footer.ts";
import { models } from "./sections/models.ts";
import { reasons } from "./sections/reasons.ts";
import { recomputations } from "./sections/recomputations.ts";
import type { UsageView } from "./view.ts";

export function renderUsage(view: UsageView): string {
  const { figures, origin } = view;
  return renderPage({
    title: "Usage",
    description: `Every metric of ${origin}: how it is made, how it can be gamed, and who computed it again.`,
    origin,
    heading: "Usage",
    lead: html`Hosting is not use, and use is not demand. Four strata of every figure, why a call is in no higher one, and how each figure can be faked. <a href="/">The network’s page</a>`,
    skipTo: "the figures",
    scripts: [],
    main: [reasons(view), models(figures), recomputations(view), CATALOGUE],
    footer: footer(view),
  });
}
