/** What `tally` says of itself: its commands and options, from which the help texts and docs/reference/cli.md are made. */
import { ASKING } from "./asking-help.ts";
import { COMMON, type Command } from "./command.ts";
import { KEEPING } from "./keeping-help.ts";
import { OPTIONS, type OptionName } from "./options.ts";

export const COMMANDS: ReadonlyMap<string, Command> = new Map([...ASKING, ...KEEPING]);

const USAGE = "wrong usage: a name, an option or an input that cannot be";

/** What `tally` alone prints. */
export function overview(): string {
  const lines = [...COMMANDS].map(([name, { takes, does }]) => row(`tally ${name} ${takes}`.trimEnd(), 32, does));
  return `tally: ask a Tallystick network, verify its receipts, recompute its figures

${lines.join("\n")}

${COMMON.map((option) => optionRow(option)).join("\n")}

TALLYSTICK_NETWORK and TALLYSTICK_API_KEY stand in for --network and --api-key.
TALLYSTICK_HOME is where receipts, known logs and your own key are kept; else ~/.config/tallystick.

tally COMMAND --help says more of each.
Exit status: 0 fine, 1 failed or refused, 2 wrong usage, 3 verification failed, 4 inconclusive, 5 network unreachable,
6 a monitor's alarm.
`;
}

/** What `tally NAME --help` prints. */
export function helpOf(name: string, { takes, about, options, says, example, exits }: Command): string {
  const statuses = Object.entries({ ...exits, 2: USAGE }).map(([status, meaning]) => `  ${status}  ${meaning}`);
  return `tally ${name} ${takes}`.trimEnd().concat(`

${about}

${options.map((option) => optionRow(option, says?.[option])).join("\n")}

Example

  ${example}

Exit status

${statuses.join("\n")}
`);
}

function optionRow(name: OptionName, says?: string): string {
  const option = OPTIONS[name];
  return row(`--${name}${"takes" in option ? ` ${option.takes}` : ""}`, 18, says ?? option.does);
}

function row(left: string, width: number, right: string): string {
  return `  ${left.padEnd(width)}  ${right}`;
}
