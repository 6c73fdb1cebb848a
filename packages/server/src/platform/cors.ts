/**
 * Pages of other origins may call the API (WHATWG Fetch, CORS protocol): a caller is known by its key and never by a cookie, so
 * that a page can do nothing here that the same request from elsewhere could not.
 */
import type { Context, MiddlewareHandler } from "hono";

const PATHS = /^\/v[12](?:\/|$)/;
const METHODS = "GET, POST, DELETE";
/** How long a browser may remember what it was told. Browsers cut it to two hours and less. */
const REMEMBERED_SECONDS = "7200";
/** Names of headers, as a browser lists those that its page wants to send. */
const NAMES = /^[!#$%&'*+.^_`|~0-9a-z-]+(?:, ?[!#$%&'*+.^_`|~0-9a-z-]+)*$/i;
const NAMES_LENGTH = 2_048;

/** Answers a browser that asks what a page may send, and lets pages read the answers to what they sent. */
export const cors: MiddlewareHandler = async (c, next) => {
  if (c.req.header("origin") === undefined || !PATHS.test(c.req.path)) return next();
  if (c.req.method === "OPTIONS" && c.req.header("access-control-request-method") !== undefined) return preflight(c);
  await next();
  c.res.headers.set("access-control-allow-origin", "*");
  c.res.headers.set("access-control-expose-headers", "*");
  return;
};

function preflight(c: Context): Response {
  const asked = c.req.header("access-control-request-headers") ?? "";
  // `*` does not stand for Authorization: what is asked for is named.
  const headers = asked.length <= NAMES_LENGTH && NAMES.test(asked) ? asked : "authorization, content-type";
  return c.body(null, 204, {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": METHODS,
    "access-control-allow-headers": headers,
    "access-control-max-age": REMEMBERED_SECONDS,
    vary: "access-control-request-headers",
  });
}
