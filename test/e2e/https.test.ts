import { once } from "node:events";
import { chmod, copyFile, readFile } from "node:fs/promises";
import { Agent, get } from "node:https";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { temporaryFolder } from "../folder.ts";
import { copyModels } from "../network.ts";
import { type Daemon, type Ready, startDaemon } from "../server/daemon.ts";
import { SMALL_MODEL } from "./person.ts";
import { runTally } from "./processes.ts";

/** A certificate of its own signature for tallystick.test, localhost and 127.0.0.1, valid to 2100. */
const PAIR = join(import.meta.dirname, "..", "tls");
const TRUSTING = { NODE_EXTRA_CA_CERTS: join(PAIR, "cert.pem") };

let place: Awaited<ReturnType<typeof temporaryFolder>>;
let daemon: Daemon;
let ready: Ready;

beforeAll(async () => {
  place = await temporaryFolder();
  const [cert, key] = [join(place.path, "cert.pem"), join(place.path, "key.pem")];
  await copyFile(join(PAIR, "cert.pem"), cert);
  await copyFile(join(PAIR, "key.pem"), key);
  await chmod(key, 0o600);
  const models = await copyModels(["credit-default"], join(place.path, "models"));
  const args = ["--tls-cert", cert, "--tls-key", key];
  daemon = startDaemon(join(place.path, ".tallystick"), models, { args });
  ready = await daemon.ready;
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

test("a call, its receipt and the whole log hold over https, by a name in the certificate and a private authority", async () => {
  const url = ready.url.replace("127.0.0.1", "localhost");
  expect(url).toMatch(/^https:\/\/localhost:\d+$/);
  const env = { ...TRUSTING, TALLYSTICK_NETWORK: url, TALLYSTICK_API_KEY: ready.apiKey };
  const cwd = join(place.path, "models"); // Not where the data folder says which key is the log's.
  const tally = async (...args: string[]) => {
    const ran = await runTally([...args, "--json", "--vkey", ready.logVkey], cwd, env);
    expect(ran).toMatchObject({ status: 0, stderr: "" });
    return JSON.parse(ran.stdout);
  };
  const { receiptId, outcome } = await tally("infer", SMALL_MODEL, "--example");
  expect(outcome).toBe("verified");
  expect(await tally("verify", receiptId)).toMatchObject({ outcome: "verified", receiptId });
  expect(await tally("audit", url)).toMatchObject({ findings: [], differences: [] });
});

test("whoever does not trust the certificate is told so, and a call in clear gets no answer", async () => {
  const ran = await runTally(["models", "--network", ready.url], join(place.path, "models"));
  expect(ran).toMatchObject({
    status: 5,
    stdout: "",
    stderr: expect.stringMatching(
      /^tally: https:.* shows a certificate that is not trusted here \([A-Z_]+\): .*NODE_EXTRA_CA_CERTS\n$/,
    ),
  });
  await expect(fetch(`${ready.url.replace("https", "http")}/v2/health/live`)).rejects.toThrow();
});

test("a network on https ends with status 0 on SIGTERM, also with a connection kept alive", async () => {
  const agent = new Agent({ keepAlive: true, ca: await readFile(TRUSTING.NODE_EXTRA_CA_CERTS) });
  const [answer] = await once(get(`${ready.url}/v2/health/ready`, { agent }), "response");
  answer.resume();
  await once(answer, "end");
  expect(answer.statusCode).toBe(200);
  expect(await daemon.stop("SIGTERM")).toEqual({ code: 0, signal: null, stderr: "" });
  agent.destroy();
});
