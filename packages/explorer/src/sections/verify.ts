/** Where a visitor verifies a receipt of their own, with a key of their own. It does nothing without a script, and says what else does. */
import { type Html, html } from "../html.ts";
import { command, section } from "../parts.ts";
import type { HomeView } from "../view.ts";

export function verify({ logVkey, url }: HomeView): Html {
  const body = html`<form id="verify-form" class="verify-form" data-vkey="${logVkey}" hidden>
<div class="row"><div class="field-id"><label for="verify-id">Receipt id</label>
<input id="verify-id" name="id" inputmode="latin" autocomplete="off" autocapitalize="off" spellcheck="false" maxlength="300" placeholder="64 digits of hex"></div>
<button type="submit">Verify here</button></div>
<div class="drop"><label for="verify-file">or a receipt file: choose it, or drop it here</label>
<input id="verify-file" name="file" type="file" accept=".json,application/json"></div>
<div><label for="verify-vkey">Key of the log</label>
<input id="verify-vkey" name="vkey" autocomplete="off" autocapitalize="off" spellcheck="false" maxlength="300" aria-describedby="verify-vkey-note" value="${logVkey}">
<p class="note" id="verify-vkey-note">This key came from the same server: compare it with one you got elsewhere.</p></div>
</form>
<noscript><p class="note">The form that stands here needs JavaScript, for it is your browser that verifies.</p></noscript>
<div id="verify-result" aria-live="polite"></div>
<p class="note">The same check at a terminal, by the same code:</p>
${command(`npx tally verify RECEIPT_ID --network ${url}`)}`;
  const margin = html`<p class="note">Verified in this browser, by the code that everybody verifies with. A file you choose stays on your machine.</p>`;
  return section("verify", "Verify one yourself", margin, body);
}
