/** Verifying in the browser, without the page around it: bytes, a key and what was asked for in, a verdict out. */
import {
  type Check,
  hex,
  Malformed,
  type NoteKey,
  parseNoteKey,
  parseReceiptFile,
  trustInLog,
  type Verdict,
  type VerifiedReceipt,
  verifyReceiptFile,
} from "@tallystick/protocol";

/** Reads the key of a log as a person pastes it; a text says what is wrong with it. */
export function readLogKey(vkey: string): NoteKey | string {
  try {
    return parseNoteKey(vkey.trim());
  } catch (error) {
    if (error instanceof Malformed) return `The key of the log ${error.message}.`;
    throw error;
  }
}

/** The receipt id in what was pasted, an id or an address that ends with one, or undefined. */
export function receiptIdIn(text: string): string | undefined {
  return /(?:^|\/)([0-9a-f]{64})$/.exec(text.trim().toLowerCase())?.[1];
}

/** Verifies `bytes`. With `askedId` they must also be the receipt that was asked for, not just any good one. */
export async function verifyHere(
  bytes: Uint8Array,
  logKey: NoteKey,
  askedId?: string,
): Promise<Verdict<VerifiedReceipt>> {
  const verdict = await verifyReceiptFile(bytes, trustInLog(logKey));
  if (verdict.outcome === "failed" || askedId === undefined) return verdict;
  const id = hex(parseReceiptFile(bytes).id); // Nothing failed, so the file is well-formed and named by its own id.
  const name = "asked for";
  if (id === askedId) {
    const check: Check = { name, state: "passed", detail: "this is the receipt that was asked for" };
    return { ...verdict, checks: [check, ...verdict.checks] };
  }
  const detail = `asked for ${askedId}, the server gave ${id}`;
  const check: Check = { name, state: "failed", failure: "wrong_id", detail };
  return { outcome: "failed", failure: "wrong_id", checks: [check, ...verdict.checks] };
}

/** The base point of edwards25519 (RFC 8032 §5.1): a key that every implementation takes. */
const SOME_KEY = Uint8Array.from([0x58, ...new Array<number>(31).fill(0x66)]);

/** Why this browser cannot verify, or undefined when it can. Otherwise what it cannot check would look forged. */
export async function whyNotHere(): Promise<string | undefined> {
  if (globalThis.crypto?.subtle === undefined)
    return "Browsers do cryptography only on pages from https or from localhost: open the page that way, or verify at a terminal.";
  try {
    await crypto.subtle.importKey("raw", SOME_KEY, { name: "Ed25519" }, false, ["verify"]);
    return undefined;
  } catch {
    return "This browser does not know Ed25519, by which the log signs: use a newer one, or verify at a terminal.";
  }
}
