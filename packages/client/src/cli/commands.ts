/** What is short among the commands. */
import { readFile } from "node:fs/promises";
import { createClient } from "../client.ts";
import type { Context } from "./context.ts";
import { findNetwork, type NetworkOptions } from "./networks.ts";
import { EXIT, type Exit, table, UsageError } from "./terminal.ts";

export async function models(
  { json, ...options }: NetworkOptions & { json: boolean },
  context: Context,
): Promise<Exit> {
  const { url } = await findNetwork(options, context);
  const rows = await createClient({ url, edges: context.edges }).models();
  const ranked = rows.sort(
    (a, b) => b.decisionsReliedOn - a.decisionsReliedOn || b.valid - a.valid || (a.name < b.name ? -1 : 1),
  );
  const texts = ranked.map(
    (row) => [row.name, row.version, row.category, row.state, row.valid, row.decisionsReliedOn, row.summary] as const,
  );
  context.terminal.out(
    json
      ? `${JSON.stringify(ranked, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))}\n`
      : table(["MODEL", "VERSION", "CATEGORY", "STATE", "VALID", "RELIED ON", "WHAT IT GIVES"], texts),
  );
  return EXIT.ok;
}

export async function readJsonFile(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new UsageError(`${path} is not JSON that can be read`, { cause });
  }
}
