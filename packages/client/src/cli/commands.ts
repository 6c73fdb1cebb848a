/** What is short among the commands. */
import { readFile } from "node:fs/promises";
import { createClient } from "../client.ts";
import type { Context } from "./context.ts";
import { findNetwork, type NetworkOptions } from "./networks.ts";
import { EXIT, type Exit, jsonFor, table, UsageError } from "./terminal.ts";

const HEADINGS = ["#", "MODEL", "VERSION", "CATEGORY", "STATE", "ORGANIC", "VALID", "RELIED ON", "WHAT IT GIVES"];

const LAST = Number.MAX_SAFE_INTEGER;

/** `tally models`: what is offered, as the network's figures rank it; what these do not have yet comes last. */
export async function models(
  { json, ...options }: NetworkOptions & { json: boolean },
  context: Context,
): Promise<Exit> {
  const { url } = await findNetwork(options, context);
  const rows = await createClient({ url, edges: context.edges }).models();
  const ranked = rows
    .sort((a, b) => (a.rank ?? LAST) - (b.rank ?? LAST))
    .map((row) => ({
      ...row,
      priceAtomic: String(row.priceAtomic),
      unitPriceAtomic: String(row.unitPriceAtomic),
      outputUnitPriceAtomic: String(row.outputUnitPriceAtomic),
    }));
  const texts = ranked.map(({ rank, name, version, category, state, organic, valid, decisionsReliedOn, summary }) => [
    ...[rank ?? "-", name, version, category, state],
    ...[organic, valid, decisionsReliedOn, summary],
  ]);
  const { terminal } = context;
  terminal.out(json ? jsonFor(terminal, ranked) : table(HEADINGS, texts));
  return EXIT.ok;
}

export async function readJsonFile(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new UsageError(`${path} is not JSON that can be read`, { cause });
  }
}
