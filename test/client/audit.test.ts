import { expect, test, beforeAll } from "vitest";
import { auditLog } from "@tallystick/client";
import { makeRealLog, type RealLog } from "./real-log.ts";
import { sourceOf } from "./log-files.ts";
let log: RealLog;
beforeAll(async () => { log = await makeRealLog(); });
test("x", async () => {
  console.log(log.size, [...log.files.keys()].join(" "));
  const t = performance.now();
  const a = await auditLog(sourceOf(log.files), { trust: log.trust, published: log.usage });
  console.log(performance.now() - t, a.findings, a.differences, a.signatureCount, JSON.stringify(a.figures).slice(0, 1500));
});
