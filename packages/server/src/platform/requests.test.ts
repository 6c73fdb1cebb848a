import { EventEmitter } from "node:events";
import { Hono } from "hono";
import { expect, test } from "vitest";
import { createMetrics } from "./metrics.ts";
import { createRequests, observationOf } from "./requests.ts";

test("a caller that goes away before its stream is begun takes no place among the streams", async () => {
  const metrics = createMetrics();
  const requests = createRequests({ metrics, log: () => {}, limits: { streams: 1 } });
  const app = new Hono();
  app.use(requests.middleware);
  app.onError((_, c) => c.text("refused", 500));
  let leave = (): void => {};
  app.post("/stream", (c) => {
    leave();
    observationOf(c).startStream();
    return c.text("begun");
  });
  const send = async (isGone: boolean) => {
    const outgoing = Object.assign(new EventEmitter(), { setTimeout: () => {}, writableFinished: !isGone });
    leave = isGone ? () => void outgoing.emit("close") : () => {};
    const answer = await app.request("/stream", { method: "POST" }, { outgoing });
    if (!isGone) outgoing.emit("close");
    return answer.status;
  };
  for (let i = 0; i < 3; i++) expect(await send(true)).toBe(500);
  expect(metrics.text()).toContain("tally_streams_in_flight 0");
  expect(await send(false)).toBe(200);
});
