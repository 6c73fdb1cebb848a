/** Every signature that an entry carries, and the key each must be by: what an audit checks before it folds the entry. */
import { equal } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { type Entry, parseAuthorization } from "../entry/entry.ts";
import { possessionMessage } from "../entry/payload.ts";
import { keyId, type Signed } from "../sign/cose.ts";
import { type FoldState, keyOf, signerOf } from "./state.ts";

/** A signature to be checked: ES256 by the P-256 key of `spki` over `message`. */
export type SignatureJob = { spki: Uint8Array; message: Uint8Array; signature: Uint8Array };

/** What an entry's signatures come to: jobs, or why nobody can have signed it as it stands. */
export type EntrySignatures = { ok: true; jobs: SignatureJob[] } | { ok: false; detail: string };

/** The signatures of `entry`, by what `fold` knows of the entries before it. */
export function signaturesOf(fold: FoldState, entry: Entry): EntrySignatures {
  const signer = signerOf(fold, entry);
  if (signer === undefined || !isBy(entry, signer))
    return { ok: false, detail: `no key before it may sign this ${entry.kind} entry` };
  const jobs = [jobOf(entry.signed, signer)];
  if (entry.kind === "grant") {
    const { sessionKey, possession, gateway } = entry.says;
    if (!equal(gateway, entry.signed.keyId)) return { ok: false, detail: "it names another gateway than signed it" };
    jobs.push({ spki: sessionKey, message: possessionMessage(entry.says), signature: possession });
  }
  return entry.kind === "receipt" ? withRequester(fold, entry.says.authorization, jobs) : { ok: true, jobs };
}

/** Whether the entry names `signer` as its key. A receipt's was found by that name. */
function isBy({ kind, signed }: Entry, signer: Uint8Array): boolean {
  return kind === "receipt" || equal(keyId(signer), signed.keyId);
}

/** Adds the requester's half. */
function withRequester(fold: FoldState, bytes: Uint8Array, jobs: SignatureJob[]): EntrySignatures {
  try {
    const { says, signed } = parseAuthorization(bytes);
    const session = fold.sessions.get(keyOf(says.session));
    if (session === undefined || session.sessionKeyId !== signed.keyIdLatin1)
      return { ok: false, detail: "its authorization is not by the key of a session granted before it" };
    jobs.push(jobOf(signed, session.sessionKey));
    return { ok: true, jobs };
  } catch (error) {
    if (error instanceof Malformed) return { ok: false, detail: `its authorization ${error.message}` };
    throw error;
  }
}

function jobOf({ toBeSigned, signature }: Signed, spki: Uint8Array): SignatureJob {
  return { spki, message: toBeSigned, signature };
}
