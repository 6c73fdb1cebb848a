/** The mark: a tally stick, split along its length, the notches of one half meeting those of the other. */
import { type Html, html } from "./html.ts";

export function mark(): Html {
  return html`<svg class="mark" viewBox="0 0 40 24" width="40" height="24" aria-hidden="true"><path d="M1 2h37v3l1 2-1 3H1zM7 2v4M12 2v4M17 2v4M25 2v6"/><path d="M1 14h37l1 3-1 2v3H1zM7 22v-4M12 22v-4M17 22v-4M25 22v-6"/></svg>`;
}
