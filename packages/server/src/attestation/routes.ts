/** Attestation over HTTP: a node asks for a nonce and sends evidence; anybody reads what was archived. */
import { base64, EVIDENCE_SIZE_BYTES, type FoldState, hex, keyOf, mayAct, parseHex } from "@tallystick/protocol";
import { type Context, Hono } from "hono";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import { readBody } from "../platform/http.ts";
import { checkRequest } from "../platform/http-signature.ts";
import type { Appraiser } from "./appraiser.ts";
import type { EvidenceArchive } from "./archive-store.ts";

export type AttestationRoutes = {
  appraiser: Appraiser;
  archive: EvidenceArchive;
  fold: FoldState;
  clock: Clock;
  /** The id of the gateway's key: what a node signs is for this gateway. */
  id: Uint8Array;
  /** Whether a header has the token by which this operator's nodes come in. */
  isNode(header: string | undefined): boolean;
};

const EMPTY_BODY_BYTES = 1_024;

export function attestationRoutes({ appraiser, archive, fold, clock, id, isNode }: AttestationRoutes): Hono {
  const app = new Hono();

  /** The key of an enrolled node. */
  function findKey(kid: Uint8Array): Uint8Array | undefined {
    return mayAct(fold, keyOf(kid), "node") ? fold.keys.get(keyOf(kid))?.spki : undefined;
  }

  /** The node that signed, and the body that it signed for. */
  async function signedBody(c: Context, limitBytes: number): Promise<{ node: Uint8Array; body: Uint8Array }> {
    if (!isNode(c.req.header("authorization")))
      throw new ServiceError("forbidden", "nodes come in by the token that this gateway's operator gave them");
    const { method, path } = c.req;
    const request = { method, path, header: (name: string) => c.req.header(name) };
    const signed = await checkRequest(request, { to: id, nowSeconds: nowSeconds(clock), findKey });
    const body = await readBody(c, limitBytes);
    signed.checkBody(body);
    return { node: signed.keyId, body };
  }

  app.post("/v1/nodes/attestation/challenge", async (c) => {
    const { node } = await signedBody(c, EMPTY_BODY_BYTES);
    return c.json({ nonce: base64(appraiser.challenge(node)) });
  });

  app.post("/v1/nodes/attestation", async (c) => {
    const { node, body } = await signedBody(c, EVIDENCE_SIZE_BYTES);
    const { appraisal, evidence, expirySeconds, index } = await appraiser.appraise(node, body);
    const { technology, outcome, checks } = appraisal;
    return c.json({ technology, outcome, checks, evidence: hex(evidence), expiry: expirySeconds, index });
  });

  app.get("/v1/attestations/:digest", (c) => {
    const digest = parseHex(c.req.param("digest"));
    if (digest?.length !== 32) throw new ServiceError("invalid_request", "a digest is 64 digits of lower-case hex");
    const bytes = archive.find(digest);
    if (bytes === undefined) throw new ServiceError("not_found", `no evidence ${hex(digest)} is kept here`);
    return c.body(bytes as Uint8Array<ArrayBuffer>, 200, { "content-type": "application/cbor" });
  });

  return app;
}
