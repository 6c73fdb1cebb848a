/** What `tally` says of the commands of whoever audits, watches or keeps a log and its network. */
import { COMMON, type Command, LOCAL, MANAGING, UNREACHABLE } from "./command.ts";

export const KEEPING: readonly (readonly [string, Command])[] = [
  [
    "audit",
    {
      takes: "[URL | FOLDER]",
      does: "recompute every figure from the log's tiles, and print the difference",
      about:
        "Reads the whole log, from a network, any server of its tiles or a folder; checks every hash and every signature; recomputes every figure and every closed day, and compares them with the published figures, with the log's own snapshots, and with what the network shows of the days that closed last. Whom to believe is yours to say (--policy, --vkey), never the network's. One that is cut short goes on where it was.",
      options: ["usage", "day", "model", "publish", "name", "fresh", ...COMMON],
      example: "tally audit .tallystick/log/tiles",
      exits: {
        0: "everything holds, and the difference is 0",
        1: "the network refused, or the folder cannot be read",
        3: "a check failed, a figure or a day differs, or the log contradicts what it signed before: each is named",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "trust",
    {
      takes: "[URL | FOLDER]",
      does: "what the figures rest on: keys, vendors, ceremonies, engines, releases",
      about:
        "Audits the whole log as tally audit does, and lists by it every root of trust in use: how many valid receipts rest on it, and whether it is revoked. It is your own computation, not the network's word.",
      options: COMMON,
      example: "tally trust",
      exits: {
        0: "listed, and the log holds",
        1: "the network refused, or the folder cannot be read",
        3: "listed, but the log or its figures do not hold: tally audit says where",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "trust revoke",
    {
      takes: "KIND ROOT --reason WORD",
      words: 2,
      does: "what revoking a root of trust would take; with --sign, revoke it",
      about:
        "Audits the whole log, and prints how many valid receipts would lose their tier, by model, if the root were revoked. With the log's role key and the operator's token it then signs the revocation and logs it, for good: figures are restated from there on, closed days stay. KIND is key, vendor, ceremony, judge or release; ROOT is as tally trust lists it.",
      options: ["reason", "since", "sign", "keys", ...COMMON],
      example: "tally trust revoke judge $ROOT --reason broken --since 2026-11-20",
      exits: {
        0: "printed; with --sign, revoked",
        1: "the network refused: it is revoked already, or the key is not the log's",
        3: "the log or its figures do not hold, and nothing was signed",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "simulate",
    {
      takes: "--seed N",
      does: "demand and attacks whose truth is known, and what the rules make of them",
      about:
        "Makes a log of honest demand and of attacks, in memory and without a network; folds it, judges each day by the rules of this release, and prints what reaches which stratum, what that costs, and how much honest demand is wrongly excluded. With --out the log is signed and written, so that tally audit can check it.",
      options: ["seed", "days", "calls", "out", ...LOCAL],
      says: {
        days: "how long it lasts; else 28",
        calls: "how many calls honest demand makes; else 20000",
        out: "a folder for the signed log; else none is written",
      },
      example: "tally simulate --seed 1",
      exits: { 0: "printed", 1: "the folder cannot be written" },
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
      says: { out: "the folder of the copy; needed" },
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
      says: { out: "the file of the proof; else it is printed" },
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
    "rows",
    {
      takes: "[LOG] --out DIR",
      does: "make a Parquet file of every closed day's receipts, from a log",
      about:
        "Reads a whole log, holds each entry to its signed checkpoint, and writes a row for each receipt of each closed day, with a rollup by hour beside it. Signatures of entries are not looked at: tally audit does that. What is there and of this log is left as it is. LOG is a URL or a folder; else it is that of the network. Wants @duckdb/node-api.",
      options: ["out", ...COMMON],
      says: { out: "the folder for the files; needed" },
      example: "tally rows http://localhost:8787 --out segments",
      exits: {
        0: "every closed day has its file",
        1: "the network refused, a file was missing, the folder cannot be written, or DuckDB is not installed",
        3: "the log has a file that is not of its tree",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "query",
    {
      takes: "SQL",
      does: "ask in SQL of the receipts of closed days",
      about:
        "Answers one select over the tables receipts, hours, metrics, models and days (docs/operating/analytics.md), from a folder of segments, or by a network as its operator. It changes nothing, reads nothing else, and ends after thirty seconds, 10,000 rows or 8 MiB. There is nothing in it but what the public log says.",
      options: ["segments", "rules", "format", "keys", ...COMMON],
      example: "tally query --segments segments 'select model, valid from models'",
      exits: {
        0: "answered",
        1: "refused, or too much: the message says why; or DuckDB is not installed",
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
        ...([
          "scopes",
          "models",
          "budget",
          "day-budget",
          "price-limit",
          "app",
          "requests",
          "units",
          "calls",
          "days",
          "accept",
        ] as const),
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
      says: { out: "the folder of the backup; needed" },
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
];
