/** `tally disk`: what a network's data folder takes on its disk, how fast it grows, and when the disk is full. */
import { lstat, readdir, statfs } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseCheckpoint } from "@tallystick/protocol";
import type { Context } from "./context.ts";
import { openFolderSource } from "./folder-source.ts";
import { findEntriesADay } from "./growth.ts";
import { findFile } from "./home.ts";
import { EXIT, type Exit, printable, table, UsageError } from "./terminal.ts";

export type DiskArguments = { data?: string; json: boolean };

/** What lies where in a data folder. The first that fits; the rest is `other`. */
const PLACES = [
  ["tiles", /^log\/(checkpoints\/)?tiles\//],
  ["writeAhead", /^log\/(checkpoints\/)?wal\//],
  ["artifacts", /^artifacts\//],
  ["database", /^((gateway|verification|proving\/proofs)\.sqlite|witnesses\/)/],
  ["projections", /^projections\//],
  ["other", /^/],
] as const;
type Place = (typeof PLACES)[number][0];

/** Bytes on disk by place, in blocks as `du` counts them. */
export type Sizes = Record<Place, number>;
export type Disk = { freeBytes: number; diskBytes: number };
export type Forecast = {
  /** What an entry takes of the tiles; null in an empty log. */
  bytesAnEntry: number | null;
  growthBytesADay: number | null;
  /** Null where the log does not grow, or not measurably yet. */
  daysUntilFull: number | null;
  warnings: string[];
};

const DAYS_LEAST = 30;
const FREE_SHARE_LEAST = 0.1;

export async function disk({ data = ".tallystick", json }: DiskArguments, { terminal }: Context): Promise<Exit> {
  const folder = resolve(data);
  if ((await findFile(join(folder, "tallystick.json"))) === undefined)
    throw new UsageError(`${folder} is no data folder of a network: give one with --data`);
  const source = await openFolderSource(folder);
  const { size: entryCount } = parseCheckpoint(await source.checkpoint());
  const entriesADay = (await findEntriesADay(source, entryCount)) ?? null;
  const bytes = await measure(folder);
  const space = await readDisk(folder);
  const forecast = forecastOf({ tilesBytes: bytes.tiles, entryCount, entriesADay, ...space });
  const report = { folder, bytes, entryCount, entriesADay, ...space, ...forecast };
  terminal.out(json ? `${JSON.stringify(report)}\n` : diskText(report));
  return forecast.warnings.length > 0 ? EXIT.failure : EXIT.ok;
}

export function forecastOf({
  tilesBytes,
  entryCount,
  entriesADay,
  freeBytes,
  diskBytes,
}: Disk & { tilesBytes: number; entryCount: number; entriesADay: number | null }): Forecast {
  const bytesAnEntry = entryCount === 0 ? null : tilesBytes / entryCount;
  const growthBytesADay = bytesAnEntry === null || entriesADay === null ? null : bytesAnEntry * entriesADay;
  const daysUntilFull = growthBytesADay === null || growthBytesADay <= 0 ? null : freeBytes / growthBytesADay;
  const warnings = [
    ...(daysUntilFull !== null && daysUntilFull < DAYS_LEAST
      ? [`the log alone fills the disk in ${Math.floor(daysUntilFull)} days`]
      : []),
    ...(freeBytes < FREE_SHARE_LEAST * diskBytes ? ["less than 10 % of the disk is free"] : []),
  ];
  return { bytesAnEntry, growthBytesADay, daysUntilFull, warnings };
}

async function readDisk(folder: string): Promise<Disk> {
  const { bsize, blocks, bavail } = await statfs(folder);
  return { freeBytes: bavail * bsize, diskBytes: blocks * bsize };
}

async function measure(folder: string): Promise<Sizes> {
  const sizes: Sizes = { tiles: 0, writeAhead: 0, artifacts: 0, database: 0, projections: 0, other: 0 };
  const walk = async (path: string): Promise<void> => {
    // A running network replaces files meanwhile: what is gone takes nothing.
    const entries = await readdir(join(folder, path), { withFileTypes: true }).catch(orGone(() => []));
    const files = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => `${path}${name}`);
    const blocks = await Promise.all(
      files.map((file) =>
        lstat(join(folder, file)).then(
          (found) => found.blocks,
          orGone(() => 0),
        ),
      ),
    );
    for (const [i, file] of files.entries()) sizes[placeOf(file)] += 512 * (blocks[i] ?? 0);
    for (const entry of entries) if (entry.isDirectory()) await walk(`${path}${entry.name}/`);
  };
  await walk("");
  return sizes;
}

function placeOf(path: string): Place {
  return PLACES.find(([, pattern]) => pattern.test(path))?.[0] ?? "other";
}

/** What stands for a file or folder that went away. */
function orGone<T>(nothing: () => T): (error: unknown) => T {
  return (error) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return nothing();
    throw error;
  };
}

function diskText({
  folder,
  bytes,
  entryCount,
  entriesADay,
  freeBytes,
  diskBytes,
  bytesAnEntry,
  growthBytesADay,
  daysUntilFull,
  warnings,
}: { folder: string; bytes: Sizes; entryCount: number; entriesADay: number | null } & Disk & Forecast): string {
  const whole = (value: number | null) => (value === null ? "not known yet" : Math.round(value));
  const rows = [
    ["tiles", bytes.tiles],
    ["write-ahead", bytes.writeAhead],
    ["artifacts", bytes.artifacts],
    ["database", bytes.database],
    ["projections", bytes.projections],
    ["other", bytes.other],
    ["free", freeBytes],
    ["disk", diskBytes],
  ] as const;
  const lines = [
    `entries          ${entryCount}`,
    `bytes an entry   ${whole(bytesAnEntry)}`,
    `entries a day    ${whole(entriesADay)}`,
    `bytes a day      ${whole(growthBytesADay)}`,
    `disk full in     ${daysUntilFull === null ? "not known yet" : `${Math.floor(daysUntilFull)} days`}`,
    ...warnings.map((warning) => `WARNING          ${warning}`),
  ];
  return `${printable(folder)}\n\n${table(["WHAT", "BYTES"], rows)}\n${lines.join("\n")}\n`;
}
