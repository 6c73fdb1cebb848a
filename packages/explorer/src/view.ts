/** What the page is made of: everything it shows is in here, and the server computes all of it from the log. */
import type { Figures } from "@tallystick/protocol";

export type HomeView = {
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
