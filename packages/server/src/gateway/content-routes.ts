/** What was kept of calls with `store: true`, where OpenAI's clients look for it: to read it, and to erase it. */
import { type Context, Hono } from "hono";
import { ServiceError } from "../platform/errors.ts";
import type { Contents } from "./contents.ts";

export type ContentRoutes = {
  contents: Pick<Contents, "find" | "destroy">;
  /** Whose key the request has. Throws unauthenticated. */
  callerOf(c: Context): { payerTag: string };
  /** Erases the salts that the gateway keeps of a receipt, by its id in hex. */
  destroyOpening(receiptId: string, payerTag: string): void;
};

/** An answer's id: what it is, and the receipt's. */
const ANSWER_ID = /^(?:chatcmpl-|resp_)([0-9a-f]{64})$/;

export function contentRoutes({ contents, callerOf, destroyOpening }: ContentRoutes): Hono {
  const app = new Hono();
  const kept = (c: Context) => {
    const { payerTag } = callerOf(c);
    const id = c.req.param("id") ?? "";
    const receiptId = ANSWER_ID.exec(id)?.[1];
    if (receiptId === undefined)
      throw new ServiceError("invalid_request", "an answer's id is chatcmpl- or resp_ and its receipt's id", {
        param: "id",
      });
    return { payerTag, id, receiptId };
  };
  for (const [path, deleted] of [
    ["/v1/chat/completions/:id", "chat.completion.deleted"],
    ["/v1/responses/:id", "response.deleted"],
  ] as const) {
    app.get(path, (c) => {
      const { payerTag, id } = kept(c);
      const content = contents.find(payerTag, id);
      if (content === undefined) throw notKept(id);
      return c.body(JSON.stringify(content.response), 200, { "content-type": "application/json" });
    });
    app.delete(path, (c) => {
      const { payerTag, id, receiptId } = kept(c);
      if (!contents.destroy(payerTag, id)) throw notKept(id);
      destroyOpening(receiptId, payerTag);
      return c.json({ id, object: deleted, deleted: true });
    });
  }
  return app;
}

function notKept(id: string): ServiceError {
  return new ServiceError(
    "not_found",
    `no content of ${id} is kept for this API key: only that of calls with store: true is`,
  );
}
