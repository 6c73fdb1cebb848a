/** For comparison: the HTTP library alone, which parses the same body and answers a constant. No account, no model, no check. */
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";

const answer = {
  model_name: "statlog/credit-default",
  model_version: "1.0.0",
  parameters: { receipt_id: "0".repeat(64) },
  outputs: [{ name: "default_probability", datatype: "FP32", shape: [1], data: [0.5] }],
};

const app = new Hono();
app.post("/v2/models/:path{.+}", async (c) => {
  const body: unknown = JSON.parse(new TextDecoder().decode(await c.req.arrayBuffer()));
  if (typeof body !== "object") return c.json({ error: "not an object" }, 400);
  c.header("x-receipt-id", "0".repeat(64));
  return c.json(answer);
});

const server = createAdaptorServer({ fetch: app.fetch });
server.listen(0, "127.0.0.1", () => process.send?.(server.address()));
process.on("SIGTERM", () => server.close());
