/** What every route that answers a call does with what a node gave back. */
import { hex, type NodeTimes, type Tensor } from "@tallystick/protocol";
import type { Context } from "hono";
import { headersFor } from "../platform/http.ts";
import type { Served } from "./service.ts";

type Answered = Extract<Served, { ok: true }>;

/** The answer, with the receipt's id in its header; or the refusal that the receipt records, thrown. */
export function answerOf<T extends Served>(c: Context, served: T): T & Answered {
  if (!served.ok) throw served.refusal;
  const headers = headersFor(c);
  headers["x-receipt-id"] = hex(served.id);
  if (served.times !== undefined) headers["server-timing"] = timing(served.times);
  return served as T & Answered;
}

/** The tensors of an answer to a call in tensors. */
export function tensorsOf({ outputs = [] }: Answered): Tensor[] {
  return outputs;
}

/** What a call waited for at its node, as browsers show it (W3C Server Timing). */
function timing({ queueMs, loadMs, serveMs }: NodeTimes): string {
  return `queue;dur=${queueMs}, load;dur=${loadMs}, node;dur=${serveMs}`;
}
