import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { TestNetwork } from "../test/network.ts";
import { asset } from "./assets.ts";
import { renderHome } from "./home.ts";

test("every file that the page links to is served with its type", async () => {
  const page = renderHome((await TestNetwork.create()).view());
  const paths = [...page.matchAll(/(?:href|src)="(\/assets\/[^"]*)"/g)].map(([, path = ""]) => path);
  expect(paths).toHaveLength(4);
  for (const path of paths) expect(asset(path)?.body.length, path).toBeGreaterThan(100);
  expect(asset("/assets/verify.js")?.contentType).toBe("text/javascript; charset=utf-8");
});

test("no other path leads to a file", () => {
  for (const path of [
    "/assets/",
    "/assets/../index.js",
    "/assets/%2e%2e/index.js",
    "/assets/verify.js?",
    "/index.js",
    "constructor",
  ])
    expect(asset(path)).toBeUndefined();
});

test("a visitor loads at most 40 kB of script, the verifier included", () => {
  const scripts = ["/assets/page.js", "/assets/verify.js"].map((path) => asset(path)?.body ?? new Uint8Array());
  expect(scripts.reduce((size, body) => size + gzipSync(body).length, 0)).toBeLessThan(40_000);
});
