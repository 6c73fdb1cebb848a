import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyModels } from "../network.ts";
import { type Ready, startDaemon } from "./daemon.ts";
import { changeModel, PRICED } from "./refusals.ts";

let root: string;
let models: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "paying-"));
  models = await copyModels(["breast-cancer"], join(root, "models"));
  await changeModel(models, "breast-cancer", { price: "100" });
});
afterAll(() => rm(root, { recursive: true, force: true }));

const INPUT = { name: "features", datatype: "FP32", shape: [1, 30], data: Array.from({ length: 30 }, () => 1) };

const json = async <T>(answer: Promise<Response>): Promise<T> => (await (await answer).json()) as T;
type Usage = {
  credits: { spent: string; charged: string; balance: string };
  settlementFaults: object;
  exclusions: object;
};

/** Asks by API key; `body` makes it a POST. */
function ask({ url, apiKey }: Ready, path: string, body?: unknown, bearer = apiKey): Promise<Response> {
  const headers = { authorization: `Bearer ${bearer}` };
  return fetch(
    `${url}${path}`,
    body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) },
  );
}

/** One paid call; its status, or 0 where the network was gone. */
async function call(ready: Ready): Promise<number> {
  const body = { inputs: [INPUT], parameters: { max_price: "100" } };
  const answer = await ask(ready, `/v2/models/${PRICED}/infer`, body).catch(() => undefined);
  await answer?.arrayBuffer().catch(() => undefined);
  return answer?.status ?? 0;
}

test("killed in the middle of paid calls, again and again, nothing is spent that the log does not say, and all of it is charged once", async () => {
  const data = join(root, "data");
  let answered = 0;
  for (const round of [0, 1, 2]) {
    await using daemon = startDaemon(data, models, { detached: true });
    const ready = await daemon.ready;
    if (round === 0) {
      const admin = (await readFile(join(data, "keys", "admin-token"), "utf8")).trim();
      const { payerTag: account } = await json<{ payerTag: string }>(ask(ready, "/v1/balance"));
      const topup = { account, amount: "5000", source: "transfer", reference: "ab".repeat(16) };
      expect((await ask(ready, "/v1/settlements/topups", topup, admin)).status).toBe(201);
    }
    let here = 0;
    const lane = async () => {
      for (;;) {
        const status = await call(ready);
        if (status !== 200) return;
        answered++;
        if (++here === 8) process.kill(-(daemon.process.pid ?? 0), "SIGKILL");
      }
    };
    await Promise.all([lane(), lane(), lane(), lane()]);
    expect(await daemon.ended).toMatchObject({ signal: "SIGKILL" });
  }
  await using daemon = startDaemon(data, models);
  const ready = await daemon.ready;
  const before = await json<{ available: string; held: string; spent: string }>(ask(ready, "/v1/balance"));
  expect(Number(before.spent)).toBeGreaterThanOrEqual(100 * answered); // An answer may be lost, its receipt is not.
  expect([before.held, Number(before.available)]).toEqual(["0", 5_000 - Number(before.spent)]);
  const calls = await Promise.all(Array.from({ length: 60 }, () => call(ready)));
  expect(calls.filter((status) => status === 200)).toHaveLength(Number(before.available) / 100);
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
  await using again = startDaemon(data, models);
  const { credits, ...usage } = await json<Usage>(ask(await again.ready, "/v1/usage"));
  expect(credits).toMatchObject({ spent: "5000", charged: "5000", balance: "0" });
  expect(usage).toMatchObject({ settlementFaults: {}, exclusions: {} });
}, 240_000);
