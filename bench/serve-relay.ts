/**
 * For comparison: what no gateway that signs can do without. Hono and an undici pool, the body read and parsed, the answer
 * read, both hashed, one P-256 signature, and a header. No key is checked, nothing is held to anything, nothing is logged.
 */
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { Pool } from "undici";

const upstream = new Pool(process.argv[2] ?? "", { connections: 1_024, pipelining: 1 });
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const digest = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest();

const app = new Hono();
app.post("/v1/chat/completions", async (c) => {
  const text = await c.req.text();
  const { stream }: { stream?: boolean } = JSON.parse(text);
  const headers = { "content-type": "application/json" };
  const answer = await upstream.request({ path: c.req.path, method: "POST", headers, body: text });
  if (stream) {
    c.header("x-receipt-id", digest(text).toString("hex"));
    const frames = new ReadableStream<Uint8Array>({
      async start(controller) {
        const chain = createHash("sha256");
        for await (const chunk of answer.body) {
          chain.update(chunk);
          controller.enqueue(chunk);
        }
        sign("sha256", chain.digest(), privateKey);
        controller.close();
      },
    });
    return c.body(frames, 200, { "content-type": "text/event-stream" });
  }
  const body = await answer.body.text();
  const signature = sign("sha256", Buffer.concat([digest(text), digest(body)]), privateKey);
  return c.body(body, 200, { ...headers, "x-receipt": signature.toString("base64") });
});

const server = createAdaptorServer({ fetch: app.fetch });
server.listen(0, "127.0.0.1", () => process.send?.(server.address()));
process.on("SIGTERM", async () => {
  server.close();
  await upstream.destroy();
});
