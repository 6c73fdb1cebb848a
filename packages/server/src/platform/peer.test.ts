import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { utf8 } from "@tallystick/protocol";
import { afterEach, expect, test } from "vitest";
import { openPeer, PeerError, readAll } from "./peer.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen<S extends Server>(server: S): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const request = { path: "/v1/dispatch", headers: { "x-a": "b" }, body: utf8("hello"), timeoutMs: 5_000 };

test("a request arrives with its body and length, and its answer comes back whole", async () => {
  const url = await listen(
    createServer(async (incoming, outgoing) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk);
      outgoing.end(`${incoming.headers["content-length"]} ${incoming.headers["x-a"]} ${Buffer.concat(chunks)}`);
    }),
  );
  const peer = openPeer(url);
  const answer = await peer.post(request);
  expect(answer.status).toBe(200);
  expect(new TextDecoder().decode(await readAll(answer, 100))).toBe("5 b hello");
  await peer.close();
});

test("where nobody listens, the request was provably not sent", async () => {
  const server = createServer();
  const url = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  const peer = openPeer(url);
  const error = await peer.post(request).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(PeerError);
  expect(error).toMatchObject({ isSent: false });
  await peer.close();
});

test("a connection that ends after the request, before any answer, leaves open whether it was taken", async () => {
  const url = await listen(createTcpServer((socket) => void socket.once("data", () => socket.destroy())));
  const peer = openPeer(url);
  await expect(peer.post(request)).rejects.toMatchObject({ name: "PeerError", isSent: true });
  await peer.close();
});

test("an answer that breaks off, and one that is too long, are errors and no answers", async () => {
  const url = await listen(
    createServer((_, outgoing) => {
      outgoing.writeHead(200, { "content-length": "10" });
      outgoing.write("12345", () => outgoing.destroy());
    }),
  );
  const peer = openPeer(url);
  await expect(peer.post(request).then((answer) => readAll(answer, 100))).rejects.toMatchObject({ isSent: true });
  await expect(peer.post(request).then((answer) => readAll(answer, 4))).rejects.toThrow(/more than 4 bytes/);
  await peer.close();
});

/** Asks a server of TLS, in a process that trusts its certificate: first anybody, then by another key, then by its own. */
const ASKING = `
  import { createServer } from "node:https";
  import { readFileSync } from "node:fs";
  import { openPeer, readAll } from "./packages/server/src/platform/peer.ts";
  import { tlsKeyOf } from "./packages/server/src/platform/tls.ts";
  const [cert, key] = ["cert", "key"].map((name) => readFileSync("test/tls/" + name + ".pem", "utf8"));
  const server = createServer({ cert, key }, (_, outgoing) => outgoing.end("here"));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  let due;
  const peer = openPeer("https://localhost:" + server.address().port, () => due);
  const request = { path: "/", headers: {}, body: new Uint8Array(1), timeoutMs: 5_000 };
  const said = [];
  for (const key of [undefined, new Uint8Array(32), tlsKeyOf(cert)]) {
    due = key;
    said.push(await peer.post(request).then((answer) => readAll(answer, 9), (error) => error.message + error.isSent).then(String));
  }
  await peer.close();
  server.close();
  console.log(JSON.stringify(said));
`;

test("who ends TLS by another key than is due is sent nothing, also on connections from before it was due", async () => {
  const repository = join(import.meta.dirname, "../../../..");
  const args = ["--conditions=@tallystick/source", "--import", "tsx", "--input-type=module", "-e", ASKING];
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(repository, "test/tls/cert.pem") };
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: repository, env });
  const here = String(utf8("here"));
  const refused = expect.stringMatching(/its TLS key is not the one in its evidence.*false$/);
  expect(JSON.parse(stdout)).toEqual([here, refused, here]);
});
