/** The container's health check: whether the network beside it takes calls. TALLYSTICK_HEALTH_URL says where it listens. */
import { get } from "node:http";
import { get as getByTls } from "node:https";

const url = `${process.env.TALLYSTICK_HEALTH_URL ?? "http://127.0.0.1:8787"}/v2/health/ready`;
// It asks the process beside it, by an address that is in no certificate.
const options = { rejectUnauthorized: false, signal: AbortSignal.timeout(4_000) };
const request = (url.startsWith("https:") ? getByTls : get)(url, options, (answer) => {
  answer.resume();
  process.exitCode = answer.statusCode === 200 ? 0 : 1;
});
request.on("error", (error) => {
  console.error(`${url}: ${error.message}`);
  process.exitCode = 1;
});
