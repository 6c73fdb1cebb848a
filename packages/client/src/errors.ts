/** What can go wrong between a client and a network. */
import { Malformed } from "@tallystick/protocol";

/** The network refused: its code, its sentence, and the receipt where it wrote one. */
export class RefusedError extends Error {
  override name = "RefusedError";
  readonly code: string;
  readonly status: number;
  readonly receiptId: string | undefined;

  constructor(status: number, code: string, message: string, receiptId?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.receiptId = receiptId;
  }
}

/** The network could not be reached, or broke off. Whether it acted is not known. */
export class UnreachableError extends Error {
  override name = "UnreachableError";
}

/** What came back is not what was signed for: the answer must not be used. */
export class UnverifiedError extends Error {
  override name = "UnverifiedError";
}

/** A log lacks a file that its checkpoint covers: it cannot be checked, which is no proof of anything. */
export class IncompleteLogError extends Error {
  override name = "IncompleteLogError";

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
