/** Intel's words for how up to date a part of a platform is, and the worst of several. */
import type { AttestationFailure } from "./appraisal.ts";

/** From the best to the worst. */
export const TCB_STATUSES = [
  "UpToDate",
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
] as const;
export type TcbStatus = (typeof TCB_STATUSES)[number];

/** What Intel says of a level, with the advisories that say why. */
export type LevelStatus = { status: TcbStatus; advisories: string[] };

/** How a part stands: the level that it reaches, or why it reaches none. */
export type Standing = ({ ok: true } & LevelStatus) | { ok: false; failure: AttestationFailure; fault: string };

export const unfit = (fault: string): Standing => ({ ok: false, failure: "wrong_platform", fault });

/** How a part stands that reaches `level`, or none. */
export function standingAt(level: LevelStatus | undefined, part: string): Standing {
  if (level === undefined) return { ok: false, failure: "out_of_date", fault: `no TCB level is as old as ${part}` };
  return { ok: true, status: level.status, advisories: level.advisories };
}

/** The worst of several standings, with the advisories of all. What reaches no level is out of date. */
export function worstOf(standings: readonly Standing[]): LevelStatus {
  const levels = standings.map((each): LevelStatus => (each.ok ? each : { status: "OutOfDate", advisories: [] }));
  const statuses = levels.map(({ status }) => status);
  const worst = TCB_STATUSES.findLast((status) => statuses.includes(status)) ?? "Revoked";
  // Old in one part and to be configured in another is both.
  const isBoth = worst === "OutOfDate" && statuses.some((status) => status.startsWith("Configuration"));
  const advisories = [...new Set(levels.flatMap((each) => each.advisories))];
  return { status: isBoth ? "OutOfDateConfigurationNeeded" : worst, advisories };
}
