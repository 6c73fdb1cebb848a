/** How to make a call: the first thing to do on an empty network. */
import { type Html, html } from "../html.ts";
import { command, section } from "../parts.ts";
import type { HomeView } from "../view.ts";

export function firstCall({ figures, firstCall: curl }: HomeView): Html {
  const empty = figures.totals.gross === 0;
  const title = empty ? "Make the first call" : "Make a call";
  const lead = empty
    ? html`<p class="none">Nobody has asked this network anything yet, so every figure is zero. The first call changes that:</p>`
    : html`<p>Any HTTP client will do. The answer names its receipt in the header <code>x-receipt-id</code>.</p>`;
  const margin = empty
    ? html`<p class="note">The answer names its receipt in the header <code>x-receipt-id</code>; look it up below.</p>`
    : undefined;
  return section("call", title, margin, html`${lead}${command(curl)}`);
}
