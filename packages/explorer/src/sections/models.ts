/** Models by use. Hosting is not use, so what nobody uses stands apart and says so. */
import { type Figures, IDLE_AFTER_DAYS, type ModelFigures, standingOf } from "@tallystick/protocol";
import { countOf, plural } from "../format.ts";
import { type Html, html } from "../html.ts";
import { cell, section, table } from "../parts.ts";

/** So many models are drawn as a notch each; of more, only the count says something. */
const NOTCHES = 120;

const COLUMNS = [
  { label: "Rank", kind: "count" },
  { label: "Model" },
  { label: "Decisions relied on", kind: "count" },
  { label: "Floor", kind: "count" },
  { label: "Organic", kind: "count" },
  { label: "Valid", kind: "count" },
  { label: "Gross", kind: "count" },
  { label: "State", kind: "state" },
];

export function models(figures: Figures): Html {
  const { totals } = figures;
  const inState = (state: ModelFigures["state"]) => figures.models.filter((model) => model.state === state);
  const [active, idle, yanked] = [inState("active"), inState("idle"), inState("yanked")];
  const margin = html`<p class="share">${countOf(totals.idleModels)} of ${plural(totals.models, "model")} idle</p>${notches(totals)}`;
  const body = [
    active.length === 0
      ? html`<p class="none">No model has been used yet.</p>`
      : group(
          "Models in use, by organic inferences, then by who paid, by decisions relied on and by valid inferences",
          active,
          "active",
        ),
    idle.length === 0
      ? undefined
      : html`<div class="idle-models"><h3>Idle</h3>
<p class="note">Hosted, and without one valid inference in ${IDLE_AFTER_DAYS} days. Hosting is not use.</p>
${group("Idle models", idle, "idle")}</div>`,
    yanked.length === 0
      ? undefined
      : html`<div class="idle-models"><h3>Withdrawn</h3>
<p class="note">Yanked by their publishers, and in no count of models.</p>
${group("Withdrawn models", yanked, "idle")}</div>`,
  ];
  return section("models", "Which models?", margin, body);
}

function group(caption: string, rows: readonly ModelFigures[], kind: string): Html {
  return table(caption, COLUMNS, rows.map(modelRow), `models cards ${kind}`);
}

function modelRow(model: ModelFigures): Html {
  const { rank, name, version, category, revision, gross, state } = model;
  return html`<tr role="row">${cell("Rank", gross === 0 || state === "yanked" ? "—" : countOf(rank), "count rank")}<th role="rowheader" scope="row" class="model" title="revision ${revision}"><span class="name">${name}</span> <span class="version">${version}</span> <span class="category">${category}</span><span class="why">${standingOf(model)}</span></th>
${cell("Relied on", countOf(model.decisionsReliedOn), "count relied")}${cell("Floor", countOf(model.demand.floor), "count")}${cell("Organic", countOf(model.demand.organic), "count")}${cell("Valid", countOf(model.valid), "count")}${cell("Gross", countOf(gross), "count")}${cell("State", stateOf(model), "state wide")}</tr>
`;
}

function stateOf({ state, lastUsedDay }: ModelFigures): Html {
  if (state === "yanked") return html`yanked`;
  if (state === "active") return html`in use`;
  if (lastUsedDay === null) return html`idle, never used`;
  return html`idle, last used <time datetime="${lastUsedDay}">${lastUsedDay}</time>`;
}

/** A stick with a notch for each model: cut where it is used, only marked where it is idle. */
function notches({ models: count, activeModels }: Figures["totals"]): Html | undefined {
  if (count === 0 || count > NOTCHES) return undefined;
  const each = Array.from({ length: count }, (_, i) => {
    const kind = i < activeModels ? "cut" : "marked";
    return html`<rect class="${kind}" x="${(i % 20) * 8 + 1}" y="${Math.floor(i / 20) * 16 + 1}" width="5" height="12" rx="1"/>`;
  });
  const height = Math.ceil(count / 20) * 16;
  return html`<svg class="notches" viewBox="0 0 160 ${height}" width="160" height="${height}" role="img" aria-label="${plural(activeModels, "model")} in use of ${countOf(count)}">${each}</svg>`;
}
