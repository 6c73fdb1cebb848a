/** Answers that come with a proof (docs/spec/proof.md), as a node has them: what the circuit says at once, its proof later. */
import type { AuthorizationPayload, ExecutionProfile, PublishedModel, Tensor } from "@tallystick/protocol";

/** A call to be proved, as it was authorised and dispatched. */
export type ProvedCall = { model: PublishedModel; asked: AuthorizationPayload; salt: Uint8Array; call: Uint8Array };

/** What the circuit answers to a call, and a place in the queue of proofs. */
export type ProvedAnswer = {
  outputs: Tensor[];
  /** The circuit, which is what ran. */
  profile: ExecutionProfile;
  /**
   * Has the receipt proved once the log has it, whose answer is `answer` under the salt of its commitment. Durable when it
   * returns: so before it is signed. Throws unavailable where the disk refuses.
   */
  keep(receiptId: Uint8Array, answer: { bytes: Uint8Array; salt: Uint8Array }): void;
  /** Gives the place back, where nothing was kept. */
  release(): void;
};

export type ProvedAnswers = {
  /** Throws a ServiceError where the call is not the one committed to, cannot be proved, or too many wait. */
  take(call: ProvedCall): Promise<ProvedAnswer>;
};
