/** What every route that answers a call does with what a node gave back. */
import { hex } from "@tallystick/protocol";
import type { Context } from "hono";
import type { Served } from "./service.ts";

/** The answer, with the receipt's id in its header; or the refusal that the receipt records, thrown. */
export function answerOf(c: Context, served: Served): Extract<Served, { ok: true }> {
  if (!served.ok) throw served.refusal;
  c.header("x-receipt-id", hex(served.id));
  return served;
}
