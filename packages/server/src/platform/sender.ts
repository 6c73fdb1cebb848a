/** Where a request comes from: as much of an address as one party is given, so that limits are of parties. */
import { isIPv4, isIPv6 } from "node:net";
import type { Context } from "hono";

/** What limits know strangers by, where nothing is known of one. */
export const NOBODY = "";

/**
 * The IPv4 address, or the /64 of the IPv6 address, that a request was sent from. Behind a proxy it is what the proxy, which is the last
 * to write there, says in X-Forwarded-For: what stands before it is the sender's own word.
 */
export function senderOf(c: Context, isBehindProxy: boolean): string {
  const bindings: { incoming?: { socket: { remoteAddress?: string } } } | undefined = c.env;
  const forwarded = isBehindProxy ? c.req.header("x-forwarded-for")?.split(",").at(-1) : undefined;
  return networkOf(forwarded ?? bindings?.incoming?.socket.remoteAddress ?? "");
}

/** The network of one party that an address is in; `NOBODY` where it is no address. */
export function networkOf(address: string): string {
  const bare = address
    .trim()
    .replace(/^\[([^\]]*)\](?::\d+)?$/, "$1") // As some proxies write it, with a port.
    .replace(/%.*$/, "");
  const v4 = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)(?::\d+)?$/i.exec(bare)?.[1];
  if (v4 !== undefined) return isIPv4(v4) ? v4 : NOBODY;
  return isIPv6(bare) ? `${groupsOf(bare).slice(0, 4).join(":")}::/64` : NOBODY;
}

/** The eight groups of an IPv6 address, without leading zeros. */
function groupsOf(address: string): string[] {
  // The last two groups may be written as an IPv4 address; they are of no matter here.
  const [head = "", tail] = address
    .toLowerCase()
    .replace(/[0-9.]+\.[0-9]+$/, "0:0")
    .split("::");
  const split = (part: string) => (part === "" ? [] : part.split(":"));
  const [before, after] = [split(head), split(tail ?? "")];
  const zeros = Array.from({ length: tail === undefined ? 0 : 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16).toString(16));
}
