/** The log over HTTP: C2SP tlog-tiles as they lie on disk, and the doors for statements by strangers and for revocations. */
import { ENTRY_SIZE_BYTES } from "@tallystick/protocol";
import { type Context, Hono } from "hono";
import { ServiceError } from "../platform/errors.ts";
import { readBody } from "../platform/http.ts";
import { senderOf } from "../platform/sender.ts";
import type { Admission } from "./admission.ts";
import { acceptsGzip, type LogReads, PUBLIC } from "./reads.ts";

export type TileRoutes = { published(): { size: number }; reads: LogReads };
export type LogRoutes = TileRoutes & {
  admission: Admission;
  isAdmin(header: string | undefined): boolean;
  /** Whether requests come through a proxy, which says from whom. */
  isBehindProxy: boolean;
};

export function logRoutes({ admission, isAdmin, isBehindProxy, ...tiles }: LogRoutes): Hono {
  const app = tileRoutes(tiles);
  app.post("/v1/entries", async (c) => {
    const headers: Record<string, string> = {};
    const sender = { network: senderOf(c, isBehindProxy), headers };
    const submitted = await admission.submit(await readBody(c, ENTRY_SIZE_BYTES), sender);
    return c.json(submitted, 200, headers);
  });
  app.post("/v1/revocations", async (c) => {
    if (!isAdmin(c.req.header("authorization")))
      throw new ServiceError("forbidden", "only the operator revokes: send the token in keys/admin-token");
    return c.json(await admission.submitOperated(await readBody(c, ENTRY_SIZE_BYTES)));
  });
  return app;
}

/** A log's checkpoint and tiles, under `prefix`. */
export function tileRoutes({ published, reads }: TileRoutes, prefix = ""): Hono {
  const app = new Hono();

  async function answer(c: Context): Promise<Response> {
    const path = c.req.path.slice(prefix.length);
    const found = await reads.find(path, acceptsGzip(c.req.header("accept-encoding")));
    for (const [name, value] of Object.entries(found?.headers ?? PUBLIC)) c.header(name, value);
    if (found === undefined)
      throw new ServiceError("not_found", `no tile ${path.slice(1)} in a log of ${published().size} entries`);
    return c.body(found.body);
  }

  app.get(`${prefix}/checkpoint`, answer);
  app.get(`${prefix}/tile/*`, answer);
  return app;
}
