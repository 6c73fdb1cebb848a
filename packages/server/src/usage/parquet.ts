/** A metric's rows as a Parquet file, which says in its metadata of which log, checkpoint and rules they are. */
import type { Columns, RowOf } from "@tallystick/protocol";
import type { Format } from "./formats.ts";
import type { UsageAnswer } from "./schemas.ts";

/** What makes files of rows. */
export type WriteParquet = (
  columns: Columns,
  rows: RowOf<Columns>[],
  metadata: Record<string, string>,
) => Promise<Uint8Array<ArrayBuffer>>;

export function parquetFormat(write: WriteParquet): Format {
  return {
    name: "parquet",
    type: "application/vnd.apache.parquet",
    encode(answer) {
      const columns = columnsOf(answer);
      const rows = answer.rows.map((row) => {
        const figures = answer.strata.map((stratum) => [stratum, figureOf(columns[stratum], row[stratum] ?? null)]);
        return {
          start: row.start,
          key: row.key,
          name: row.name ?? null,
          ...Object.fromEntries(figures),
          provisional: row.provisional,
        };
      });
      return write(columns, rows, metadataOf(answer));
    },
  };
}

/** Money is exact, in a decimal; whatever else there is figures of are numbers. */
function columnsOf({ strata, rows }: UsageAnswer): Columns {
  const isMoney = rows.some((row) => strata.some((stratum) => typeof row[stratum] === "string"));
  const figures = strata.map((stratum) => [stratum, isMoney ? "amount" : "number"] as const);
  return { start: "text", key: "text", name: "text", ...Object.fromEntries(figures), provisional: "flag" };
}

function figureOf(kind: Columns[string] | undefined, value: string | number | null): bigint | number | null {
  if (value === null) return null;
  return kind === "amount" ? BigInt(value) : Number(value);
}

function metadataOf({ metric, unit, by, per, meta }: UsageAnswer): Record<string, string> {
  const said = { metric, unit, by, per, ...meta };
  return Object.fromEntries(Object.entries(said).map(([name, value]) => [`tallystick.${name}`, String(value ?? "")]));
}
