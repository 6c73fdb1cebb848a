/** The baseline: the same server and the same body in JSON, answered without inference, receipt or log. */
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
app.get("/cpu", (c) => c.json(process.cpuUsage()));

const server = createAdaptorServer({ fetch: app.fetch });
server.listen(0, "127.0.0.1", () => process.send?.(server.address()));
process.on("SIGTERM", () => server.close());
