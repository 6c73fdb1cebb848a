import { Hono } from "hono";
import { expect, test } from "vitest";
import { NOBODY, networkOf, senderOf } from "./sender.ts";

test("an IPv4 address is one party's, an IPv6 address is of the party that has its /64", () => {
  expect(networkOf("192.0.2.7")).toBe("192.0.2.7");
  expect(networkOf("::ffff:192.0.2.7")).toBe("192.0.2.7");
  expect(networkOf("192.0.2.7:51000")).toBe("192.0.2.7");
  const own = "2001:db8:0:7::/64";
  for (const address of ["2001:db8:0:7::1", "2001:DB8::7:ffff:0:0:9", "2001:0db8:0000:0007::", "[2001:db8:0:7::2]:443"])
    expect(networkOf(address), address).toBe(own);
  expect(networkOf("2001:db8:0:8::1")).not.toBe(own);
  expect(networkOf("::1")).toBe("0:0:0:0::/64");
  expect(networkOf("64:ff9b::192.0.2.7")).toBe("64:ff9b:0:0::/64");
  expect(networkOf("fe80::1%eth0")).toBe("fe80:0:0:0::/64");
  for (const none of ["", "unknown", "_hidden", "1.2.3", "1.2.3.999", "2001:db8", "a, b"])
    expect(networkOf(none), none).toBe(NOBODY);
});

test("what a request says of its sender counts only behind a proxy, and then the proxy's own word", async () => {
  const asked = async (isBehindProxy: boolean, forwarded?: string) => {
    const app = new Hono().get("/", (c) => c.text(senderOf(c, isBehindProxy)));
    const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
    const env = { incoming: { socket: { remoteAddress: "127.0.0.1" } } };
    return (await app.request("/", { headers }, env)).text();
  };
  expect(await asked(false, "192.0.2.7")).toBe("127.0.0.1");
  expect(await asked(true, "192.0.2.7")).toBe("192.0.2.7");
  expect(await asked(true, "203.0.113.9, 192.0.2.7")).toBe("192.0.2.7");
  expect(await asked(true)).toBe("127.0.0.1");
});
