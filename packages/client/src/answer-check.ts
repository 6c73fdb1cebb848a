/** What an answer is held to before it is given out: the receipt that came with it, and what was signed to ask for it. */
import {
  type Authorization,
  brokenCounts,
  type Check,
  commit,
  equal,
  hex,
  type Opening,
  parseEntry,
  type ReceiptMember,
  type ReceiptPayload,
  type StreamState,
  signedId,
  type Tier,
  verifySigned,
} from "@tallystick/protocol";
import type { Accept } from "./acceptance.ts";
import { checkBeside } from "./beside-answer.ts";
import { orUnverified, UnverifiedError } from "./errors.ts";
import type { NodeKeys } from "./node-keys.ts";

/** A call as it was signed and sent. */
export type Asked = {
  authorization: Authorization;
  salt: Uint8Array;
  call: Uint8Array;
  /** Holds the answer to the caller's policies, where it has any. */
  accept?: Accept;
};

/** An answer in its canonical bytes, and the receipt that should be its own. */
export type Answered = {
  receipt: Uint8Array;
  answer: Uint8Array;
  salt: Uint8Array;
  /** The chain over the frames that came, where it came in frames. */
  stream?: StreamState;
  /** What was told beside the answer. */
  beside?: Pick<ReceiptMember, "upstream" | "evidence">;
};

/** What is known of an answer that holds. */
export type VerifiedAnswer = {
  receiptId: string;
  receipt: ReceiptPayload;
  /** What only the requester holds: the salts and bytes under the receipt's commitments. */
  opening: Opening;
  /** What was checked, and what was not and why. None of them failed. */
  checks: Check[];
};

/** Holds an answer to what was asked. Throws UnverifiedError, naming the first thing that does not hold. */
export async function checkAnswer(asked: Asked, answered: Answered, nodeKeys: NodeKeys): Promise<VerifiedAnswer> {
  const { says: terms, signed: authorization } = asked.authorization;
  const receiptId = hex(signedId(authorization));
  const fail = (message: string) => new UnverifiedError(message, { receiptId });
  const entry = orUnverified("the receipt that came with the answer", () => parseEntry(answered.receipt));
  if (entry.kind !== "receipt" || !equal(entry.says.authorization, authorization.bytes))
    throw fail("the receipt is not for the authorization that was sent");
  const { says: receipt, signed } = entry;
  if (receipt.price > terms.maxPrice) throw fail("the receipt's price is over the maximum");
  const counts = brokenCounts(receipt);
  if (counts !== undefined) throw fail(counts);
  if (receipt.status !== "ok") throw fail(`the receipt is of status ${receipt.status}, and yet an answer came`);
  const { salt, answer, stream, beside } = answered;
  if (receipt.response === undefined || !equal(commit("response", salt, answer).digest, receipt.response.digest))
    throw fail("the answer is not the one that the receipt commits to");
  if (stream !== undefined && !isSameStream(receipt.stream, stream))
    throw fail("the frames that came are not those that the receipt's chain is over");
  const told = checkBeside(receipt, { ...beside, responseSalt: salt }, fail);
  const key = await nodeKeys.get(signed.keyId, receiptId);
  if (!(await verifySigned(signed, key.spki))) throw fail("the receipt is not signed by the node's key");
  const opening = { request: { salt: asked.salt, bytes: asked.call }, response: { salt, bytes: answer } };
  const chained: Check[] =
    stream === undefined
      ? []
      : [passed("stream", `the receipt's chain is over the ${stream.frames} frames that came, in their order`)];
  const checks = [
    passed("authorization", "the receipt is for the very request that was signed here"),
    passed("terms", `status ok, price ${receipt.price} of at most ${terms.maxPrice}`),
    passed("response", "the answer is the one that the receipt commits to"),
    ...chained,
    ...told,
    passed("node signature", `signed by the node "${key.name}"`),
    key.enrolment,
    ...((await asked.accept?.(asked, receipt, signed.keyId)) ?? []),
    ...later(receipt, terms.tier),
  ];
  return { receiptId, receipt, opening, checks };
}

function isSameStream(signed: StreamState | undefined, came: StreamState): boolean {
  return signed !== undefined && signed.frames === came.frames && equal(signed.head, came.head);
}

function passed(name: string, detail: string): Check {
  return { name, state: "passed", detail };
}

/** What cannot be known yet, or at all. */
function later({ upstream }: ReceiptPayload, tier: Tier): Check[] {
  const who = upstream === undefined ? "the node" : `"${upstream.name}", from which the node has the answer,`;
  return [
    {
      name: "inclusion",
      state: "not_checked",
      detail: "no checkpoint covers a receipt at once: receipt(id) waits for one and checks the rest",
    },
    { name: "execution", state: "not_checked", detail: untold(tier, who) },
  ];
}

function untold(tier: Tier, who: string): string {
  const yet = tier === "signed" ? "" : " until it was checked";
  return `tier "${tier}": that ${who} told the truth is not shown${yet}`;
}
