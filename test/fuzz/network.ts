/** A network with a model that runs here and one that is relayed, every door of it open, and what is needed to knock at each. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@tallystick/client";
import {
  base64,
  encodeEvidence,
  encodeLotOpening,
  encodeSubmission,
  hex,
  keyId,
  parseHex,
  type Signer,
  sha256,
  signEntry,
  utf8,
} from "@tallystick/protocol";
import { simulatedSource } from "../../packages/server/src/attestation/sources.ts";
import { systemClock } from "../../packages/server/src/platform/clock.ts";
import { openSigner } from "../../packages/server/src/platform/keys.ts";
import { fixedSigner } from "../fixed-keys.ts";
import { temporaryFolder } from "../folder.ts";
import { creditInput, startNetwork, type TestNetwork, tensorOf } from "../network.ts";
import { openRequester, submit } from "../server/requester.ts";
import { bodiesOf, type Samples } from "./bodies.ts";
import { startEngine } from "./engine.ts";
import { createFuzzing } from "./random.ts";
import { type FuzzTarget, honestRequest } from "./requests.ts";

export const CREDIT = "statlog/credit-default";
export const CHAT_MODEL = "mock/chat";

export type FuzzedNetwork = AsyncDisposable & { network: TestNetwork; target: FuzzTarget };

export async function startFuzzedNetwork(): Promise<FuzzedNetwork> {
  const folder = await temporaryFolder();
  const engine = await startEngine();
  const [upstreamsPath, nodeTokenPath, verifierTokenPath] = ["upstreams.json", "node-token", "verifier-token"].map(
    (name) => join(folder.path, name),
  ) as [string, string, string];
  await writeFile(upstreamsPath, JSON.stringify([upstreamAt(engine.url)]));
  const root = fixedSigner("simulated root");
  const network = await startNetwork({
    ...{ models: ["credit-default"], upstreamsPath, nodeTokenPath, verifierTokenPath },
    simulatedRoot: sha256(root.spki),
  });
  const signers = { node: fixedSigner("fuzzed node"), verifier: fixedSigner("fuzzed verifier") };
  const { gateway } = (await (await network.fetch("/v1/network")).json()) as { gateway: string };
  const secret = async (path: string) => (await readFile(path, "utf8")).trim();
  const own = (name: string) => openSigner(join(network.data, "keys", `${name}.pem`));
  const samples = await samplesOf(network, signers, root);
  const target: FuzzTarget = {
    routes: network.routes(),
    tokens: {
      api: network.apiKey,
      admin: await secret(join(network.data, "keys", "admin-token")),
      node: await secret(nodeTokenPath),
      verifier: await secret(verifierTokenPath),
    },
    signers,
    ids: { gateway: new Uint8Array(Buffer.from(gateway, "base64")), node: keyId((await own("node")).spki) },
    model: CREDIT,
    parameters: {
      id: [
        samples.receiptId,
        `chatcmpl-${samples.receiptId}`,
        `resp_${samples.receiptId}`,
        hex(keyId(signers.node.spki)),
      ],
      receipt: [samples.receiptId],
      digest: [hex(sha256(utf8("{}"))), `sha256:${"ab".repeat(32)}`],
      index: ["3", "0"],
      size: ["3"],
      name: [CREDIT, CHAT_MODEL],
      path: [CREDIT, `${CREDIT}/infer`, `${CREDIT}/ready`, `${CREDIT}/versions/1.1.0`, "a/load"],
      metric: ["inferences", "revenue_net", "decisions_enforced", "toString"],
      day: ["2026-11-22", "2026-02-30", "open"],
      originHash: [hex(sha256(utf8(network.origin)))],
      "*": ["0/000", "entries/000.p/3", "page.js"],
    },
    bodies: bodiesOf(samples),
  };
  // They come in first, each by its own key, so that what they say later is heard.
  for (const path of ["/v1/nodes/register", "/v1/verifiers/register"]) {
    const { method, headers, body } = await honestRequest(createFuzzing(0), target, path);
    const answer = await network.fetch(path, { method, headers, body: body as Uint8Array<ArrayBuffer> });
    if (!answer.ok) throw new Error(await answer.text());
  }
  await network.idle();
  return {
    network,
    target,
    async [Symbol.asyncDispose]() {
      await network[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

type Signers = { node: Signer; verifier: Signer };

/** Statements that are right but for what they are about. */
async function samplesOf(network: TestNetwork, { node, verifier }: Signers, root: Signer): Promise<Samples> {
  const client = createClient({ url: network.url, apiKey: network.apiKey, trust: network.trust });
  const answer = await client.infer(await client.model(CREDIT), [tensorOf(creditInput())]);
  const { receiptId = "" } = await network.infer(CREDIT, [creditInput()]);
  await network.idle();
  const enrolmentOf = async (signer: Signer, role: "node" | "verifier" | "disputer" | "relier") =>
    (await signEntry(signer, "key", { version: 1, action: "enrol", role, spki: signer.spki, name: `fuzzed-${role}` }))
      .signed.bytes;
  const disputer = fixedSigner("fuzzed disputer");
  await submit(network, await enrolmentOf(disputer, "disputer"));
  await network.idle();
  const disputed = parseHex(answer.receiptId) ?? new Uint8Array(0);
  const { request, response } = answer.opening;
  if (response === undefined) throw new Error("there was an answer");
  const opening = encodeLotOpening({
    ...{ requestSalt: request.salt, call: request.bytes, responseSalt: response.salt, answer: response.bytes },
  });
  const evidence = utf8("{}");
  const verification = await signEntry(verifier, "verification", {
    ...{ version: 1, receipt: disputed, method: "reexecution", outcome: "passed", evidence: sha256(evidence), cost: 1 },
  });
  const dispute = await signEntry(disputer, "dispute", {
    ...{ version: 1, receipt: disputed, ground: "mismatch", evidence: sha256(evidence) },
  });
  const logKey = await openSigner(join(network.data, "keys", "log.pem"));
  const revocation = await signEntry(logKey, "revocation", {
    ...{ version: 1, kind: "vendor", root: new Uint8Array(32).fill(0xab), reason: "superseded" },
  });
  const { accounts } = (await (await network.operate("GET", "/v1/accounts")).json()) as {
    accounts: { payerTag: string }[];
  };
  const requester = await openRequester(network, { model: CREDIT });
  const collected = await simulatedSource(root, systemClock)(new Uint8Array(64));
  return {
    ...{ model: CREDIT, chatModel: CHAT_MODEL, receiptId, account: accounts[0]?.payerTag ?? "" },
    ...{ spki: { node: node.spki, verifier: verifier.spki }, nodeId: hex(keyId(node.spki)) },
    dispatch: await requester.dispatch({ inputs: [tensorOf(creditInput())] }),
    enrolment: {
      node: await enrolmentOf(node, "node"),
      verifier: await enrolmentOf(verifier, "verifier"),
      relier: await enrolmentOf(fixedSigner("fuzzed relier"), "relier"),
    },
    verification: encodeSubmission({ entry: verification.signed.bytes, evidence }),
    dispute: encodeSubmission({ entry: dispute.signed.bytes, evidence, opening }),
    revocation: revocation.signed.bytes,
    evidence: encodeEvidence({ ...collected }),
    checkpoint: await (await network.fetch("/checkpoint")).text(),
    opening: base64(opening),
  };
}

function upstreamAt(url: string) {
  const model = {
    ...{ name: CHAT_MODEL, version: "1", upstreamModel: "mock" },
    operations: ["chat", "completion", "embedding", "response"],
    ...{ contextLength: 4_096, licence: "none", summary: "A mock." },
  };
  return { name: "mock", url: `${url}/v1`, allowHttp: true, concurrency: 256, models: [model] };
}
