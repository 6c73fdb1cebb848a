import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { creditInput, startNetwork, type TestNetwork } from "../network.ts";

let network: TestNetwork;
beforeAll(async () => {
  network = await startNetwork();
});
afterAll(() => network[Symbol.asyncDispose]());

/** Sends bytes as they are, and gives all that comes back until the other side hangs up. */
function exchange(bytes: string): Promise<string> {
  const { hostname, port } = new URL(network.url);
  return new Promise((resolve) => {
    let said = "";
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.on("data", (chunk) => {
      said += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(said));
  });
}

const head = (line: string, ...headers: string[]) => `${[line, "host: x", ...headers].join("\r\n")}\r\n\r\n`;
const INFER = "POST /v2/models/statlog/credit-default/infer HTTP/1.1";

test.each([
  ["what is no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", /^$|400/],
  ["a request line that is none", "GET\r\n\r\n", /400/],
  ["headers without end", `GET / HTTP/1.1\r\n${"x: y\r\n".repeat(10_000)}`, /431/],
  ["two lengths", head(INFER, "content-length: 2", "content-length: 3"), /400/],
  ["a length that is none", head(INFER, "content-length: many"), /400/],
  ["a negative length", head(INFER, "content-length: -1"), /400/],
  ["a length and chunks", `${head(INFER, "content-length: 2", "transfer-encoding: chunked")}0\r\n\r\n`, /400/],
  ["a chunk of no size", `${head(INFER, "transfer-encoding: chunked")}zz\r\n`, /400|^$/],
  ["a path that is badly encoded", head("GET /v1/models/%ff%fe HTTP/1.1", "connection: close"), /40\d/],
  ["a path of many dots", head("GET /assets/../../keys/node.pem HTTP/1.1", "connection: close"), /404/],
  ["an absolute address", head("GET http://example.org/v1/usage HTTP/1.1", "connection: close"), /200|400/],
  ["a method of its own", head("BREW /v1/usage HTTP/1.1"), /400|405/],
  ["an upgrade", head("GET / HTTP/1.1", "connection: upgrade, close", "upgrade: websocket"), /200|400|426|^$/],
])("%s harms nobody: it is refused, and the next call is served", async (_, bytes, expected) => {
  const said = await exchange(bytes);
  expect(said.split("\r\n")[0]).toMatch(expected);
  expect(said).not.toMatch(/PRIVATE KEY|HTTP\/1.1 5/);
  expect((await network.infer("statlog/credit-default", [creditInput()])).status).toBe(200);
  expect(network.reported).toEqual([]);
});

test("several requests on one connection are answered in their order", async () => {
  const get = (path: string, ...headers: string[]) => head(`GET ${path} HTTP/1.1`, ...headers);
  const last = get("/v2/health/ready", "connection: close");
  const said = await exchange(`${get("/v2/health/live")}${get("/nothing")}${last}`);
  expect(said.match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 404", "HTTP/1.1 200"]);
});
