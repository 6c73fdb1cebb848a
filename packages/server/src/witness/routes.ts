/** A witness over HTTP (C2SP tlog-witness): its submission prefix and its monitoring prefix are one. */
import { ADD_CHECKPOINT_SIZE_BYTES, encodeNote } from "@tallystick/protocol";
import { Hono } from "hono";
import { ServiceError } from "../platform/errors.ts";
import { readBody } from "../platform/http.ts";
import type { Witness } from "./service.ts";

export function witnessRoutes(witness: Pick<Witness, "addCheckpoint" | "latestByHash">): Hono {
  const app = new Hono();

  app.post("/add-checkpoint", async (c) => {
    const { status, contentType, body } = await witness.addCheckpoint(await readBody(c, ADD_CHECKPOINT_SIZE_BYTES));
    return c.body(body, status, { "content-type": contentType, ...(status === 503 ? { "retry-after": "1" } : {}) });
  });

  app.get("/:originHash{[0-9a-f]{64}}/checkpoint", (c) => {
    const note = witness.latestByHash(c.req.param("originHash"));
    if (note === undefined)
      throw new ServiceError("not_found", "this witness has cosigned no checkpoint of a log with this origin's hash");
    return c.body(encodeNote(note), 200, {
      "content-type": "text/plain; charset=utf-8",
      "cache-control": "no-cache",
    });
  });

  return app;
}
