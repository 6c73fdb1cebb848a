import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { COMMANDS, helpOf, overview } from "../../packages/client/src/cli/help.ts";
import { OPTIONS } from "../../packages/client/src/cli/options.ts";

/** The sections of docs/reference/cli.md by their headings, the first under the title. */
let sections: Map<string, string>;

beforeAll(async () => {
  const page = await readFile(join(import.meta.dirname, "..", "..", "docs", "reference", "cli.md"), "utf8");
  sections = new Map(
    page
      .split(/^#{1,2} /m)
      .slice(1)
      .map((section) => [section.split("\n")[0] ?? "", section]),
  );
});

const blockIn = (heading: string) => /^```text\n(.*?)^```$/ms.exec(sections.get(heading) ?? "")?.[1];

test("the reference has every command, in the order of the help, and no other", () => {
  expect([...sections.keys()]).toEqual(["tally", ...[...COMMANDS.keys()].map((name) => `tally ${name}`)]);
});

test("the reference prints the help as the command does", () => {
  expect(blockIn("tally")).toBe(overview());
  for (const [name, command] of COMMANDS) expect(blockIn(`tally ${name}`)).toBe(helpOf(name, command));
});

test.each([...COMMANDS])(
  "the help of %s has an example of it and says what each exit status means",
  (name, command) => {
    expect(command.example).toMatch(new RegExp(`^tally ${name}\\b`));
    expect(command.exits).toMatchObject({ 0: expect.any(String), 1: expect.any(String) });
    expect(5 in command.exits, "it asks a network").toBe(command.options.includes("network"));
    expect(helpOf(name, command)).toContain("\n  2  wrong usage");
  },
);

test("every option is one that some command takes", () => {
  const taken = new Set([...COMMANDS.values()].flatMap(({ options }) => options));
  expect(Object.keys(OPTIONS).filter((name) => !taken.has(name as keyof typeof OPTIONS))).toEqual([]);
});
