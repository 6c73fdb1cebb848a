/** Openings for verifiers and referees, at the gateway: each is asked on of the node that its asker signed for. */
import { type Context, Hono } from "hono";
import { ServiceError } from "../platform/errors.ts";
import { PeerError } from "../platform/peer.ts";
import type { RemoteNode } from "./remote-node.ts";

export type LotOpeningRoutes = {
  /** The node in this process, which answers itself. */
  own: { id: string; answer(c: Context): Promise<Response> };
  /** A node elsewhere, by the hex of its key's id. */
  findNode(id: string): Pick<RemoteNode, "askOpening"> | undefined;
  /** Whether the log has a key of a node by the hex of that id. */
  isEnrolled(id: string): boolean;
};

/** What the node checks, as its asker sent it. */
const SIGNED = ["content-digest", "tallystick-to", "signature-input", "signature", "tallystick-check"];

export function lotOpeningRoutes({ own, findNode, isEnrolled }: LotOpeningRoutes): Hono {
  const app = new Hono();
  app.get("/v1/receipts/:id/opening/lot", async (c) => {
    const to = c.req.header("tallystick-to") ?? "";
    if (to === own.id) return own.answer(c);
    if (!isEnrolled(to))
      throw new ServiceError("invalid_request", "tallystick-to is the id of the node that signed the receipt, in hex");
    const node = findNode(to);
    if (node === undefined)
      throw new ServiceError("unavailable", "the node that signed this receipt is not here at the moment");
    const headers = SIGNED.flatMap((name) => {
      const value = c.req.header(name);
      return value === undefined ? [] : [[name, value]];
    });
    const { status, body } = await ask(node, c.req.path, Object.fromEntries(headers));
    const contentType = status === 200 ? "application/cbor" : "application/problem+json";
    return new Response(body as Uint8Array<ArrayBuffer>, { status, headers: { "content-type": contentType } });
  });
  return app;
}

async function ask(node: Pick<RemoteNode, "askOpening">, path: string, headers: Record<string, string>) {
  try {
    return await node.askOpening(path, headers);
  } catch (cause) {
    if (!(cause instanceof PeerError)) throw cause;
    throw new ServiceError("unavailable", "the node that signed this receipt gave no answer", { cause });
  }
}
