/** Which model a person means who does not spell out its name. */
import type { ModelRow } from "../models.ts";
import { printable, type Terminal, UsageError } from "./terminal.ts";

/**
 * The name of the one model that `called` names: its whole name, or words of its name and category, as `credit-risk`.
 * What fits no model is given back as it is, for the network to refuse. Throws UsageError where it fits several.
 */
export async function nameOf(
  client: { models(): Promise<readonly Pick<ModelRow, "name" | "category">[]> },
  called: string,
  terminal: Pick<Terminal, "err">,
): Promise<string> {
  if (called.includes("/")) return called;
  const rows = await client.models();
  if (rows.some(({ name }) => name === called)) return called;
  const words = wordsOf(called);
  const fitting = rows.filter(({ name, category }) => {
    const known = new Set([...wordsOf(name), ...wordsOf(category)]);
    return words.length > 0 && words.every((word) => known.has(word));
  });
  const [found, ...others] = fitting.map(({ name }) => printable(name));
  if (found === undefined) return called;
  if (others.length > 0) throw new UsageError(`"${called}" may be ${[found, ...others].join(" or ")}: say which`);
  terminal.err(`${called} is ${found}\n`);
  return found;
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
}
