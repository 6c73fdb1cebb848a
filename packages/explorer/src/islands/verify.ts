/** The verifier on the page: its form, the buttons beside the receipts, and where each verdict appears. */
import { RECEIPT_FILE_SIZE_BYTES } from "@tallystick/protocol";
import type { Html } from "../html.ts";
import { type KeySource, noVerdictHtml, verdictHtml } from "../verdict.ts";
import { readLogKey, receiptIdIn, verifyHere, whyNotHere } from "./verify-here.ts";

const form = document.querySelector<HTMLFormElement>("#verify-form");
const result = document.querySelector<HTMLElement>("#verify-result");
if (form !== null && result !== null) attach(form, result);

function attach(form: HTMLFormElement, result: HTMLElement): void {
  const idInput = inputOf(form, "id");
  const fileInput = inputOf(form, "file");
  const vkeyInput = inputOf(form, "vkey");
  const note = document.querySelector<HTMLElement>("#verify-vkey-note");
  const pageVkey = form.dataset.vkey ?? "";
  const keySource = (): KeySource => (vkeyInput.value.trim() === pageVkey ? "page" : "own");
  const pageNote = note?.textContent ?? "";

  const latest = new WeakMap<HTMLElement, () => Promise<Html>>();
  const show = async (place: HTMLElement, verdict: () => Promise<Html>) => {
    latest.set(place, verdict);
    place.replaceChildren();
    place.setAttribute("aria-busy", "true");
    const { markup } = await verdict().catch((error: unknown) => noVerdictHtml(`Something went wrong here: ${error}`));
    if (latest.get(place) !== verdict) return; // Something else has been asked since.
    place.innerHTML = markup; // Made by `html`, which escapes.
    place.removeAttribute("aria-busy");
  };
  const check = async (bytes: Uint8Array, askedId?: string): Promise<Html> => {
    const unable = await whyNotHere();
    if (unable !== undefined) return noVerdictHtml(unable);
    const logKey = readLogKey(vkeyInput.value);
    if (typeof logKey === "string") return noVerdictHtml(logKey);
    return verdictHtml(await verifyHere(bytes, logKey, askedId), keySource());
  };
  const checkId = async (id: string): Promise<Html> => {
    const fetched = await fetchReceipt(id);
    return typeof fetched === "string" ? noVerdictHtml(fetched) : check(fetched, id);
  };
  const checkFile = async (file: File): Promise<Html> =>
    file.size > RECEIPT_FILE_SIZE_BYTES
      ? noVerdictHtml(`${file.name} has ${file.size} bytes; a receipt file has at most ${RECEIPT_FILE_SIZE_BYTES}.`)
      : check(new Uint8Array(await file.arrayBuffer()));
  const checkForm = async (): Promise<Html> => {
    const id = receiptIdIn(idInput.value);
    if (id !== undefined) return checkId(id);
    const file = fileInput.files?.[0];
    if (idInput.value.trim() === "" && file !== undefined) return checkFile(file);
    return noVerdictHtml("A receipt id is 64 digits of lower-case hex: paste one, or choose a receipt file.");
  };

  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void show(result, () => checkForm());
  });
  fileInput.addEventListener("change", () => {
    const file = fileInput.files?.[0];
    if (file !== undefined) void show(result, () => checkFile(file));
  });
  vkeyInput.addEventListener("input", () => {
    if (note !== null) note.textContent = keySource() === "page" ? pageNote : "A key of your own.";
  });
  acceptDrops(form, (file) => void show(result, () => checkFile(file)));
  for (const button of document.querySelectorAll<HTMLButtonElement>("button[data-verify]"))
    attachRow(button, (place) => show(place, () => checkId(button.dataset.verify ?? "")));
}

/** A file dropped anywhere on `form` is taken; elsewhere the browser does with it what it always does. */
function acceptDrops(form: HTMLFormElement, take: (file: File) => void): void {
  const over = (on: boolean) => (event: DragEvent) => {
    event.preventDefault();
    form.classList.toggle("over", on);
  };
  form.addEventListener("dragover", over(true));
  form.addEventListener("dragleave", over(false));
  form.addEventListener("drop", (event) => {
    over(false)(event);
    const file = event.dataTransfer?.files[0];
    if (file !== undefined) take(file);
  });
}

/** The button of a receipt opens its verdict in a row below, and closes it again. */
function attachRow(button: HTMLButtonElement, fill: (place: HTMLElement) => Promise<void>): void {
  const row = button.closest("tr");
  if (row === null) return;
  const verdictRow = document.createElement("tr");
  const place = verdictRow.insertCell();
  verdictRow.className = "verdict-row";
  verdictRow.setAttribute("role", "row");
  place.setAttribute("role", "cell");
  place.setAttribute("aria-live", "polite");
  place.colSpan = row.cells.length;
  button.hidden = false;
  button.addEventListener("click", () => {
    const open = !verdictRow.isConnected;
    button.setAttribute("aria-expanded", String(open));
    button.textContent = open ? "Close" : "Verify here";
    if (!open) return verdictRow.remove();
    row.after(verdictRow);
    void fill(place);
  });
}

/** The bytes of a receipt file as this page's server gives them, or what kept it from giving them. */
async function fetchReceipt(id: string): Promise<Uint8Array | string> {
  let response: Response;
  try {
    response = await fetch(`/v1/receipts/${id}`, { headers: { accept: "application/json" } });
  } catch {
    return "The server did not answer: try again, or choose a receipt file.";
  }
  if (response.status === 404) return `This network has no receipt ${id}.`;
  if (!response.ok) return `The server answered ${response.status} instead of the receipt.`;
  return new Uint8Array(await response.arrayBuffer());
}

function inputOf(form: HTMLFormElement, name: string): HTMLInputElement {
  const input = form.elements.namedItem(name);
  if (!(input instanceof HTMLInputElement)) throw new Error(`the form has no ${name}`);
  return input;
}
