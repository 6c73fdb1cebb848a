import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEntry, parseReceiptFile } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventsOf, sendStream, startUpstream } from "../mock-upstream.ts";
import { startNetwork, type TestNetwork } from "../network.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "relay-"));
});
afterAll(() => rm(folder, { recursive: true }));

const MODEL = {
  name: "acme/chat",
  version: "1",
  upstreamModel: "Their-Model-7B-Instruct",
  operations: ["chat", "response"],
  contextLength: 8_192,
  licence: "Apache-2.0",
  summary: "A model elsewhere.",
  price: "10",
  unitPrice: "150000",
};

async function writeUpstreams(models: object[], url = "http://127.0.0.1:9/v1"): Promise<string> {
  const path = join(folder, "upstreams.json");
  await writeFile(join(folder, "acme.key"), "sk-secret-of-the-operator\n", { mode: 0o600 });
  const upstream = { name: "acme", url, allowHttp: true, apiKeyFile: "acme.key", models };
  await writeFile(path, JSON.stringify([upstream]));
  return path;
}

test("relayed models are published once, with who runs them and what they cost, and their log holds", async () => {
  const upstreamsPath = await writeUpstreams([MODEL]);
  await using network = await startNetwork({ upstreamsPath });
  const listed = await (await network.fetch("/v1/models/acme/chat")).json();
  expect(listed).toMatchObject({
    id: "acme/chat",
    tallystick: { version: "1", unit: "token", price: "10" },
    manifest: { engine: "relay", upstream: "acme", operations: ["chat", "response"], artifacts: [] },
  });
  await network.idle();
  const size = Number((await (await network.fetch("/checkpoint")).text()).split("\n")[1]);
  await network.restart();
  await network.idle();
  expect(Number((await (await network.fetch("/checkpoint")).text()).split("\n")[1])).toBe(size);
  expect(await network.audit()).toMatchObject({ findings: [] });
});

test("neither the key nor what the upstream calls its model is anywhere in the data folder", async () => {
  const upstreamsPath = await writeUpstreams([MODEL]);
  await using network = await startNetwork({ upstreamsPath });
  await network.idle();
  const files = (await readdir(network.data, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  );
  expect(files.length).toBeGreaterThan(5);
  for (const file of files) {
    const content = await readFile(join(file.parentPath, file.name), "latin1");
    expect(/sk-secret|Their-Model-7B/.test(content), file.name).toBe(false);
  }
  expect(JSON.stringify(network.reported)).not.toMatch(/sk-secret|Their-Model-7B/);
});

test("a relayed model that is yanked is withdrawn, and its price cannot be changed", async () => {
  const upstreamsPath = await writeUpstreams([MODEL]);
  await using network = await startNetwork({ upstreamsPath });
  await expect(network.restart(() => writeUpstreams([{ ...MODEL, unitPrice: "1" }]))).rejects.toThrow(
    /under another version/,
  );
  await network.restart(() => writeUpstreams([{ ...MODEL, yanked: true }]));
  expect((await network.fetch("/v1/models/acme/chat")).status).toBe(410);
});

const HEAD = { id: "chatcmpl-of-theirs", created: 1_763_800_000, model: MODEL.upstreamModel };
const chunk = (content: string, finish_reason: string | null = null) => ({
  ...HEAD,
  choices: [{ index: 0, delta: { content }, finish_reason }],
});
const COUNTED = { ...HEAD, choices: [], usage: { prompt_tokens: 1_000, completion_tokens: 2, total_tokens: 1_002 } };

const TOPPED_UP = 1_000_000n;

async function chat(
  network: TestNetwork,
): Promise<{ status: number; body: unknown; receipt: ReturnType<typeof parseEntry> }> {
  await network.topUp(TOPPED_UP);
  const headers = { authorization: `Bearer ${network.apiKey}`, "content-type": "application/json" };
  const body = JSON.stringify({ model: MODEL.name, messages: [{ role: "user", content: "hello?" }] });
  const answer = await network.fetch("/v1/chat/completions", { method: "POST", headers, body });
  const file = await network.fetch(`/v1/receipts/${answer.headers.get("x-receipt-id")}`);
  const { parts } = parseReceiptFile(new Uint8Array(await file.arrayBuffer()));
  return { status: answer.status, body: await answer.json(), receipt: parseEntry(parts.receipt.bytes) };
}

test("a relayed answer has a receipt that names the upstream, and commits to what it said of itself", async () => {
  const good = eventsOf(chunk("hello"), chunk(" there", "stop"), COUNTED);
  await using upstream = await startUpstream((response) => sendStream(response, good));
  await using network = await startNetwork({ upstreamsPath: await writeUpstreams([MODEL], upstream.url) });
  const { status, body, receipt } = await chat(network);
  expect(status).toBe(200);
  expect(body).toMatchObject({
    choices: [{ message: { content: "hello there" }, finish_reason: "stop" }],
    usage: { prompt_tokens: 1_000, completion_tokens: 2 },
  });
  expect(receipt).toMatchObject({
    kind: "receipt",
    says: { status: "ok", provenance: "relayed", upstream: { name: "acme" }, price: 160n },
  });
  // The caller is given what the commitments are to; the log has the commitments alone.
  const upstreamSays = { model: MODEL.upstreamModel, response_id: HEAD.id };
  expect(body).toMatchObject({ receipt: { upstream: upstreamSays, evidence: { attempts: [{ at: "acme" }] } } });
  expect(Buffer.from(receipt.signed.bytes).toString("latin1")).not.toMatch(/Their-Model|chatcmpl-of-theirs/);
});

test.each<[string, string]>([
  ["cut off", eventsOf(chunk("hello"))],
  ["without usage", eventsOf(chunk("hello", "stop"))],
  ["that ends in an error", eventsOf(chunk("hello"), { error: { message: "out of memory" } })],
])("a relayed answer %s costs nothing, and has its receipt", async (_, events) => {
  await using upstream = await startUpstream((response) => sendStream(response, events));
  await using network = await startNetwork({ upstreamsPath: await writeUpstreams([MODEL], upstream.url) });
  const { status, receipt } = await chat(network);
  expect(status).toBe(502);
  expect(receipt).toMatchObject({ says: { status: "failed", provenance: "relayed", price: 0n, units: 0 } });
  const balance = await network.fetch("/v1/balance", { headers: { authorization: `Bearer ${network.apiKey}` } });
  expect(await balance.json()).toMatchObject({ spent: "0", available: String(TOPPED_UP) });
});
