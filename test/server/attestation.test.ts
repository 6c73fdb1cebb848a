/** A node elsewhere that shows what its machine runs: simulated here, from the nonce to the entry in the log. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  appraise,
  bindingOf,
  hex,
  keyId,
  measurementOf,
  parseEntry,
  parseEvidence,
  parseHex,
  type Signer,
  sha256,
  signEntry,
} from "@tallystick/protocol";
import { expect, test } from "vitest";
import { commandSource, type EvidenceSource, simulatedSource } from "../../packages/server/src/attestation/sources.ts";
import { systemClock } from "../../packages/server/src/platform/clock.ts";
import { signRequest } from "../../packages/server/src/platform/http-signature.ts";
import { openSigner } from "../../packages/server/src/platform/keys.ts";
import { approveReference } from "../../packages/server/src/reference-main.ts";
import { fixedSigner } from "../fixed-keys.ts";
import { creditInput, startNetwork, type TestNetwork } from "../network.ts";
import { startNode, type TestNode, tokenFile } from "../node.ts";
import { entriesAt } from "./entries.ts";
import { submit } from "./requester.ts";

const root = fixedSigner("simulated root");
const simulatedRoot = sha256(root.spki);
const simulated = simulatedSource(root, systemClock);

async function attesting(source: EvidenceSource, tlsKey?: Uint8Array) {
  const nodeTokenPath = await tokenFile();
  const network = await startNetwork({ nodeTokenPath, workerCount: 0, simulatedRoot });
  const node = await startNode(network, nodeTokenPath, { attestation: { source, ...(tlsKey && { tlsKey }) } });
  await network.idle();
  return { network, node, nodeTokenPath };
}

const saidOf = ({ reported }: TestNode, event: string) => reported.find((one) => one.event.includes(event))?.detail;

async function appraisalsOf(network: TestNetwork) {
  const entries = (await entriesAt(network.url)).map(parseEntry);
  return entries.flatMap((entry) => (entry.kind === "appraisal" ? [entry] : []));
}

test("a node's evidence comes in bound to its keys, is appraised and logged, and anybody appraises it again later", async () => {
  const tlsKey = new Uint8Array(32).fill(9);
  const { network, node } = await attesting(simulated, tlsKey);
  await using _network = network;
  await using _node = node;
  const [appraisal, ...others] = await appraisalsOf(network);
  expect(others).toEqual([]);
  expect(appraisal?.says).toMatchObject({ technology: "simulated", outcome: "passed", root: simulatedRoot });
  expect(hex(appraisal?.says.key ?? new Uint8Array(0))).toBe(node.id);
  const digest = hex(appraisal?.says.evidence ?? new Uint8Array(0));
  expect(saidOf(node, "was accepted")).toMatchObject({ technology: "simulated", evidence: digest });

  const answer = await network.fetch(`/v1/attestations/${digest}`);
  expect(answer.headers.get("content-type")).toBe("application/cbor");
  const archived = new Uint8Array(await answer.arrayBuffer());
  expect(hex(sha256(archived))).toBe(digest);
  const { binding } = parseEvidence(archived);
  expect(binding).toMatchObject({ key: parseHex(node.id), tlsKey });
  if (binding === undefined) throw new Error("archived with what it binds");
  const again = await appraise(archived, {
    nowSeconds: appraisal?.says.appraised ?? 0,
    expected: { reportData: bindingOf(binding) },
    simulatedRoot,
  });
  expect(again.outcome).toBe("passed");
});

test("a node whose evidence fails, or that has none, serves on, and its operator is told why", async () => {
  const other = simulatedSource(fixedSigner("another root"), systemClock);
  const failing = await attesting(other);
  await using _network = failing.network;
  await using _node = failing.node;
  expect(saidOf(failing.node, "was not accepted")).toMatchObject({ technology: "simulated" });
  expect((await appraisalsOf(failing.network)).map(({ says }) => says.outcome)).toEqual(["failed"]);

  const none = await attesting(commandSource("/nowhere/evidence"));
  await using _network2 = none.network;
  await using _node2 = none.node;
  expect(JSON.stringify(saidOf(none.node, "could not attest"))).toContain("/nowhere/evidence gave no evidence");
  expect(await appraisalsOf(none.network)).toEqual([]);
  const listed = (await (await none.network.fetch("/v1/nodes")).json()) as { nodes: { health: string }[] };
  expect(listed.nodes.map(({ health }) => health)).toEqual(["healthy"]);
});

test("only a registered node that has the operator's token gets a nonce", async () => {
  const nodeTokenPath = await tokenFile();
  await using network = await startNetwork({ nodeTokenPath, workerCount: 0 });
  const token = (await readFile(nodeTokenPath, "utf8")).trim();
  const { gateway } = (await (await network.fetch("/v1/network")).json()) as { gateway: string };
  const path = "/v1/nodes/attestation/challenge";
  const ask = async (signer: Signer, authorization: string) => {
    const body = new Uint8Array(0);
    const asked = {
      method: "POST",
      path,
      body,
      to: Buffer.from(gateway, "base64"),
      nowSeconds: Math.floor(Date.now() / 1000),
    };
    const headers = { ...(await signRequest(signer, asked)), authorization };
    return (await network.fetch(path, { method: "POST", headers, body })).status;
  };
  const stranger = fixedSigner("stranger");
  expect(await ask(stranger, `Bearer ${token}`)).toBe(401);
  expect(await ask(stranger, "Bearer wrong")).toBe(403);
  expect((await network.fetch("/v1/attestations/00")).status).toBe(400);
  expect((await network.fetch(`/v1/attestations/${"00".repeat(32)}`)).status).toBe(404);
});

test("a node is offered as attested once the log says so, and as nothing at all once its key is revoked", async () => {
  const { network, node } = await attesting(simulated);
  await using _network = network;
  await using _node = node;
  const listed = async () => {
    await network.idle();
    const answer = await network.fetch("/v1/nodes");
    return ((await answer.json()) as { nodes: { health: string; tiers: string[]; tls: string }[] }).nodes;
  };
  // What is simulated never counts.
  expect(await listed()).toMatchObject([{ tiers: ["signed", "reexecuted"], tls: "none", health: "healthy" }]);
  const [verifier, publisher, log] = await Promise.all(
    ["verifier", "publisher", "log"].map((name) => openSigner(join(network.data, "keys", `${name}.pem`))),
  );
  if (verifier === undefined || publisher === undefined || log === undefined) throw new Error("the network has keys");
  const [measurement, vendor] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const now = Math.floor(Date.now() / 1000);
  const key = parseHex(node.id) ?? new Uint8Array(0);
  const says = { version: 1, key, technology: "nitro", outcome: "passed", evidence: vendor, root: vendor } as const;
  const appraisal = await signEntry(verifier, "appraisal", {
    ...says,
    measurement,
    appraised: now,
    expiry: now + 3_600,
  });
  expect(await submit(network, appraisal.signed.bytes)).toMatchObject({ status: 200 });
  const tokenPath = join(network.data, "keys", "admin-token");
  const admin = { authorization: `Bearer ${(await readFile(tokenPath, "utf8")).trim()}` };
  const approved = { action: "approve", technology: "nitro", measurement: hex(measurement), release: "v1" };
  const headers = { ...admin, "content-type": "application/json" };
  expect(
    (await network.fetch("/v1/references", { method: "POST", headers, body: JSON.stringify(approved) })).status,
  ).toBe(201);
  expect(await listed()).toMatchObject([{ tiers: ["signed", "reexecuted", "attested"], health: "healthy" }]);
  const revocation = { version: 1, kind: "key", root: key, reason: "compromised" } as const;
  const body = (await signEntry(log, "revocation", revocation)).signed.bytes as Uint8Array<ArrayBuffer>;
  expect((await network.fetch("/v1/revocations", { method: "POST", headers: admin, body })).status).toBe(200);
  await network.closeEpoch();
  expect(await listed()).toMatchObject([{ tiers: ["signed", "reexecuted"], health: "revoked" }]);
  expect(await network.infer("statlog/credit-default", [creditInput()])).toMatchObject({ status: 503 });
});

test("a stranger appraises nobody: the log takes appraisals from verifiers alone", async () => {
  await using network = await startNetwork();
  const says = {
    version: 1,
    key: keyId(root.spki),
    technology: "nitro",
    outcome: "passed",
    appraised: 1,
    expiry: 2,
  } as const;
  const nothing = new Uint8Array(32);
  const entry = await signEntry(root, "appraisal", { ...says, evidence: nothing, measurement: nothing, root: nothing });
  const answer = await network.fetch("/v1/entries", {
    method: "POST",
    body: entry.signed.bytes as Uint8Array<ArrayBuffer>,
  });
  expect(answer.status).toBeGreaterThanOrEqual(400);
});

test("the operator has the publisher approve a measurement, and withdraw it; nobody else does, and nothing simulated", async () => {
  await using network = await startNetwork();
  const tokenPath = join(network.data, "keys", "admin-token");
  const asked = [
    "tdx",
    "v1.0.0",
    "--register",
    `0=${"ab".repeat(48)}`,
    "--network",
    network.url,
    "--token-file",
    tokenPath,
  ];
  for (const action of ["approve", "withdraw"]) await approveReference([action, ...asked], () => {});
  await network.idle();
  const entries = (await entriesAt(network.url)).map(parseEntry);
  const references = entries.flatMap((entry) => (entry.kind === "reference" ? [entry.says] : []));
  const measurement = measurementOf(new Map([[0, new Uint8Array(48).fill(0xab)]]));
  expect(references).toEqual(
    ["approve", "withdraw"].map((action) => ({
      version: 1,
      action,
      technology: "tdx",
      measurement,
      release: "v1.0.0",
    })),
  );
  const body = { action: "approve", technology: "tdx", measurement: hex(measurement), release: "v1" };
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  expect((await network.fetch("/v1/references", init)).status).toBe(403);
  expect((await network.operate("POST", "/v1/references", { ...body, technology: "simulated" })).status).toBe(400);
});
