/** What docs/reference/cli.md says that a command prints with `--json`. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

export async function documentedFields(command: string): Promise<string[]> {
  const page = await readFile(join(import.meta.dirname, "..", "..", "docs", "reference", "cli.md"), "utf8");
  const [, section = ""] = page.split(`\n## tally ${command}\n`);
  const sentence = /^`--json` prints ([^.]*)\./m.exec(section)?.[1] ?? "";
  return [...sentence.matchAll(/`(\w+)`/g)].map(([, field = ""]) => field);
}
