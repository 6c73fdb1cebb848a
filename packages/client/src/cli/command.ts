/** What a command says of itself, and what many commands share of that. */
import type { OptionName } from "./options.ts";

/** Options of every command that asks a network. */
export const COMMON: readonly OptionName[] = ["network", "vkey", "policy", "json", "help"];
/** Options of every command that looks at this machine alone. */
export const LOCAL: readonly OptionName[] = ["json", "help"];
/** Options of every command that manages API keys. */
export const MANAGING: readonly OptionName[] = ["account", "api-key", "keys", ...COMMON];

export type Command = {
  /** What stands after the name. */
  takes: string;
  /** How many words that may be, where not one. */
  words?: number;
  does: string;
  about: string;
  options: readonly OptionName[];
  /** What an option does here, where that is not what it does elsewhere. */
  says?: Readonly<Partial<Record<OptionName, string>>>;
  example: string;
  /** What each exit status but 2 means here. */
  exits: Readonly<Partial<Record<0 | 1 | 3 | 4 | 5 | 6, string>>>;
};

/** What exit status 5 means of nearly all of them. */
export const UNREACHABLE = "the network cannot be reached";
