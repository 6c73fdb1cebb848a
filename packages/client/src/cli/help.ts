/** What `tally` says of itself: its commands and options, from which the help texts and docs/reference/cli.md are made. */
import { OPTIONS, type OptionName } from "./options.ts";

/** Options of every command that asks a network. */
export const COMMON: readonly OptionName[] = ["network", "vkey", "policy", "json", "help"];
/** Options of every command that looks at this machine alone. */
export const LOCAL: readonly OptionName[] = ["json", "help"];
/** Options of every command that manages API keys. */
const MANAGING: readonly OptionName[] = ["account", "api-key", "keys", ...COMMON];

export type Command = {
  /** What stands after the name. */
  takes: string;
  /** How many words that may be, where not one. */
  words?: number;
  does: string;
  about: string;
  options: readonly OptionName[];
  example: string;
  /** What each exit status but 2 means here. */
  exits: Readonly<Partial<Record<0 | 1 | 3 | 4 | 5 | 6, string>>>;
};

const UNREACHABLE = "the network cannot be reached";

export const COMMANDS = new Map<string, Command>([
  [
    "models",
    {
      takes: "",
      does: "what is offered, the most used first",
      about: "Lists the models that the network offers, by decisions relied on and then by valid inferences.",
      options: COMMON,
      example: "tally models",
      exits: { 0: "listed", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
  [
    "infer",
    {
      takes: "MODEL --input X",
      does: "run a model on a file, a text or numbers (--example: on its own example)",
      about:
        "Signs a request, runs the model, checks that the answer is the one in the receipt, verifies the receipt and keeps its file.",
      options: ["input", "example", "save", "decision", "tier", "max-price", "api-key", ...COMMON],
      example: "tally infer paddle/ocr --input models/paddle-ocr/example.png",
      exits: {
        0: "answered, and the receipt holds",
        1: "the network refused or the call failed; a receipt may say so",
        3: "the receipt does not hold: do not use the answer",
        4: "answered, but no checkpoint covered the receipt in time",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "chat",
    {
      takes: "MODEL PROMPT",
      words: 2,
      does: "ask a language model, and check its answer as it comes",
      about:
        "Signs a request, prints the answer as it comes, and holds every frame of it to what the node signs while it streams. Ends at the first that does not hold. Then verifies the receipt, keeps its file, and says on standard error what was checked. PROMPT is a text, or - for standard input.",
      options: ["max-tokens", "hold", "save", "decision", "max-price", "api-key", ...COMMON],
      example: 'tally chat tallystick/state-of-the-union "Fellow citizens"',
      exits: {
        0: "answered, and the receipt holds",
        1: "the network refused or the call failed; a receipt may say so",
        3: "the answer or its receipt does not hold: do not use what was printed",
        4: "answered, but no checkpoint covered the receipt in time",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "embed",
    {
      takes: "MODEL TEXT",
      words: 2,
      does: "the vector of a text, as JSON",
      about:
        "Signs a request, checks that the vector is the one in the receipt, prints it, verifies the receipt, keeps its file, and says on standard error what was checked. TEXT is a text, or - for standard input.",
      options: ["save", "decision", "max-price", "api-key", ...COMMON],
      example: 'tally embed google/use-lite "a text"',
      exits: {
        0: "answered, and the receipt holds",
        1: "the network refused or the call failed; a receipt may say so",
        3: "the receipt does not hold: do not use the answer",
        4: "answered, but no checkpoint covered the receipt in time",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "verify",
    {
      takes: "RECEIPT",
      does: "every check of a receipt: by its id, its file or its URL",
      about:
        "Makes every check of a receipt and says what each found. A file needs no network. A receipt of your own is opened with the half that was kept for you.",
      options: COMMON,
      example: "tally verify receipt.json",
      exits: {
        0: "verified",
        1: "there is no such receipt",
        3: "a check failed",
        4: "nothing failed, but something could not be checked: the log's key is not known, or no checkpoint covers the receipt yet",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "rely",
    {
      takes: "RECEIPT",
      does: "sign that you act on an answer",
      about:
        "Verifies a receipt, then signs and logs that the holder of your key acts on its answer. One decision counts once, however many receipts and reliers are behind it.",
      options: ["key", ...COMMON],
      example: "tally rely receipt.json",
      exits: {
        0: "logged, or logged before",
        1: "the network refused: an operator cannot rely on what it sells",
        3: "the receipt does not hold, and nothing was signed",
        4: "the receipt could not be verified, and nothing was signed",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "usage",
    {
      takes: "",
      does: "the network's figures",
      about: "Prints the figures that the network publishes. tally audit recomputes them.",
      options: COMMON,
      example: "tally usage",
      exits: { 0: "printed", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
  [
    "quote",
    {
      takes: "MODEL [UNITS] [OUTPUT]",
      words: 3,
      does: "what a call of a model costs, of so many units and output units",
      about:
        "Prints what a model's publisher asks, in atomic units: a call, a million units, a million output units, and a call of as many as are given. A credit is 1,000,000 atomic units.",
      options: COMMON,
      example: "tally quote statlog/credit-default 1",
      exits: { 0: "printed", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
  [
    "balance",
    {
      takes: "",
      does: "what your account may spend",
      about:
        "Prints what the account of an API key may spend, what calls in flight hold of it, and what became of the rest.",
      options: ["api-key", ...COMMON],
      example: "tally balance",
      exits: { 0: "printed", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
  [
    "earnings",
    {
      takes: "",
      does: "what nodes, publishers and gateways have earned, by the log",
      about: "Prints what each key has earned of charged receipts, what was paid out and what is owed.",
      options: COMMON,
      example: "tally earnings",
      exits: { 0: "printed", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
  [
    "topup",
    {
      takes: "AMOUNT",
      does: "give an account credits, as the operator",
      about:
        "Logs a top-up of so many atomic units; 1,000,000 are a credit. It is the operator's own money unless --source says otherwise, and then a column of its own in every figure: subsidised.",
      options: ["account", "source", "reference", "keys", ...COMMON],
      example: "tally topup 25000000 --source transfer",
      exits: { 0: "logged, or logged before", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
  [
    "audit",
    {
      takes: "[URL | FOLDER]",
      does: "recompute all of them from the log's tiles, and print the difference",
      about:
        "Reads the whole log, from a network, any server of its tiles or a folder; checks every hash and every signature; recomputes every figure and compares it with the published one.",
      options: ["usage", ...COMMON],
      example: "tally audit .tallystick/log/tiles",
      exits: {
        0: "everything holds, and the difference is 0",
        1: "the network refused, or the folder cannot be read",
        3: "a check failed, a figure differs, or the log contradicts what it signed before: each is named",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "monitor",
    {
      takes: "[URL | FOLDER]",
      does: "follow a log: new checkpoints held to the last, new entries to their tiles",
      about:
        "Looks at a log again and again. Each checkpoint is verified and proved to extend the last one that was kept, each new entry to be in it; a line says so. Ends with an alarm, and keeps the evidence, where the log forks, shrinks or serves what it did not sign. Network trouble is no alarm.",
      options: ["interval", "once", "stale", "witness", ...COMMON],
      example: "tally monitor http://localhost:8787 --interval 60 --stale 3600",
      exits: {
        0: "looked once and found nothing wrong, or ended by Ctrl-C",
        1: "with --once: refused, or a file was missing, so that nothing could be said",
        3: "the log was met with another key before",
        5: "with --once: the network cannot be reached",
        6: "an alarm: it is named, and the evidence is where the last line says",
      },
    },
  ],
  [
    "log fsck",
    {
      takes: "[URL | FOLDER]",
      does: "check every file of a log against its entries and its signed root",
      about:
        "Computes every tile and the root again from the entries, and compares them with each file there is and with the signed checkpoint. Says which file is damaged, and at which entry. Of a folder it names files that do not belong there.",
      options: [...COMMON],
      example: "tally log fsck .tallystick/log/tiles",
      exits: {
        0: "every file is right",
        1: "the network refused, or the folder cannot be read",
        3: "a file is damaged, missing or astray: each is named",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "log export",
    {
      takes: "[LOG] --out DIR",
      does: "copy a log into a folder that verifies offline, or bring a copy up to date",
      about:
        "Copies checkpoint, tiles and entries under the paths that C2SP gives them, so that any server of files can serve the copy. Each file is held to the signed tree before it is written. What is there and right is not fetched again. An earlier copy is extended once the log is proved to extend it. LOG is a URL or a folder; else it is that of the network.",
      options: ["out", ...COMMON],
      example: "tally log export --out mirror",
      exits: {
        0: "the folder holds the log",
        1: "the network refused, a file was missing, or the folder cannot be written",
        3: "the log has a file that is not of its tree, or is not the one in the folder: nothing wrong was written",
        5: "the network cannot be reached; what was copied stays, and the next run goes on from there",
      },
    },
  ],
  [
    "log prove",
    {
      takes: "INDEX [LOG]",
      words: 2,
      does: "print a proof that an entry is in a log",
      about:
        "Makes a tlog-proof of an entry from the log's tiles, checks it and prints it. It leads to the newest checkpoint, or to the earlier one that is given. LOG is a URL or a folder; else it is that of the network.",
      options: ["size", "checkpoint", "out", ...COMMON],
      example: "tally log prove 7 --out entry-7.tlog-proof",
      exits: {
        0: "proved",
        1: "the network refused, or a file was missing",
        3: "the log has a file that is not of its tree, or contradicts a checkpoint that it signed",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "keys create",
    {
      takes: "NAME",
      does: "make an API key with scopes, models, budgets and limits of its own",
      about:
        "Makes an API key of an account and prints it, this once: only its hash is kept. With --api-key, a key with the scope keys makes others of its account; else the operator does, whose token lies with the network on this machine.",
      options: [
        ...(["scopes", "models", "budget", "day-budget", "price-limit", "requests", "units", "calls", "days"] as const),
        ...MANAGING,
      ],
      example: "tally keys create ci --scopes infer --requests 60 --days 90",
      exits: { 0: "made, and printed", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
  [
    "keys list",
    {
      takes: "",
      does: "an account's API keys, without their secrets",
      about:
        "Lists the API keys of an account: what each is for, the day it was last used on, and whether it is usable.",
      options: MANAGING,
      example: "tally keys list",
      exits: { 0: "listed", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
  [
    "keys revoke",
    {
      takes: "KEY",
      does: "end an API key, and every session that it was granted, at once",
      about:
        "Ends an API key, named by its id as tally keys list gives it. Its sessions end with it; other keys of the account go on.",
      options: MANAGING,
      example: "tally keys revoke key_0123456789abcdef01234567",
      exits: { 0: "revoked, or revoked before", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
  [
    "backup",
    {
      takes: "--out DIR",
      words: 0,
      does: "copy a network on this machine as it is now, while it runs",
      about:
        "Copies a data folder as it is at one moment, running or stopped: the log, each file of it held to the checkpoint; accounts and openings; artifacts. What its witnesses have seen is not copied: it must not be rolled back. Into a backup of before it copies what is new.",
      options: ["data", "out", "keys", "with-keys", ...LOCAL],
      example: "tally backup --data .tallystick --out /mnt/backup/tallystick",
      exits: {
        0: "complete: backup.json is written",
        1: "the network refused, or does not answer; or a file cannot be read or written: run it again",
        3: "the log or an artifact is damaged, and is named; or the backup there is newer, or of another log",
      },
    },
  ],
  [
    "restore",
    {
      takes: "BACKUP",
      does: "make a data folder from a backup",
      about:
        "Verifies every file of a backup, then puts it into a data folder. What is there is moved aside, unless it is newer: that is refused. Witnesses' stores stay. A start then asks every witness whether this is the newest copy.",
      options: ["data", "keys", ...LOCAL],
      example: "tally restore /mnt/backup/tallystick --data .tallystick",
      exits: {
        0: "restored: start it",
        1: "a file cannot be read or written: run it again",
        3: "the backup is damaged; or there is a newer log, or another one of the same origin",
      },
    },
  ],
  [
    "disk",
    {
      takes: "",
      does: "what a network on this machine takes on its disk, and when that is full",
      about:
        "Measures a data folder, running or not; takes the log's growth from its own clock; and says when its disk is full if it goes on so.",
      options: ["data", ...LOCAL],
      example: "tally disk --data .tallystick",
      exits: {
        0: "measured, and there is room",
        1: "a warning: less than 10 % is free, or the log fills the disk within 30 days; or a file cannot be read",
      },
    },
  ],
]);

const USAGE = "wrong usage: a name, an option or an input that cannot be";

/** What `tally` alone prints. */
export function overview(): string {
  const lines = [...COMMANDS].map(([name, { takes, does }]) => row(`tally ${name} ${takes}`.trimEnd(), 32, does));
  return `tally: ask a Tallystick network, verify its receipts, recompute its figures

${lines.join("\n")}

${COMMON.map(optionRow).join("\n")}

TALLYSTICK_NETWORK and TALLYSTICK_API_KEY stand in for --network and --api-key.
TALLYSTICK_HOME is where receipts, known logs and your own key are kept; else ~/.config/tallystick.

tally COMMAND --help says more of each.
Exit status: 0 fine, 1 failed or refused, 2 wrong usage, 3 verification failed, 4 inconclusive, 5 network unreachable,
6 a monitor's alarm.
`;
}

/** What `tally NAME --help` prints. */
export function helpOf(name: string, { takes, about, options, example, exits }: Command): string {
  const statuses = Object.entries({ ...exits, 2: USAGE }).map(([status, meaning]) => `  ${status}  ${meaning}`);
  return `tally ${name} ${takes}`.trimEnd().concat(`

${about}

${options.map(optionRow).join("\n")}

Example

  ${example}

Exit status

${statuses.join("\n")}
`);
}

function optionRow(name: OptionName): string {
  const option = OPTIONS[name];
  return row(`--${name}${"takes" in option ? ` ${option.takes}` : ""}`, 18, option.does);
}

function row(left: string, width: number, right: string): string {
  return `  ${left.padEnd(width)}  ${right}`;
}
