/** The log over HTTP: C2SP tlog-tiles as they lie on disk, and the door for statements by strangers. */
import { ENTRY_SIZE_BYTES, encodeNote, parseTilePath, tileWidth } from "@tallystick/protocol";
import { type Context, Hono } from "hono";
import { ServiceError } from "../platform/errors.ts";
import { readBody } from "../platform/http.ts";
import type { Admission } from "./admission.ts";
import { acceptsGzip, type LogReads, PUBLIC } from "./reads.ts";
import type { Log } from "./service.ts";

export type LogRoutes = {
  admission: Admission;
  published(): { size: number };
  reads: LogReads;
};

export function logRoutes({ admission, published, reads }: LogRoutes): Hono {
  const app = new Hono();

  async function answer(c: Context): Promise<Response> {
    const { path } = c.req;
    const found = await reads.find(path, acceptsGzip(c.req.header("accept-encoding")));
    for (const [name, value] of Object.entries(found?.headers ?? PUBLIC)) c.header(name, value);
    if (found === undefined)
      throw new ServiceError("not_found", `no tile ${path.slice(1)} in a log of ${published().size} entries`);
    return c.body(found.body);
  }

  app.get("/checkpoint", answer);
  app.get("/tile/*", answer);
  app.post("/v1/entries", async (c) => c.json(await admission.submit(await readBody(c, ENTRY_SIZE_BYTES))));
  return app;
}

/** A log's checkpoint and tiles, wherever they are mounted. */
export function tileRoutes(log: Pick<Log, "published" | "tree">): Hono {
  const app = new Hono();
  app.get("/checkpoint", (c) =>
    c.body(encodeNote(log.published.note), 200, {
      "content-type": "text/plain; charset=utf-8",
      "cache-control": "no-cache",
    }),
  );
  app.get("/tile/*", async (c) => {
    const path = c.req.path.slice(c.req.path.indexOf("/tile/") + 1);
    const tile = parseTilePath(path);
    const isPublished = tile !== undefined && tile.width <= tileWidth(tile.level, tile.index, log.published.size);
    const bytes = isPublished ? await log.tree.findTile(tile) : undefined;
    if (bytes === undefined)
      throw new ServiceError("not_found", `no tile ${path} in a log of ${log.published.size} entries`);
    return c.body(new Uint8Array(bytes), 200, {
      "content-type": "application/octet-stream",
      "cache-control": "public, max-age=31536000, immutable",
    });
  });
  return app;
}
