/** `tally verify` where a log and a proof are at hand: every tier with who vouches for it, by nobody's word but the log's. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient, openKey, systemEdges } from "@tallystick/client";
import { type EntryKind, hex, keyId, parseHex, type Signer, signEntry, type Tensor } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openHome } from "../../packages/client/src/cli/home.ts";
import { exportLog } from "../../packages/client/src/cli/log.ts";
import { rely } from "../../packages/client/src/cli/rely.ts";
import { type VerifyArguments, verify } from "../../packages/client/src/cli/verify.ts";
import { temporaryFolder } from "../folder.ts";
import { creditInput, startNetwork, type TestNetwork, tensorOf } from "../network.ts";
import { submit } from "../server/requester.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const CREDIT = "statlog/credit-default";
const digest = (byte: number) => new Uint8Array(32).fill(byte);
const [VENDOR, JUDGE, RELEASE] = [digest(0xa1), digest(0xa3), digest(0xa4)];

let place: Awaited<ReturnType<typeof temporaryFolder>>;
let network: TestNetwork;
/** A receipt that a verifier ran again, and one that it found wrong, each in a file with its opening. */
let good: string;
let bad: string;

beforeAll(async () => {
  place = await temporaryFolder();
  network = await startNetwork({ verifying: { cpuShare: 1 } });
  const appraised = Math.floor(Date.now() / 1_000);
  await say("appraisal", {
    ...{ version: 1, key: keyId((await keyOf("node")).spki), technology: "nitro", outcome: "passed" },
    ...{ evidence: digest(1), measurement: RELEASE, root: VENDOR, appraised, expiry: appraised + 86_400 },
  });
  const reference = { action: "approve", technology: "nitro", measurement: hex(RELEASE), release: "v1" };
  expect((await network.operate("POST", "/v1/references", reference)).status).toBe(201);
  [good, bad] = [await ask("good", 1), await ask("bad", 2)];
  const profile = { runtime: "onnxruntime", binary: JUDGE, exactness: "exact" } as const;
  const says = { version: 1, method: "reexecution", evidence: digest(2), cost: 1, profile } as const;
  await say("verification", { ...says, receipt: idOf(good), outcome: "passed" });
  await say("verification", { ...says, receipt: idOf(bad), outcome: "failed" });
  await network.closeEpoch();
});
afterAll(async () => {
  await network[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

async function keyOf(role: string): Promise<Signer> {
  const pem = await readFile(join(network.data, "keys", `${role}.pem`), "utf8");
  return openKey(Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64"));
}

async function say<K extends EntryKind>(kind: K, says: Parameters<typeof signEntry<K>>[2]): Promise<void> {
  const { signed } = await signEntry(await keyOf("verifier"), kind, says);
  expect(await submit(network, signed.bytes)).toMatchObject({ status: 200 });
}

const files = new Map<string, string>();
const idOf = (receipt: string) => parseHex(receipt) ?? digest(0);
const fileOf = (receipt: string) => files.get(receipt) ?? "";

/** Asks, opened to nobody but who is asked to look, and keeps the receipt's file. */
async function ask(name: string, amount: number): Promise<string> {
  const client = createClient({ url: network.url, apiKey: network.apiKey, trust: network.trust });
  const inputs: Tensor[] = [tensorOf(creditInput(amount))];
  const { receiptId, opening } = await client.infer(await client.model(CREDIT), inputs, { open: "none" });
  await network.idle();
  const path = join(place.path, `${name}.json`);
  await writeFile(path, await client.receiptFile(receiptId, opening));
  files.set(receiptId, path);
  return receiptId;
}

type Line = { name: string; state: string; failure?: string; detail: string };
type Said = { exit: number; text: string; checks: Line[]; outcome?: string; reached?: string; failure?: string };

/** What the command says, in JSON, and its exit status. `isOffline` is a machine that reaches nothing. */
async function run(what: string, args: Partial<VerifyArguments> = {}, isOffline = false): Promise<Said> {
  const out: string[] = [];
  const terminal = { out: (text: string) => void out.push(text), err: () => {}, isTty: false };
  const env = { TALLYSTICK_HOME: join(place.path, "home") };
  const fetch: typeof globalThis.fetch = () => Promise.reject(new TypeError("no network"));
  const edges = isOffline ? { ...systemEdges, fetch } : systemEdges;
  const context = { terminal, home: openHome(env), edges, env };
  const exit = await verify({ what, json: true, vkey: network.logVkey, ...args }, context);
  return { exit, text: out.join(""), ...JSON.parse(out.join("")) };
}

const statesOf = ({ checks }: Said) => Object.fromEntries(checks.map(({ name, state }) => [name, state]));
const find = ({ checks }: Said, name: string) => checks.find((check) => check.name === name);

test("a receipt by its id is looked up in the network's log: every tier, and who says so", async () => {
  const said = await run(good, { network: network.url });
  expect(said).toMatchObject({ exit: 0, outcome: "verified", reached: "reexecuted" });
  expect(statesOf(said)).toMatchObject({
    "in the figures": "passed",
    signed: "passed",
    attested: "passed",
    "hardware evidence": "not_checked",
    reexecuted: "passed",
    check: "passed",
    proved: "not_checked",
  });
  expect(find(said, "check")?.detail).toMatch(/^the verifier ".*", asked to, ran it again, .* by onnxruntime \(exact/);
  expect(find(said, "hardware evidence")?.detail).toContain("is not at hand: no evidence");
});

test("an answer that a verifier found wrong fails, though its receipt holds", async () => {
  const said = await run(bad, { network: network.url });
  expect(said).toMatchObject({ exit: 3, outcome: "failed", failure: "refuted" });
  expect(statesOf(said)).toMatchObject({ "node signature": "passed", signed: "passed", reexecuted: "failed" });
  expect(find(said, "attested")?.detail).toContain("no answer that was found wrong");
});

test("nobody relies on what a verifier found wrong, or on less than they accept, though the receipt holds", async () => {
  const said: string[] = [];
  const terminal = {
    out: (text: string) => void said.push(text),
    err: (text: string) => void said.push(text),
    isTty: false,
  };
  const env = { TALLYSTICK_HOME: join(place.path, "home") };
  const context = { terminal, home: openHome(env), edges: systemEdges, env };
  const relied = (what: string, accept = '{"tier":"signed"}') =>
    rely({ what, accept, network: network.url, vkey: network.logVkey, json: false }, context);
  for (const what of [bad, fileOf(bad)]) expect(await relied(what)).toBe(3);
  expect(said.join("")).toMatch(/reexecuted +.*\n(?:.*\n)*FAILED: refuted/);
  expect(await relied(good, '{"tier":"proved"}')).toBe(3);
  expect(await relied(fileOf(good), '{"tier":"reexecuted"}')).toBe(0);
});

test("a file alone says of each tier what it would take, and with a copy of the log it says all of it offline", async () => {
  const alone = await run(fileOf(good), {}, true);
  expect(alone).toMatchObject({ exit: 0, reached: "signed" });
  for (const tier of ["attested", "reexecuted", "proved"])
    expect(find(alone, tier)).toMatchObject({ state: "not_checked", detail: expect.stringContaining("--network") });
  const out = join(place.path, "copy");
  const terminal = { out: () => {}, err: () => {}, isTty: false };
  const env = { TALLYSTICK_HOME: join(place.path, "home") };
  const context = { terminal, home: openHome(env), edges: systemEdges, env };
  await exportLog({ network: network.url, vkey: network.logVkey, out, json: true }, context);
  expect(await run(fileOf(good), { log: out }, true)).toMatchObject({ exit: 0, reached: "reexecuted" });
  expect(await run(fileOf(bad), { log: out }, true)).toMatchObject({ exit: 3, failure: "refuted" });
  const bundle = join(out, "tile", "entries");
  const [name = ""] = (await readdir(bundle, { recursive: true })).filter((path) => /\d$/.test(path));
  const bytes = await readFile(join(bundle, name));
  await writeFile(join(bundle, name), bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1));
  const changed = await run(fileOf(bad), { log: out }, true);
  expect(find(changed, "reexecuted")).toMatchObject({
    state: "not_checked",
    detail: expect.stringContaining("does not hold"),
  });
});

test("a receipt is held to a policy by the log, and to none that nothing shows to be met", async () => {
  const held = (receipt: string, policy: object, more: Partial<VerifyArguments> = {}) =>
    run(receipt, { network: network.url, accept: JSON.stringify(policy), ...more });
  expect(await held(good, { tier: "reexecuted", provenance: "executed" })).toMatchObject({ exit: 0 });
  const refused = await held(good, { tier: "proved" });
  expect(refused).toMatchObject({ exit: 3, failure: "not_accepted" });
  expect(find(refused, "policy: tier")?.detail).toContain("proved is the least that is accepted");
  expect(await held(good, { tier: "reexecuted", withoutRoots: [`judge:${hex(JUDGE)}`] })).toMatchObject({ exit: 3 });
  expect(await held(good, { tier: "proved", pending: "use" })).toMatchObject({ exit: 4, outcome: "inconclusive" });
  const offline = await run(fileOf(good), { accept: '{"tier":"signed"}' }, true);
  expect(offline).toMatchObject({ exit: 4, outcome: "inconclusive" });
  await expect(held(good, { teir: "proved" })).rejects.toThrow("the acceptance policy has teir, which no policy has");
});
