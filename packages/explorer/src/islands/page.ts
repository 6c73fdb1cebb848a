/** What a script adds to the page: copy buttons that copy, and how long ago the checkpoint was. */

for (const button of document.querySelectorAll<HTMLButtonElement>("button[data-copy]")) {
  if (navigator.clipboard === undefined) continue; // Not there outside https and localhost.
  button.hidden = false;
  button.addEventListener("click", () => void copy(button));
}

async function copy(button: HTMLButtonElement): Promise<void> {
  let said = "Copied";
  try {
    await navigator.clipboard.writeText(button.dataset.copy ?? "");
  } catch {
    said = "Not allowed";
  }
  button.textContent = said;
  setTimeout(() => {
    button.textContent = "Copy";
  }, 2_000);
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["second", 60],
  ["minute", 60],
  ["hour", 24],
  ["day", Number.POSITIVE_INFINITY],
];
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function age(timeMs: number): string {
  let count = (Date.now() - timeMs) / 1000;
  for (const [unit, next] of STEPS) {
    if (count < next) return RELATIVE.format(-Math.round(count), unit);
    count /= next;
  }
  return "";
}

function tellAges(): void {
  for (const time of document.querySelectorAll<HTMLTimeElement>("time[data-age]")) {
    time.dataset.age = age(Date.parse(time.dateTime));
  }
}

tellAges();
setInterval(tellAges, 10_000);
