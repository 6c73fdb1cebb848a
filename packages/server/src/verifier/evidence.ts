/** What a verification or a resolution rests on, as it is archived under its digest: commitments and words, never content. */
import {
  base64,
  type Commitment,
  type ExecutionProfile,
  encodeJson,
  hex,
  type JsonObject,
  sha256,
} from "@tallystick/protocol";
import type { Case } from "./cases.ts";

export type Evidence = { bytes: Uint8Array; digest: Uint8Array };

/** What was found, by whom. */
export type Finding = {
  /** The key id of the verifier or referee. */
  by: Uint8Array;
  outcome: string;
  method: string;
  /** In words that say nothing of the content. */
  detail: string;
  profile?: ExecutionProfile;
  /** The index of the epoch entry whose lot drew the receipt. */
  epoch?: number;
};

/** RFC 8785 JSON, whose SHA-256 the entry names. */
export function evidenceOf({ id, receipt, asked }: Case, { by, profile, epoch, ...found }: Finding): Evidence {
  const bytes = encodeJson({
    format: "tallystick-evidence-v1",
    receipt: hex(id),
    revision: hex(asked.revision),
    request: commitmentJson(asked.request),
    ...(receipt.response === undefined ? {} : { response: commitmentJson(receipt.response) }),
    claimed: profileJson(receipt.profile),
    by: hex(by),
    ...found,
    ...(profile === undefined ? {} : { profile: profileJson(profile) }),
    ...(epoch === undefined ? {} : { epoch }),
  });
  return { bytes, digest: sha256(bytes) };
}

function commitmentJson({ alg, digest }: Commitment): JsonObject {
  return { alg, digest: base64(digest) };
}

function profileJson({ runtime, binary, exactness }: ExecutionProfile): JsonObject {
  return { runtime, binary: hex(binary), exactness };
}
