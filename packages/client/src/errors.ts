/** What can go wrong between a client and a network. Every error says what to do, and whether sending again doubles anything. */
import { Malformed } from "@tallystick/protocol";

export type ErrorDetail = {
  cause?: unknown;
  /** The receipt of the call that this is about, where there is one. */
  receiptId?: string | undefined;
};

/** What every error of this SDK is. */
export abstract class TallystickError extends Error {
  /** For programs: the network's code where it refused, else `unreachable`, `unverified` or `incomplete_log`. */
  abstract readonly code: string;
  /** For people: what to do. */
  abstract readonly remedy: string;
  /** Whether the same can be sent again without a second answer, receipt or charge. */
  abstract readonly retrySafe: boolean;
  readonly receiptId: string | undefined;

  constructor(message: string, { cause, receiptId }: ErrorDetail = {}) {
    super(message, cause === undefined ? {} : { cause });
    this.receiptId = receiptId;
  }
}

/** The TallystickError behind an error, which other SDKs wrap in their own; undefined where there is none. */
export function findTallystickError(error: unknown): TallystickError | undefined {
  const seen = new Set<unknown>(); // A cause may lead back to where it began.
  for (let at = error; at instanceof Error && !seen.has(at); at = at.cause) {
    if (at instanceof TallystickError) return at;
    seen.add(at);
  }
  return undefined;
}

/** What to do about a refusal, by its code (docs/reference/errors.md). */
const REMEDIES: Readonly<Record<string, string>> = {
  invalid_request: "Change the request as the message says.",
  unauthenticated: "Give an API key of this network.",
  price_over_maximum: "Raise maxPrice, or leave it out.",
  insufficient_quota: "Top up the account, or use an API key with a larger budget.",
  forbidden: "Use an API key that may do this.",
  not_found: "Look the name up: models() lists what is offered.",
  conflict: "Look the receipt up before asking again: the call may have been served.",
  idempotency_conflict: "Look at the receipt that is named; to run the call again, send a new Idempotency-Key.",
  policy_unmet: "Ask for another model, or accept less: the message names what is not met.",
  model_yanked: "Ask for another model: models() lists what is offered.",
  limit_exceeded: "Send less at once.",
  expired: "Set this machine's clock, and ask again.",
  idempotency_mismatch: "Send a new request with a new Idempotency-Key.",
  rate_limited: "Wait as long as the network says, then ask again.",
  unavailable: "Wait a moment, then ask again.",
  cancelled: "Ask again; nothing was charged.",
  node_failed: "Ask again; nothing was charged.",
  deadline_exceeded: "Ask for less, or ask again; nothing was charged.",
};
/** Refusals after which a call may have been served all the same. */
const MAY_HAVE_ACTED: ReadonlySet<string> = new Set(["conflict", "idempotency_conflict", "internal"]);

/** The network refused: its code, its sentence, and the receipt where it wrote one. */
export class RefusedError extends TallystickError {
  override name = "RefusedError";
  readonly code: string;
  readonly status: number;
  readonly remedy: string;
  readonly retrySafe: boolean;

  constructor(status: number, code: string, message: string, receiptId?: string) {
    super(message, { receiptId });
    this.status = status;
    this.code = code;
    this.remedy = REMEDIES[code] ?? "Ask whoever runs the network.";
    // Of an unknown code and a status of 5xx nobody knows who answered, and after what.
    this.retrySafe = !MAY_HAVE_ACTED.has(code) && (Object.hasOwn(REMEDIES, code) || status < 500);
  }
}

/** The network could not be reached, or broke off. Whether it acted is not known. */
export class UnreachableError extends TallystickError {
  override name = "UnreachableError";
  readonly code = "unreachable";
  readonly remedy: string;
  readonly retrySafe: boolean;

  constructor(message: string, { retrySafe = true, ...detail }: ErrorDetail & { retrySafe?: boolean } = {}) {
    super(message, detail);
    this.retrySafe = retrySafe;
    this.remedy = retrySafe
      ? "See that the network runs there, and try again."
      : "The call may have been answered and logged: look for its receipt before asking again.";
  }
}

/** What came back is not what was signed for: the answer must not be used. */
export class UnverifiedError extends TallystickError {
  override name = "UnverifiedError";
  readonly code = "unverified";
  readonly remedy: string = "Do not use what came. Keep the receipt's id, and tell whoever runs the network.";
  readonly retrySafe = false;
}

/** A log lacks a file that its checkpoint covers: it cannot be checked, which is no proof of anything. */
export class IncompleteLogError extends TallystickError {
  override name = "IncompleteLogError";
  readonly code = "incomplete_log";
  readonly remedy = "Read the log again later, or from another place that serves it.";
  readonly retrySafe = true;

  constructor(path: string) {
    super(`the log has no ${path}, which its checkpoint covers`);
  }
}

/** A tile or a bundle of a log is not of the tree that its checkpoint signs. */
export class WrongTileError extends UnverifiedError {
  override name = "WrongTileError";
  readonly path: string;
  /** What was found in its place, and what it was held to. */
  readonly found: readonly Uint8Array[];

  constructor(path: string, problem: string, found: readonly Uint8Array[]) {
    super(`${path} ${problem}`);
    this.path = path;
    this.found = found;
  }
}

/** What `parse` gives. Throws UnverifiedError, saying `what` is malformed. */
export function orUnverified<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (cause instanceof Malformed) throw new UnverifiedError(`${what} ${cause.message}`, { cause });
    throw cause;
  }
}
