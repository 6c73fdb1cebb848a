/** What an upstream did instead of answering. */

/** A word for each way: it stands in the attempts under a receipt's evidence, and in what the operator is told. */
export type FaultKind =
  /** No connection came about: nothing was sent. */
  | "not_connected"
  /** The connection ended before the answer did. */
  | "reset"
  | "truncated"
  | "malformed"
  /** Pieces that belong to another answer, or come out of order. */
  | "reordered"
  | "too_large"
  | "no_usage"
  /** An error in the place of a piece. */
  | "error"
  | "connect_timeout"
  | "first_byte_timeout"
  | "between_chunks_timeout"
  | "deadline"
  | "cancelled"
  | `status_${number}`;

/** An upstream gave no answer. The message is ours: it holds nothing that the upstream said, and nothing of the request. */
export class UpstreamFault extends Error {
  override name = "UpstreamFault";
  readonly kind: FaultKind;

  constructor(kind: FaultKind, message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.kind = kind;
  }
}

export function malformed(what: string): UpstreamFault {
  return new UpstreamFault("malformed", `the upstream's answer is malformed: ${what}`);
}
