/** The latest receipts, each of which a visitor can verify where it stands. */
import { shortId } from "../format.ts";
import { type Html, html } from "../html.ts";
import { cell, copyButton, section, table } from "../parts.ts";
import type { LatestReceipt } from "../view.ts";

const COLUMNS = [
  { label: "Index", kind: "count" },
  { label: "Receipt" },
  { label: "Model" },
  { label: "Status" },
  { label: "Custody" },
  { label: "Day (UTC)" },
  { label: "Verify", kind: "action" },
];

export function receipts(latest: readonly LatestReceipt[]): Html {
  const body =
    latest.length === 0
      ? html`<p class="none">No receipt yet.</p>`
      : table("The latest receipts, newest first", COLUMNS, latest.map(receiptRow), "receipts cards");
  const margin = html`<p class="note">Each is signed twice: the requester signs what is asked, the node what was answered. The log holds commitments, never content.</p>`;
  return section("receipts", "Latest receipts", margin, body);
}

function receiptRow({ id, index, model, status, custody, day }: LatestReceipt): Html {
  const short = html`<a href="/v1/receipts/${encodeURIComponent(id)}" title="${id}"><code>${shortId(id)}</code></a> ${copyButton(id, `Copy the receipt id ${id}`)}`;
  const button = html`<button type="button" class="verify" data-verify="${id}" aria-expanded="false" hidden>Verify here</button>`;
  return html`<tr role="row">${cell("Index", index === null ? "pending" : String(index), "count")}<th role="rowheader" scope="row" class="receipt">${short}</th>${cell("Model", model, "name wide")}${cell("Status", html`<span class="status" data-status="${status}">${status}</span>`)}${cell("Custody", custody)}${cell("Day (UTC)", day ?? "open", "wide")}${cell("Verify", button, "action")}</tr>
`;
}
