/** What a receipt commits to beside the call and the answer, as its member tells it (docs/spec/receipt.md, "Beside the answer"). */
import { equal, utf8 } from "../bytes.ts";
import { type CommittedField, commitField } from "../call/call.ts";
import type { ReceiptPayload } from "../entry/payload.ts";
import { encodeJson, type Json, type JsonObject } from "../json/canonical.ts";
import { COMMITTED_TOKENS } from "../limits.ts";
import type { ReceiptMember } from "../openai/frame.ts";

/**
 * The tokens of an answer, by choice, that evidence tells: of a language model on an engine that is not exact. Undefined where
 * it tells none, or what are no tokens.
 */
export function tokensIn({ tokens }: JsonObject): number[][] | undefined {
  if (!Array.isArray(tokens)) return undefined;
  const found = tokens.map((choice) => (Array.isArray(choice) ? choice.filter(isToken) : []));
  const isWhole = tokens.every((choice, i) => Array.isArray(choice) && choice.length === found[i]?.length);
  return isWhole && found.reduce((sum, { length }) => sum + length, 0) <= COMMITTED_TOKENS ? found : undefined;
}

function isToken(value: Json): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

type Told = Pick<ReceiptMember, "responseSalt" | "evidence" | "upstream">;

/**
 * Which part of what a receipt member tells of evidence and upstream the receipt does not commit to, in words, or undefined.
 * What the member keeps to itself is no fault.
 */
export function disclosureFault(
  receipt: ReceiptPayload,
  { responseSalt, evidence, upstream = {} }: Told,
): string | undefined {
  const opens = (field: CommittedField, bytes: Uint8Array, committed: Uint8Array | undefined) =>
    committed !== undefined && equal(commitField(field, responseSalt, bytes), committed);
  if (evidence !== undefined && !opens("evidence", encodeJson(evidence), receipt.evidence))
    return notCommitted("evidence");
  const other = Object.keys(upstream).find((name) => !UPSTREAM.some((known) => known.name === name));
  if (other !== undefined) return `the receipt commits to no ${other} of an upstream, and one came with the answer`;
  const astray = UPSTREAM.find(({ name, field, committed }) => {
    const said = upstream[name];
    return said !== undefined && !(typeof said === "string" && opens(field, utf8(said), committed(receipt)));
  });
  return astray && notCommitted(astray.field);
}

function notCommitted(field: CommittedField): string {
  return `the ${field} that came with the answer is not the one that the receipt commits to`;
}

type UpstreamField = {
  name: string;
  field: CommittedField;
  committed(receipt: ReceiptPayload): Uint8Array | undefined;
};

/** What an upstream said of itself: by its name in the member, and where the receipt commits to it. */
const UPSTREAM: readonly UpstreamField[] = [
  { name: "model", field: "upstream model", committed: ({ upstream }) => upstream?.model },
  { name: "response_id", field: "upstream response id", committed: ({ upstream }) => upstream?.responseId },
  { name: "system_fingerprint", field: "upstream fingerprint", committed: ({ upstream }) => upstream?.fingerprint },
];
