/** What is stated of answers through the SDK, of a whole network: by whom it is taken in, and what the log then says. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Client, createClient, createKey, openKey, systemEdges } from "@tallystick/client";
import {
  applyEntry,
  createFold,
  type FoldState,
  hex,
  keyId,
  keyOf,
  parseEntry,
  parseHex,
  type Signer,
  signEntry,
  utf8,
} from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Context } from "../../packages/client/src/cli/context.ts";
import { openHome } from "../../packages/client/src/cli/home.ts";
import { rely } from "../../packages/client/src/cli/rely.ts";
import { affiliate, disputeLabel, resolve, reverse } from "../../packages/client/src/cli/statements.ts";
import { documentedFields } from "../e2e/reference.ts";
import { temporaryFolder } from "../folder.ts";
import { creditInput, startNetwork, type TestNetwork, tensorOf } from "../network.ts";
import { entriesAt } from "../server/entries.ts";
import { submit } from "../server/requester.ts";

const CREDIT = "statlog/credit-default";
const texts = new Map<string, string[]>();
let network: TestNetwork;
let client: Client;
beforeAll(async () => {
  const resolveTexts = async (name: string) => {
    if (name.includes("offline")) throw new Error("no resolver answers");
    return texts.get(name) ?? [];
  };
  network = await startNetwork({ resolveTexts, verifying: { cpuShare: 0.01 } });
  client = createClient({ url: network.url, apiKey: network.apiKey, trust: network.trust, app: "example/shop" });
});
afterAll(async () => {
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
  expect(network.reported).toEqual([]);
  await network[Symbol.asyncDispose]();
});

async function ask(decision?: Uint8Array): Promise<string> {
  const model = await client.model(CREDIT);
  const terms = decision === undefined ? {} : { decision };
  const { receiptId } = await client.infer(model, [tensorOf(creditInput())], terms);
  await network.idle();
  return receiptId;
}

async function folded(): Promise<FoldState> {
  await network.idle();
  const fold = createFold();
  for (const bytes of await entriesAt(network.url)) applyEntry(fold, parseEntry(bytes));
  return fold;
}

async function operatorKey(role: string): Promise<Signer> {
  const pem = await readFile(join(network.data, "keys", `${role}.pem`), "utf8");
  return openKey(Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64"));
}

const idOf = ({ spki }: Signer) => hex(keyId(spki));
const key = (id: string) => keyOf(parseHex(id) ?? new Uint8Array(0));

test("a relier says what for and how much is at stake, takes it back once, and not what another relies on", async () => {
  const [{ signer }, { signer: other }] = [await createKey(), await createKey()];
  const decision = new Uint8Array(16).fill(7);
  const [first, second] = [await ask(decision), await ask(decision)];
  const relied = await client.rely(first, signer, "bank", { purpose: "credit", valueBucket: 33 });
  await client.rely(first, other, "fund");
  expect(await client.rely(second, signer, "bank")).toEqual({ index: relied.index, alreadyLogged: true });
  await expect(client.reverse(first, (await createKey()).signer)).rejects.toMatchObject({ code: "forbidden" });
  const reversed = await client.reverse(second, signer);
  expect(await client.reverse(first, signer)).toEqual({ index: reversed.index, alreadyLogged: true });
  await expect(client.rely(first, signer, "bank")).rejects.toMatchObject({ code: "conflict" });
  const statements = [...(await folded()).demand.relied.values()].flat();
  expect(statements.map(({ purpose, valueBucket, reversedAt }) => ({ purpose, valueBucket, reversedAt }))).toEqual([
    { purpose: "credit", valueBucket: 33, reversedAt: reversed.index },
    { purpose: undefined, valueBucket: undefined, reversedAt: undefined },
  ]);
});

test("a reversal of what was not relied on is refused, and so is a reliance that says a contract stands behind it", async () => {
  const { signer } = await createKey();
  const [receipt, another] = [await ask(), await ask()];
  await client.rely(receipt, signer, "bank");
  await expect(client.reverse(another, signer)).rejects.toMatchObject({ code: "conflict" });
  await expect(client.reverse("00".repeat(32), signer)).rejects.toMatchObject({ code: "not_found" });
  for (const one of ["settled", "consumed", "staked", "tested"] as const) {
    const says = { version: 1, receipt: parseHex(another) ?? new Uint8Array(0), class: one } as const;
    expect(await submit(network, (await signEntry(signer, "reliance", says)).signed.bytes)).toMatchObject({
      status: 403,
      error: { message: expect.stringMatching(/no contract of this log exists yet/) },
    });
  }
});

test("a relier enrols under a domain where DNS says that its key is the domain's, and is told what to set where not", async () => {
  const { signer } = await createKey();
  const receipt = await ask();
  const domain = "risk.bank.example";
  const rely = () => client.rely(receipt, signer, "bank", { domain });
  await expect(rely()).rejects.toMatchObject({
    code: "forbidden",
    message: expect.stringContaining(`_tallystick.${domain}`),
  });
  texts.set(`_tallystick.${domain}`, ["v=spf1 -all", `tallystick-key=${idOf((await createKey()).signer)}`]);
  await expect(rely()).rejects.toMatchObject({ message: expect.stringContaining(`tallystick-key=${idOf(signer)}`) });
  texts.set(`_tallystick.${domain}`, ["v=spf1 -all", `tallystick-key=${idOf(signer)}`]);
  await rely();
  expect((await folded()).keys.get(key(idOf(signer)))?.domain).toBe(domain);
  const offline = client.rely(receipt, (await createKey()).signer, "bank", { domain: "offline.example" });
  await expect(offline).rejects.toMatchObject({ code: "unavailable" });
  const { signer: disputer } = await createKey();
  const says = { version: 1, action: "enrol", role: "disputer", spki: disputer.spki, name: "d", domain } as const;
  const refused = await submit(network, (await signEntry(disputer, "key", says)).signed.bytes);
  expect(refused).toMatchObject({ status: 403 });
});

test("the network's own roles name one another from the start, and no stranger; a stranger who names them is not named", async () => {
  const { demand, keys } = await folded();
  const ids = await Promise.all(["log", "gateway", "node", "publisher", "verifier", "referee"].map(operatorKey));
  const own = ids.map((signer) => key(idOf(signer)));
  for (const id of own) {
    expect(keys.get(id)).toBeDefined();
    expect([...(demand.affiliations.get(id) ?? [])].sort()).toEqual(own.filter((other) => other !== id).sort());
  }
  const { signer } = await createKey();
  await client.rely(await ask(), signer, "bank");
  const node = await operatorKey("node");
  await client.affiliate([idOf(node)], signer);
  await client.affiliate([idOf(signer)]);
  await expect(client.affiliate([idOf(node)], signer)).rejects.toMatchObject({ code: "conflict" });
  await expect(client.affiliate([idOf(node)], (await createKey()).signer)).rejects.toMatchObject({ code: "forbidden" });
  const { affiliations } = (await folded()).demand;
  expect(affiliations.get(key(idOf(signer)))).toEqual(new Set([key(idOf(node))]));
  expect(affiliations.get(key(idOf(node)))?.has(key(idOf(signer)))).toBe(false);
  const bySession = [...affiliations].filter(([, named]) => named.has(key(idOf(signer))));
  const [session] = bySession.map(([signed]) => signed);
  expect([...(await folded()).sessions.values()].map(({ sessionKeyId }) => sessionKeyId)).toContain(session);
});

test("a label is disputed by a disputer or the model's publisher, and what a referee upholds is overruled", async () => {
  const receipt = await ask();
  const evidence = utf8("these payers are three banks");
  const { signer } = await createKey();
  await client.disputeLabel(receipt, evidence, signer, "disputer");
  await client.disputeLabel(receipt, evidence, await operatorKey("publisher"), "publisher");
  await expect(client.disputeLabel(receipt, evidence, signer, "disputer")).rejects.toMatchObject({ code: "conflict" });
  await expect(client.disputeLabel(receipt, evidence, await operatorKey("gateway"), "gateway")).rejects.toMatchObject({
    code: "forbidden",
  });
  const before = await folded();
  expect(before.demand.overruled.size).toBe(0);
  const [dispute] = before.demand.labelDisputes.keys();
  const id = Uint8Array.from(dispute ?? "", (unit) => unit.charCodeAt(0));
  const says = { version: 1, dispute: id, outcome: "upheld", evidence: new Uint8Array(32) } as const;
  const resolved = await signEntry(await operatorKey("referee"), "resolution", says);
  expect(await submit(network, resolved.signed.bytes)).toMatchObject({ status: 200 });
  expect(await submit(network, resolved.signed.bytes)).toMatchObject({ status: 409 });
  const { demand, proofs } = await folded();
  expect([...demand.overruled]).toEqual([key(receipt)]);
  expect(proofs.disputes.size).toBe(0);
});

test("what the SDK states, tally states: a reversal, an affiliation, a label's dispute and what came of it", async () => {
  await using place = await temporaryFolder();
  const run = async (command: (context: Context) => Promise<number>) => {
    const [out, err]: [string[], string[]] = [[], []];
    const terminal = {
      out: (text: string) => void out.push(text),
      err: (text: string) => void err.push(text),
      isTty: false,
    };
    const env = { TALLYSTICK_HOME: join(place.path, "home") };
    const exit = await command({ terminal, home: openHome(env), edges: systemEdges, env });
    return { exit, ...JSON.parse(out.join("")) };
  };
  const options = { network: network.url, vkey: network.logVkey, json: true };
  const what = await ask();
  const stakes = { purpose: "trading", atStake: "1000000" };
  const relied = await run((context) => rely({ ...options, what, ...stakes }, context));
  const reversed = await run((context) => reverse({ ...options, what }, context));
  expect(reversed).toEqual({ exit: 0, receiptId: what, index: expect.any(Number), alreadyLogged: false });
  const keyFile = (role: string) => join(network.data, "keys", `${role}.pem`);
  const others = { ...options, keyIds: ["ab".repeat(32), "ff".repeat(32)], key: keyFile("publisher") };
  const affiliated = await run((context) => affiliate(others, context));
  expect(affiliated).toMatchObject({ exit: 0, key: idOf(await operatorKey("publisher")) });
  const evidence = join(place.path, "why.txt");
  await writeFile(evidence, "three banks");
  const disputed = await run((context) => disputeLabel({ ...options, what, evidence }, context));
  const decided = { ...options, dispute: String(disputed.id), outcome: "upheld", evidence, key: keyFile("referee") };
  expect(await run((context) => resolve(decided, context))).toMatchObject({ exit: 0, outcome: "upheld" });
  for (const [command, printed] of Object.entries({ reverse: reversed, affiliate: affiliated }))
    expect(await documentedFields(command)).toEqual(Object.keys(printed).filter((field) => field !== "exit"));
  const { demand } = await folded();
  const [said] = [...demand.relied.values()].flat().filter(({ receipt }) => receipt === key(what));
  expect(said).toMatchObject({ index: relied.index, purpose: "trading", valueBucket: 19, reversedAt: reversed.index });
  expect(demand.overruled.has(key(what))).toBe(true);
  const wrong = run((context) => rely({ ...options, what, purpose: "gambling" }, context));
  await expect(wrong).rejects.toThrow("--purpose is one of other, credit");
});

test("a session is granted to the app that its requester names, and to none where it names none", async () => {
  const receipt = await ask();
  const plain = createClient({ url: network.url, apiKey: network.apiKey, trust: network.trust });
  const { receiptId } = await plain.infer(await plain.model(CREDIT), [tensorOf(creditInput())]);
  const fold = await folded();
  const appOf = (id: string) => fold.sessions.get(fold.receipts.get(key(id))?.session ?? "")?.app;
  expect([appOf(receipt), appOf(receiptId)]).toEqual(["example/shop", undefined]);
  const bad = createClient({ url: network.url, apiKey: network.apiKey, trust: network.trust, app: "Example Shop" });
  await expect(bad.infer(await bad.model(CREDIT), [tensorOf(creditInput())])).rejects.toThrow();
});

test("an API key's calls are under the app that it was made for; what a call says of itself stays in the gateway", async () => {
  const { accounts } = (await (await network.operate("GET", "/v1/accounts")).json()) as {
    accounts: { payerTag: string }[];
  };
  const make = async (terms: object) => {
    const answer = await network.operate("POST", `/v1/keys?account=${accounts[0]?.payerTag}`, { name: "k", ...terms });
    return { status: answer.status, ...((await answer.json()) as { apiKey: string }) };
  };
  expect(await make({ app: "Not a name" })).toMatchObject({ status: 400 });
  const call = async (apiKey: string) => {
    const headers = { authorization: `Bearer ${apiKey}`, "content-type": "application/json", "x-title": "shop" };
    const body = JSON.stringify({ inputs: [creditInput()] });
    const answer = await network.fetch(`/v2/models/${CREDIT}/infer`, { method: "POST", headers, body });
    return answer.headers.get("x-receipt-id") ?? "";
  };
  const [of, none] = [await make({ app: "shop" }), await make({})];
  const receipts = [await call(of.apiKey), await call(none.apiKey), await call(of.apiKey)];
  const fold = await folded();
  const sessions = receipts.map((id) => fold.sessions.get(fold.receipts.get(key(id))?.session ?? ""));
  expect(sessions.map((session) => session?.app)).toEqual(["shop", undefined, "shop"]);
  expect(sessions[0]).toBe(sessions[2]);
});
