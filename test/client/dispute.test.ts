/** `tally dispute`: a node that lied is found at fault, one that did not is not, and what opens nothing is not sent. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient, systemEdges } from "@tallystick/client";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type DisputeArguments, dispute } from "../../packages/client/src/cli/dispute.ts";
import { openHome } from "../../packages/client/src/cli/home.ts";
import { verify } from "../../packages/client/src/cli/verify.ts";
import { documentedFields } from "../e2e/reference.ts";
import { temporaryFolder } from "../folder.ts";
import { openLying } from "../lying-engine.ts";
import { creditInput, startNetwork, type TestNetwork, tensorOf } from "../network.ts";
import { startNode, tokenFile } from "../node.ts";

// A judge is a process, which takes its time to start on a machine that is busy.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 120_000 });

let place: Awaited<ReturnType<typeof temporaryFolder>>;
let network: TestNetwork;
let nodeToken: string;
beforeAll(async () => {
  place = await temporaryFolder();
  nodeToken = await tokenFile();
  // Nothing is drawn: what is found here is found by who disputes it.
  network = await startNetwork({ workerCount: 0, nodeTokenPath: nodeToken, verifying: { cpuShare: 1 } });
});
afterAll(async () => {
  await network[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

/** Its clock stands still, so that the referee is waited for however long a busy machine takes. */
const edges = { ...systemEdges, nowMs: () => 0 };

function contextOf(errors: string[] = [], out: string[] = []) {
  const terminal = {
    out: (text: string) => void out.push(text),
    err: (text: string) => void errors.push(text),
    isTty: false,
  };
  const env = { TALLYSTICK_HOME: join(place.path, "home") };
  return { terminal, home: openHome(env), edges, env };
}

async function run(what: string, more: Partial<DisputeArguments> = {}) {
  const [errors, out]: [string[], string[]] = [[], []];
  const args = { what, network: network.url, vkey: network.logVkey, json: true, ...more };
  const exit = await dispute(args, contextOf(errors, out));
  return { exit, errors: errors.join(""), ...(out[0] === undefined ? {} : JSON.parse(out[0])) };
}

/** A receipt of whichever node is there, in a file with its opening, and in one without. */
async function ask(name: string, amount: number) {
  const client = createClient({ url: network.url, apiKey: network.apiKey, trust: network.trust });
  const model = await client.model("statlog/credit-default");
  const { receiptId, opening } = await client.infer(model, [tensorOf(creditInput(amount))], { open: "none" });
  await network.idle();
  const [opened, closed] = [join(place.path, `${name}.json`), join(place.path, `${name}-closed.json`)];
  await writeFile(opened, await client.receiptFile(receiptId, opening));
  await writeFile(closed, await client.receiptFile(receiptId));
  return { receiptId, opened, closed };
}

test("an answer off by one bit is disputed by whoever has its opening, upheld, and fails from then on", async () => {
  await using _ = await startNode(network, nodeToken, { openEngine: openLying });
  const { receiptId, opened, closed } = await ask("lie", 1);
  await expect(run(closed)).rejects.toThrow("a dispute takes the call and the answer with their salts");
  const other = await ask("another", 2);
  await expect(run(closed, { opening: other.opened })).rejects.toThrow("this does not open the receipt");
  const said = await run(closed, { opening: opened });
  expect(said).toMatchObject({ exit: 0, receiptId, outcome: "upheld" });
  expect(said.errors).toMatch(/made a disputer's key in .*\ndisputed, as entry \d+ of the log\n/);
  const { exit, errors, ...fields } = said;
  expect(Object.keys(fields)).toEqual(await documentedFields("dispute"));
  expect(said.detail).toMatch(
    /^disputed by the disputer "disputer" \(entry \d+\); upheld by the referee ".*" \(entry \d+\)$/,
  );
  const out: string[] = [];
  expect(
    await verify({ what: receiptId, network: network.url, vkey: network.logVkey, json: false }, contextOf([], out)),
  ).toBe(3);
  expect(out.join("")).toMatch(/FAILED +dispute .*upheld by the referee.*FAILED: refuted\. Do not rely/s);
  await expect(run(opened)).rejects.toThrow("this key disputes");
});

test("a dispute of an honest node's answer is rejected", async () => {
  await using _ = await startNode(network, nodeToken);
  const { opened } = await ask("truth", 3);
  expect(await run(opened)).toMatchObject({ exit: 1, outcome: "rejected" });
});
