/** The thread that signs: keys as they come, and batches of messages in their order. */
import { type KeyObject, sign } from "node:crypto";
import { parentPort } from "node:worker_threads";
import { SIGNATURE_LENGTH, type SigningRequest } from "./signing.ts";

const keys = new Map<number, { key: KeyObject; dsaEncoding: "ieee-p1363" }>();

parentPort?.on("message", (request: SigningRequest) => {
  if (request.kind === "key") keys.set(request.id, { key: request.key, dsaEncoding: "ieee-p1363" });
  else if (request.kind === "forget") keys.delete(request.id);
  else {
    const { keyIds, lengths, messages } = request;
    const signatures = new Uint8Array(SIGNATURE_LENGTH * keyIds.length);
    let at = 0;
    for (const [i, keyId] of keyIds.entries()) {
      const key = keys.get(keyId);
      if (key === undefined) throw new Error(`no key ${keyId}`); // Its signer asks, so it is not forgotten.
      const message = messages.subarray(at, at + (lengths[i] ?? 0));
      signatures.set(sign("sha256", message, key), SIGNATURE_LENGTH * i);
      at += message.length;
    }
    parentPort?.postMessage(signatures, [signatures.buffer]);
  }
});
