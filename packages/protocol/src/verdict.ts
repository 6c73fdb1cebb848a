/** What verifying says, for machines and for people: every check with its outcome, and one verdict over them. */

/** Why a check failed. Each is explained in docs/spec/receipt.md. */
export type Failure =
  | "malformed"
  | "wrong_id"
  | "bad_signature"
  | "unknown_key"
  | "not_granted"
  | "not_published"
  | "broken_terms"
  | "wrong_opening"
  | "bad_proof"
  | "not_in_log"
  | "bad_checkpoint"
  | "out_of_order"
  | "refuted"
  | "revoked"
  | "bad_evidence"
  | "not_accepted";

/** One thing that was looked at. `passed` says what is now known, `not_checked` why it is not. */
export type Check<F extends string = Failure> = { name: string; detail: string } & (
  | { state: "passed" }
  | { state: "failed"; failure: F }
  | { state: "not_checked" }
);

/** A receipt is only to be had together with the verdict that it holds. */
export type Verdict<T> =
  | { outcome: "verified"; value: T; checks: Check[] }
  | { outcome: "failed"; failure: Failure; checks: Check[] }
  /** Nothing failed, but something that a verdict rests on could not be checked. */
  | { outcome: "inconclusive"; checks: Check[] };
