/** The baseline of an audit: a worker that does nothing but verify one P-256 signature again and again. */
import { generateKeyPairSync, randomBytes, sign, verify } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const message = randomBytes(400);
const signature = sign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" });
const { durationMs } = workerData;

const started = performance.now();
let count = 0;
while (performance.now() - started < durationMs)
  for (let i = 0; i < 100; i++, count++)
    if (!verify("sha256", message, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature))
      throw new Error("a good signature does not hold");
parentPort?.postMessage((1000 * count) / (performance.now() - started));
