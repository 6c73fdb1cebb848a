/** Proof coverage for a person's eyes: what of valid answers is verified how, and how much may be wrong. */
import { type Bound, type Figures, percentOf } from "@tallystick/protocol";

/** The lines of all models together. */
export function coverageLines({ totals, independentVerifiers }: Figures): string[] {
  const { tiers, unopenable, checked, failures, population, disputesUpheld } = totals.verification;
  const { omitted, undecided, undrawnEpochs, missingReveals, asked } = totals.verification;
  const revoked = tiers.none > 0 ? [`${tiers.none} of no tier`] : [];
  const byTier = [
    ...(["proved", "reexecuted", "attested", "signed"] as const).map((tier) => `${tiers[tier]} ${tier}`),
    ...revoked,
  ];
  const undone = {
    "checks omitted": omitted,
    undecided,
    "epochs undrawn": undrawnEpochs,
    "reveals missing": missingReveals,
  };
  const missed = Object.entries(undone).flatMap(([name, count]) => (count > 0 ? [`${count} ${name}`] : []));
  return [
    `valid, by tier        ${byTier.join(", ")}`,
    `no lot can draw       ${unopenable}`,
    ...(asked.population > 0 ? [`asked for a check     ${askedText(asked)}`] : []),
    `checked by lot        ${checked} of ${population}, ${failures} wrong; ${boundText(totals.verification)}`,
    ...(missed.length > 0 ? [`not done              ${missed.join(", ")}`] : []),
    ...(disputesUpheld > 0 ? [`disputes upheld       ${disputesUpheld}`] : []),
    ...(independentVerifiers === 0 ? ["no protection against grinding: nobody but the log's operator verifies"] : []),
  ];
}

export const COVERAGE_COLUMNS = [
  "MODEL",
  "PROVED",
  "REEXECUTED",
  "ATTESTED",
  "SIGNED",
  "CHECKED, 24 H",
  "WRONG",
  "AT MOST WRONG",
];

/** A row for each model that was used. */
export function coverageRows({ models }: Figures): (string | number)[][] {
  return models
    .filter(({ gross }) => gross > 0)
    .map(({ name, verification: { tiers, recent } }) => [
      name,
      ...[tiers.proved, tiers.reexecuted, tiers.attested, tiers.signed],
      ...[`${recent.checked} of ${recent.population}`, recent.failures, shareText(recent)],
    ]);
}

type Asked = Figures["totals"]["verification"]["asked"];

function askedText({ checked, population, failures, waiting, omitted, undecided }: Asked): string {
  const undone = Object.entries({ "waiting for a lot": waiting, omitted, undecided });
  const named = undone.flatMap(([name, count]) => (count > 0 ? [`, ${count} ${name}`] : []));
  return `${checked} of ${population} checked, ${failures} wrong${named.join("")}`;
}

type Bounded = Pick<Bound, "settled" | "upperBound">;

function boundText({ settled, upperBound }: Bounded): string {
  if (upperBound === null) return "no bound yet";
  return `of ${settled} whose lots are done at most ${percentOf(upperBound)}, at 99 % confidence`;
}

function shareText({ settled, upperBound }: Bounded): string {
  return upperBound === null ? "not known" : `${percentOf(upperBound)} of ${settled}`;
}
