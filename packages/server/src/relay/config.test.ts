import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseManifest, revisionOf } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RELAYED_MODEL } from "../../../../test/relay-fixture.ts";
import { readUpstreams } from "./config.ts";
import { createPackage } from "./package.ts";
import { isPrivateAddress, lookupPrivate } from "./private-address.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "upstreams-"));
  await writeFile(join(folder, "key"), "  sk-the-key \n", { mode: 0o600 });
});
afterAll(() => rm(folder, { recursive: true }));

const { name, version, upstreamModel, operations, contextLength, licence, summary } = RELAYED_MODEL;
const MODEL = { name, version, upstreamModel, operations, contextLength, licence, summary };
const UPSTREAM = { name: "acme", url: "https://acme.example/v1", models: [MODEL] };

async function read(...upstreams: unknown[]) {
  const path = join(folder, "upstreams.json");
  await writeFile(path, JSON.stringify(upstreams));
  return readUpstreams(path);
}

test("an upstream says what it must, and the rest has its usual value", async () => {
  const [upstream] = await read({ ...UPSTREAM, apiKeyFile: "key" });
  expect(upstream).toMatchObject({
    ...{ name: "acme", apiKey: "sk-the-key", stream: true, embeddingFormat: "base64", concurrency: 64 },
    timeouts: { connectMs: 5_000, firstByteMs: 60_000, betweenChunksMs: 30_000, wholeMs: 300_000 },
    models: [{ ...MODEL, price: "0", unitPrice: "0", outputUnitPrice: "0", yanked: false }],
  });
  expect(upstream?.url.href).toBe("https://acme.example/v1");
});

test("the example in docs/operating/upstreams.md is a list of upstreams, and its models can be published", async () => {
  const page = await readFile(join(import.meta.dirname, "../../../../docs/operating/upstreams.md"), "utf8");
  const [, example = ""] = /```json\n([\s\S]*?)```/.exec(page) ?? [];
  const upstreams = await read(...JSON.parse(example));
  expect(upstreams.flatMap(({ name, models }) => models.map((model) => createPackage(name, model))).length).toBe(1);
});

test("a key file that others can read is refused, and so is one that is missing or holds no key", async () => {
  const path = join(folder, "open-key");
  await writeFile(path, "sk-the-key\n");
  await chmod(path, 0o644);
  await expect(read({ ...UPSTREAM, apiKeyFile: "open-key" })).rejects.toThrow(`chmod 600 ${path}`);
  await expect(read({ ...UPSTREAM, apiKeyFile: "no-key" })).rejects.toThrow(/no-key is missing: put the key/);
  for (const content of ["", "two words", "line\nbreak", "schlüssel"]) {
    await writeFile(path, content);
    await chmod(path, 0o600);
    await expect(read({ ...UPSTREAM, apiKeyFile: "open-key" })).rejects.toThrow(/holds no API key/);
  }
});

test.each<[string, object, RegExp]>([
  ["http that was not allowed", { url: "http://127.0.0.1:8000/v1" }, /allowHttp/],
  ["http to a public address", { url: "http://203.0.113.7/v1", allowHttp: true }, /takes TLS/],
  ["http to the metadata service", { url: "http://169.254.169.254/v1", allowHttp: true }, /takes TLS/],
  ["another scheme", { url: "file:///etc/passwd" }, /give https/],
  ["no URL", { url: "acme" }, /give https/],
  ["a key in the URL", { url: "https://u:sk-the-key@acme.example/v1" }, /apiKeyFile/],
  ["a key in the query", { url: "https://acme.example/v1?key=sk-the-key" }, /apiKeyFile/],
  ["a key in the file", { apiKey: "sk-the-key" }, /Unrecognized key: "apiKey"/],
  ["headers", { headers: { authorization: "sk-the-key" } }, /Unrecognized key: "headers"/],
  ["a name with a slash", { name: "acme/eu" }, /lower-case letters/],
  ["no models", { models: [] }, /models/],
  ["a model without a publisher", { models: [{ ...MODEL, name: "chat" }] }, /publisher\/model/],
  ["a price with a point", { models: [{ ...MODEL, price: "0.5" }] }, /atomic units/],
  ["response without chat", { models: [{ ...MODEL, operations: ["response"] }] }, /add it/],
  ["a tensor operation", { models: [{ ...MODEL, operations: ["infer"] }] }, /operations/],
  ["a parameter that is the node's", { models: [{ ...MODEL, extraParameters: ["stream_options"] }] }, /node's own/],
  ["no concurrency", { concurrency: 0 }, /concurrency/],
])("%s is refused, and no key is in the words for it", async (_, changes, message) => {
  const refusal = await read({ ...UPSTREAM, ...changes }).then(
    () => "nothing was refused",
    (error: unknown) => String(error),
  );
  expect(refusal).toMatch(message);
  expect(refusal).not.toMatch(/sk-the-key/);
});

test("an upstream and a model are named once", async () => {
  await expect(read(UPSTREAM, UPSTREAM)).rejects.toThrow(/the upstream acme twice/);
  await expect(read(UPSTREAM, { ...UPSTREAM, name: "other" })).rejects.toThrow(/the model acme\/chat twice/);
});

test("a file that is missing, too large or no JSON is refused without being quoted", async () => {
  const path = join(folder, "bad.json");
  await expect(readUpstreams(path)).rejects.toThrow(/is missing: give a list of upstreams with --upstreams/);
  await writeFile(path, '[{"apiKey": sk-the-key}]');
  await expect(readUpstreams(path)).rejects.toThrow(/is not JSON: give a list of upstreams with --upstreams$/);
  await writeFile(path, " ".repeat(1024 * 1024 + 1));
  await expect(readUpstreams(path)).rejects.toThrow(/at most/);
});

test("a relayed model's manifest names its upstream, and not what the upstream calls it", () => {
  const { manifest, manifestBytes, price } = createPackage("acme", { ...RELAYED_MODEL, price: "7" });
  expect(parseManifest(manifestBytes)).toEqual(manifest);
  expect(manifest).toMatchObject({ engine: "relay", upstream: "acme", artifacts: [], unit: "token", operations });
  expect(Buffer.from(manifestBytes).toString("latin1")).not.toContain(upstreamModel);
  expect(price).toEqual({ priceAtomic: 7n, unitPriceAtomic: 150_000n, outputUnitPriceAtomic: 600_000n });
  const elsewhere = createPackage("other", RELAYED_MODEL);
  expect(revisionOf(elsewhere.manifestBytes)).not.toEqual(revisionOf(manifestBytes));
});

test("a model that no manifest can say is refused", () => {
  expect(() => createPackage("acme", { ...RELAYED_MODEL, version: "one two" })).toThrow(
    /acme\/chat of the upstream acme/,
  );
});

test("only addresses that no route of the internet leads to are private", () => {
  const isPrivate = [
    "127.0.0.1",
    "127.9.9.9",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "::1",
    "fd00::1",
  ];
  const isPublic = ["8.8.8.8", "172.32.0.1", "169.254.169.254", "0.0.0.0", "::", "2001:db8::1", "fe80::1", "11.0.0.1"];
  expect(isPrivate.filter((address) => !isPrivateAddress(address))).toEqual([]);
  expect(isPublic.filter(isPrivateAddress)).toEqual([]);
});

test("a name is looked up to its private addresses, in either of the forms that a socket asks for", async () => {
  const found = await new Promise((resolve) =>
    lookupPrivate("127.0.0.1", { all: true }, (error, addresses) => resolve(error ?? addresses)),
  );
  expect(found).toEqual([{ address: "127.0.0.1", family: 4 }]);
  const one = await new Promise((resolve) =>
    lookupPrivate("127.0.0.1", {}, (error, address) => resolve(error ?? address)),
  );
  expect(one).toBe("127.0.0.1");
  const refused = await new Promise((resolve) => lookupPrivate("203.0.113.7", {}, (error) => resolve(error?.message)));
  expect(refused).toBe("203.0.113.7 has a public address, which takes TLS");
});
