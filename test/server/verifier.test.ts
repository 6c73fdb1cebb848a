/** Nodes and verifiers on machines of their own: who lies is caught, who withholds is seen, and no opening goes astray. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { hex, keyId, parseHex, type Signer, signEntry } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { signRequest } from "../../packages/server/src/platform/http-signature.ts";
import { openSigner } from "../../packages/server/src/platform/keys.ts";
import { type Chain, readChains } from "../../packages/server/src/verifier/chain.ts";
import { fixedSigner } from "../fixed-keys.ts";
import { temporaryFolder } from "../folder.ts";
import { openLying } from "../lying-engine.ts";
import { creditInput, startNetwork, type TestNetwork } from "../network.ts";
import { startNode, tokenFile } from "../node.ts";
import { startVerifier } from "../verifier.ts";
import { submit } from "./requester.ts";

const TALLYD = join(import.meta.dirname, "..", "..", "packages", "server", "bin", "tallyd.js");
// A judge is a process, which takes its time to start on a machine that is busy.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

const CREDIT = "statlog/credit-default";

let network: TestNetwork;
let nodeToken: string;
let verifierToken: string;
beforeAll(async () => {
  [nodeToken, verifierToken] = [await tokenFile(), await tokenFile()];
  network = await startNetwork({
    ...{ workerCount: 0, nodeTokenPath: nodeToken, verifierTokenPath: verifierToken },
    // What is not opened at the first try is said to be unopened.
    verifying: { cpuShare: 1, patienceMs: 0, pauseMs: 10 },
  });
  await network.verified();
  await network.closeEpoch();
});
afterAll(() => network[Symbol.asyncDispose]());

type Statement = { kind: string; outcome?: string; by: string; epoch?: number | null };

async function statementsOf(on: TestNetwork, receipt: string | undefined): Promise<Statement[]> {
  const answer = await on.fetch(`/v1/verifications/${receipt}`);
  return ((await answer.json()) as { statements: Statement[] }).statements;
}

const wordsOf = (statements: Statement[]) => statements.map(({ kind, outcome }) => [kind, outcome].join(" ").trim());

async function standingOf(node: string) {
  const usage = (await (await network.fetch("/v1/usage")).json()) as { nodes: { key: string }[] };
  return usage.nodes.find(({ key }) => key === node);
}

async function infer(on: TestNetwork, amount: number): Promise<string> {
  const { receiptId, status } = await on.infer(CREDIT, [creditInput(amount)]);
  expect(status).toBe(200);
  return receiptId ?? "";
}

test("a node whose answers are off by one bit is caught, disputed and found at fault, and its standing says so", async () => {
  await using node = await startNode(network, nodeToken, { openEngine: openLying });
  const receipts = await Promise.all([1, 2, 3].map((amount) => infer(network, amount)));
  await network.closeEpoch();
  await network.verified();
  for (const receipt of receipts) {
    const words = wordsOf(await statementsOf(network, receipt));
    expect(words).toEqual(["dispute", "verification failed", "resolution upheld"].sort(bySaying(words)));
  }
  expect(await standingOf(node.id)).toMatchObject({ checked: 3, failures: 3, disputesUpheld: 3 });
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

/** The referee may be quicker than the verifier's own statement: the dispute comes first in any case. */
const bySaying = (words: string[]) => (a: string, b: string) => words.indexOf(a) - words.indexOf(b);

test("a node that gives no opening is said not to have opened its receipts", async () => {
  await using node = await startNode(network, nodeToken, { openingBytes: 0 });
  const receipt = await infer(network, 4);
  await network.closeEpoch();
  await network.verified();
  expect(wordsOf(await statementsOf(network, receipt))).toEqual(["verification unopened"]);
  expect(await standingOf(node.id)).toMatchObject({ failures: 1, unopened: 1 });
});

/** Asks for an opening through the gateway, signed by `by` for a node. */
async function askOpening(receipt: string, node: string, by: Signer): Promise<number> {
  const path = `/v1/receipts/${receipt}/opening/lot`;
  const [to, body] = [parseHex(node) ?? new Uint8Array(0), new Uint8Array(0)];
  const headers = await signRequest(by, { method: "GET", path, body, to, nowSeconds: Math.floor(Date.now() / 1000) });
  return (await network.fetch(path, { headers })).status;
}

test("no opening goes to a stranger, to a role that is not drawn, or to a referee without a dispute", async () => {
  await using node = await startNode(network, nodeToken, { openingBytes: 1_000_000 });
  const receipt = await infer(network, 5);
  await network.idle();
  const key = (name: string) => openSigner(join(network.data, "keys", `${name}.pem`));
  expect(await askOpening(receipt, node.id, fixedSigner("stranger"))).toBe(401);
  for (const role of ["gateway", "publisher", "log", "verifier", "referee"])
    expect(await askOpening(receipt, node.id, await key(role))).toBe(403);
  expect(await askOpening(receipt, "ab".repeat(32), await key("verifier"))).toBe(400);
  expect((await network.fetch(`/v1/receipts/${receipt}/opening/lot`)).status).toBe(400);
  await network.closeEpoch();
  await network.verified();
  expect(wordsOf(await statementsOf(network, receipt))).toEqual(["verification passed"]);
  await node.stop();
  expect(await askOpening(receipt, node.id, await key("verifier"))).toBe(503);
});

test("a wrong token lets no verifier in, and its key enrols by no other door", async () => {
  await expect(startVerifier(network, verifierToken, { token: "guessed" })).rejects.toThrow(/token/);
  await using closed = await startNetwork({ workerCount: 0 });
  await expect(startVerifier(closed, verifierToken)).rejects.toThrow(/token/);
});

test("a reveal that does not follow, or is for another lot, is refused; a verifier that was away reveals when it is back", async () => {
  await using own = await startNetwork({ verifierTokenPath: verifierToken });
  await using folder = await temporaryFolder();
  const data = folder.path;
  const away = await startVerifier(own, verifierToken, { data });
  await until(() => isKnown(own, away.id));
  await away.stop();
  await own.closeEpoch();
  const receipt = await infer(own, 20);
  await own.closeEpoch();
  const signer = await openSigner(join(data, "keys", "verifier.pem"));
  const last = (await chainIn(data)).anchor;
  const epoch = (await sizeOfLog(own)) - 1; // What was written last.
  const reveal = async (value: Uint8Array, of: number) => {
    const says = { version: 1, action: "reveal", epoch: of, value } as const;
    return (await submit(own, (await signEntry(signer, "lot", says)).signed.bytes)).status;
  };
  expect(await reveal(new Uint8Array(32), epoch)).toBe(400);
  expect(await reveal(last, epoch)).toBe(400);
  expect(await reveal((await chainIn(data)).before(last) ?? last, epoch - 1)).toBe(409);
  await using back = await startVerifier(own, verifierToken, { data });
  await until(async () => wordsOf(await statementsOf(own, receipt)).length > 0);
  expect(await statementsOf(own, receipt)).toMatchObject([{ outcome: "passed", by: back.id }]);
});

async function chainIn(data: string): Promise<Chain> {
  const [chain] = await readChains(join(data, "chain"));
  if (chain === undefined) throw new Error("there is no chain");
  return chain;
}

async function sizeOfLog(on: TestNetwork): Promise<number> {
  await on.idle();
  return Number((await (await on.fetch("/checkpoint")).text()).split("\n")[1]);
}

/** Whether a verifier's chain is in the log. */
async function isKnown(on: TestNetwork, id: string): Promise<boolean> {
  await on.idle();
  const { verifiers } = (await (await on.fetch("/v1/usage")).json()) as { verifiers: { key: string }[] };
  return verifiers.some(({ key }) => key === id);
}

/** `tallyd verifier` as a process of its own. */
function spawnVerifier(on: TestNetwork, data: string) {
  const line = [TALLYD, "verifier", "--gateway", on.url, "--token-file", verifierToken, "--log-key", on.logVkey];
  const child = spawn(process.execPath, [...line, "--data", data, "--json"], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const gone = once(child, "close");
  const ready = Promise.race([
    once(createInterface({ input: child.stdout }), "line").then(([text]) => JSON.parse(String(text)) as { id: string }),
    gone.then(() => Promise.reject(new Error(`tallyd verifier ended: ${said}`))),
  ]);
  return { child, ready, gone };
}

/** Looks until it is so. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
}

test("a verifier that is a process of its own does its work, and one that is killed before a check does it afterwards", async () => {
  await using own = await startNetwork({ verifierTokenPath: verifierToken });
  await using folder = await temporaryFolder();
  const data = folder.path;
  const first = spawnVerifier(own, data);
  const { id } = await first.ready;
  const usage = async () =>
    (await (await own.fetch("/v1/usage")).json()) as { verifiers: { key: string; waiting: number; passed: number }[] };
  const isSo = async (so: (verifier: { waiting: number; passed: number }) => boolean) => {
    await own.idle();
    const found = (await usage()).verifiers.find(({ key }) => key === id);
    return found !== undefined && so(found);
  };
  await until(() => isSo(() => true)); // It has committed to its chain.
  await own.closeEpoch();
  const receipts = await Promise.all([6, 7].map((amount) => infer(own, amount)));
  await own.closeEpoch();
  await until(() => isSo(({ passed }) => passed === receipts.length));
  for (const receipt of receipts)
    expect(await statementsOf(own, receipt)).toMatchObject([{ outcome: "passed", by: id, epoch: expect.any(Number) }]);
  const more = await Promise.all([8, 9, 10].map((amount) => infer(own, amount)));
  await own.closeEpoch();
  await until(() => isSo(({ waiting, passed }) => waiting > 0 || passed === receipts.length + more.length));
  first.child.kill("SIGKILL");
  await first.gone;
  const second = spawnVerifier(own, data);
  expect((await second.ready).id).toBe(id);
  await until(() => isSo(({ waiting, passed }) => waiting === 0 && passed === receipts.length + more.length));
  for (const receipt of more) expect(wordsOf(await statementsOf(own, receipt))).toEqual(["verification passed"]);
  second.child.kill("SIGTERM");
  expect(await second.gone).toEqual([0, null]);
  expect(await own.audit()).toMatchObject({ findings: [], differences: [] });
});

test("what the lot gave to a verifier of the network's own is checked after a restart", async () => {
  await using own = await startNetwork({ verifying: { cpuShare: 1 } });
  await own.verified();
  await own.closeEpoch();
  const receipts = await Promise.all([11, 12, 13].map((amount) => infer(own, amount)));
  await own.closeEpoch();
  await own.restart(); // Between reveal and check, or in the middle of one.
  await own.verified();
  for (const receipt of receipts) expect(wordsOf(await statementsOf(own, receipt))).toEqual(["verification passed"]);
  const verifier = hex(keyId((await openSigner(join(own.data, "keys", "verifier.pem"))).spki));
  expect((await statementsOf(own, receipts[0]))[0]?.by).toBe(verifier);
});
