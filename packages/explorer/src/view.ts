/** What the page is made of: everything it shows is in here, and the server computes all of it from the log. */
import type { Figures } from "@tallystick/protocol";

/** What every page shows of the log. */
export type LogView = {
  figures: Figures;
  /** The log's origin. */
  origin: string;
  /** The key that verifies the log's checkpoints. */
  logVkey: string;
  /** The latest checkpoint, as `/checkpoint` serves it; empty before the first. */
  checkpoint: string;
  /** Who is asked to cosign the log's checkpoints; `here` says that the network's own operator runs it. */
  witnesses: readonly { name: string; here: boolean }[];
  /** The entries of the newest checkpoint that a quorum of them cosigned; undefined while there is none. */
  witnessedSize: number | undefined;
};

/** What a code of a refusal is said to mean; code stands between backticks. */
export type ProblemView = { code: string; status: number; title: string; meaning: string; remedy: string };

export type HomeView = LogView & {
  /** Where this network is reached. */
  url: string;
  /** A command that makes a first call when pasted. */
  firstCall: string;
  /** Newest first. */
  latest: readonly LatestReceipt[];
};

export type LatestReceipt = {
  id: string;
  /** Its place in the log; `null` while it is being written. */
  index: number | null;
  model: string;
  status: string;
  custody: string;
  /** `null` until an epoch covers it. */
  day: string | null;
};

export type UsageView = LogView & {
  /** The rules that organic is judged by: their version and the digest of their data in hex. */
  organicRules: { version: string; digest: string };
  /** Closed days, newest first, of those that the log has a snapshot of or should have. */
  closedDays: readonly ClosedDayView[];
  /** Newest first. */
  /** By the last word of each. */
  auditors: { agreed: number; disagreed: number };
  /** The last words of auditors, those who disagree first. */
  recomputations: readonly RecomputationView[];
};

export type ClosedDayView = {
  day: string;
  /** SHA-256 of the day's document. */
  digest: string;
  /** What the log's own key signed that it is; undefined until it does. */
  snapshot: { index: number; digest: string } | undefined;
};

export type RecomputationView = {
  index: number;
  /** The name that the auditor's key enrolled under, and the key's id. */
  name: string;
  auditor: string;
  /** The day on which the log's clock saw it; undefined until an epoch covers it. */
  day: string | undefined;
  size: number;
  result: string;
  agrees: boolean;
  /** The day of the snapshot that it says is wrong, where it names one. */
  disputedDay: string | undefined;
};
