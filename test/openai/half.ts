/** A requester that signs its own half of OpenAI's calls, by hand, so that a test may use it as often and as wrongly as it likes. */
import { randomBytes } from "node:crypto";
import { createKey } from "@tallystick/client";
import {
  type AuthorizationPayload,
  callOf,
  commit,
  encodeCall,
  hex,
  type JsonObject,
  type JsonOperation,
  parseBase64,
  parseEntry,
  type Signer,
  signAuthorization,
  signedId,
} from "@tallystick/protocol";
import type { TestNetwork } from "../network.ts";
import { possessionOf, requestSession, revisionOf } from "../server/requester.ts";

/** A half and the headers that it is sent in. */
export type Half = { id: string; headers: Record<string, string> };

export type Signing = {
  signer: Signer;
  sign(operation: JsonOperation, body: JsonObject, says?: Partial<AuthorizationPayload>, by?: Signer): Promise<Half>;
};

/** Opens a session for calls to `model`. */
export async function openSigning(network: TestNetwork, model: string): Promise<Signing> {
  const { signer } = await createKey();
  const possession = await signer.sign(await possessionOf(network, signer.spki));
  const nowSeconds = Math.floor(Date.now() / 1000);
  const granted = await requestSession(network, { sessionKey: signer.spki, possession, expiry: nowSeconds + 3_600 });
  const { grant } = (await granted.json()) as { grant: string };
  const session = signedId(parseEntry(parseBase64(grant) ?? new Uint8Array(0)).signed);
  const revision = await revisionOf(network, model);
  let nonce = 0;
  return {
    signer,
    async sign(operation, body, says = {}, by = signer) {
      const salt = new Uint8Array(randomBytes(32));
      const { signed } = await signAuthorization(by, {
        ...{ version: 1, session, nonce: nonce++, revision, tier: "signed", maxPrice: 0n },
        request: commit("request", salt, encodeCall(callOf(operation, body))),
        ...{ expiry: nowSeconds + 300, openness: "none", traffic: "test" },
        ...says,
      });
      const url = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");
      const headers = { "x-tally-authorization": url(signed.bytes), "x-tally-salt": url(salt) };
      return { id: hex(signedId(signed)), headers };
    },
  };
}
