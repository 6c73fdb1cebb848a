import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startNetwork } from "../network.ts";

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

async function writeUpstreams(...models: object[]): Promise<string> {
  const path = join(folder, "upstreams.json");
  await writeFile(join(folder, "acme.key"), "sk-secret-of-the-operator\n", { mode: 0o600 });
  const upstream = { name: "acme", url: "http://127.0.0.1:9/v1", allowHttp: true, apiKeyFile: "acme.key", models };
  await writeFile(path, JSON.stringify([upstream]));
  return path;
}

test("relayed models are published once, with who runs them and what they cost, and their log holds", async () => {
  const upstreamsPath = await writeUpstreams(MODEL);
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
  const upstreamsPath = await writeUpstreams(MODEL);
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
  const upstreamsPath = await writeUpstreams(MODEL);
  await using network = await startNetwork({ upstreamsPath });
  await expect(network.restart(() => writeUpstreams({ ...MODEL, unitPrice: "1" }))).rejects.toThrow(
    /under another version/,
  );
  await network.restart(() => writeUpstreams({ ...MODEL, yanked: true }));
  expect((await network.fetch("/v1/models/acme/chat")).status).toBe(410);
});
