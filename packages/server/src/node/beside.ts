/** What a receipt commits to beside the answer, and the openings of it that only the requester gets. */
import {
  COMMITTED_TOKENS,
  commitField,
  encodeJson,
  type JsonObject,
  type ReceiptPayload,
  utf8,
} from "@tallystick/protocol";
import type { Attempt, UpstreamWords } from "./generation.ts";

/** What a receipt commits to beside the answer, for the requester to open with the response's salt. */
export type Disclosure = { evidence?: JsonObject; upstream?: JsonObject };

type Told = { upstream?: UpstreamWords; attempts?: Attempt[]; tokens?: number[][] };

/** The receipt's fields for what an engine told, under `salt`, and what they are over. `name` is the upstream's registered one. */
export function besideAnswer(
  { upstream, attempts = [], tokens = [] }: Told,
  salt: Uint8Array,
  name: string | undefined,
): { committed: Pick<ReceiptPayload, "upstream" | "evidence">; disclosure: Disclosure } {
  const committed: Pick<ReceiptPayload, "upstream" | "evidence"> = {};
  const disclosure: Disclosure = {};
  if (upstream !== undefined) {
    if (name !== undefined) committed.upstream = { name, ...committedWords(upstream, salt) };
    disclosure.upstream = wordsJson(upstream);
  }
  const count = tokens.reduce((sum, { length }) => sum + length, 0);
  const isCommitted = tokens.length > 0 && count <= COMMITTED_TOKENS;
  if (attempts.length > 0 || isCommitted) {
    const evidence: JsonObject = { attempts: attempts.map(({ at, outcome, ms }) => ({ at, outcome, ms })) };
    if (isCommitted) evidence.tokens = tokens;
    committed.evidence = commitField("evidence", salt, encodeJson(evidence));
    disclosure.evidence = evidence;
  }
  return { committed, disclosure };
}

function committedWords({ model, responseId, fingerprint }: UpstreamWords, salt: Uint8Array) {
  return {
    model: commitField("upstream model", salt, utf8(model)),
    ...(responseId === undefined ? {} : { responseId: commitField("upstream response id", salt, utf8(responseId)) }),
    ...(fingerprint === undefined ? {} : { fingerprint: commitField("upstream fingerprint", salt, utf8(fingerprint)) }),
  };
}

function wordsJson({ model, responseId, fingerprint }: UpstreamWords): JsonObject {
  return {
    model,
    ...(responseId === undefined ? {} : { response_id: responseId }),
    ...(fingerprint === undefined ? {} : { system_fingerprint: fingerprint }),
  };
}
