/** Proofs over HTTP: their evidence for whoever may see the answer, and the keys by which anybody verifies them (docs/spec/proof.md). */
import { equal, type FoldState, hex, keyOf, parseHex } from "@tallystick/protocol";
import { type Context, Hono } from "hono";
import { ServiceError } from "./platform/errors.ts";
import type { Proofs } from "./proofs.ts";

export type ProofRoutes = {
  fold: FoldState;
  /** What the node of this network proves; lacks where it does not. */
  proofs: Pick<Proofs, "find" | "verificationKey"> | undefined;
  /** The payer whose API key a request comes with. Throws unauthenticated or forbidden. */
  payerOf(c: Context): string;
};

export function proofRoutes({ fold, proofs, payerOf }: ProofRoutes): Hono {
  const app = new Hono();

  app.get("/v1/receipts/:id/proof", async (c) => {
    const id = parseDigest(c.req.param("id"), "a receipt id");
    const payer = keyOf(parseHex(payerOf(c)) ?? id);
    const found = fold.receipts.get(keyOf(id))?.payer === payer ? proofs?.find(id) : undefined;
    if (found?.state === "failed")
      throw new ServiceError("node_failed", `${hex(id)} was not proved (${found.reason}); its receipt stays as it is`);
    if (found?.state !== "made")
      throw new ServiceError(
        "not_found",
        found === undefined
          ? `no proof of ${hex(id)} for this API key: it was not asked for, or is gone`
          : `the proof of ${hex(id)} is not made yet: ask again in some seconds`,
      );
    return c.body(found.evidence as Uint8Array<ArrayBuffer>, 200, { "content-type": "application/cbor" });
  });

  // Only of what is published here: nobody else says what is compiled. It is compiled once.
  app.get("/v1/verification-keys/:digest", async (c) => {
    const digest = parseDigest(c.req.param("digest"), "a digest");
    const model = [...fold.models.values()].find(
      ({ manifest: { circuit } }) => circuit !== undefined && equal(circuit.verificationKey, digest),
    );
    if (model === undefined || proofs === undefined)
      throw new ServiceError("not_found", `no model that is proved here has the verification key ${hex(digest)}`);
    const key = await proofs.verificationKey(model.manifest);
    return c.body(key as Uint8Array<ArrayBuffer>, 200, { "content-type": "application/octet-stream" });
  });

  return app;
}

function parseDigest(text: string, what: string): Uint8Array {
  const digest = parseHex(text);
  if (digest?.length === 32) return digest;
  throw new ServiceError("invalid_request", `${what} is 64 digits of lower-case hex`);
}
