/** The SDK where there is no Node.js: bundled for browsers, it imports nothing of Node's, and runs on what the web has. */
import { join } from "node:path";
import { createContext, runInContext } from "node:vm";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";
import { API_KEY } from "./tiny-network.ts";
import { openTinyOpenAi, TEXT, TINY_MODEL } from "./tiny-openai.ts";

const root = join(import.meta.dirname, "../..");
const entry = (name: string) => join(root, "packages/client/src", `${name}.ts`);

async function bundle(name: string, external: string[] = []) {
  const { outputFiles, metafile } = await build({
    entryPoints: [entry(name)],
    ...{ bundle: true, write: false, metafile: true, platform: "browser", format: "iife", globalName: "sdk" },
    conditions: ["@tallystick/source"],
    external,
  });
  return { code: outputFiles[0]?.text ?? "", inputs: Object.keys(metafile.inputs) };
}

describe.each([
  ["index", [] as string[]],
  ["openai", []],
  ["ai-sdk", ["@ai-sdk/openai-compatible"]],
  ["langchain", ["@langchain/core"]],
])("the entry %s", (name, peers) => {
  test("is bundled for a browser, by the web's platform and without a client that it only has types of", async () => {
    const { inputs } = await bundle(
      name,
      peers.map((peer) => `${peer}*`),
    );
    expect(inputs.filter((path) => path.includes("platform/"))).toEqual(["packages/protocol/platform/web.ts"]);
    const packages = inputs.flatMap((path) => /node_modules\/(@[^/]+\/[^/]+|[^/]+)/.exec(path)?.[1] ?? []);
    expect([...new Set(packages)]).toEqual(["@noble/hashes", "@zkpassport/poseidon2"]);
  });
});

test("in a world that has the web's interfaces and nothing of Node's, it signs, asks and verifies", async () => {
  const tiny = await openTinyOpenAi();
  const { code } = await bundle("index");
  const web = { AbortController, AbortSignal, Blob, crypto, Headers, ReadableStream, Request, Response, TextDecoder };
  const world = createContext({ ...web, btoa, TextEncoder, URL, setTimeout });
  runInContext(code, world);
  Object.assign(world, {
    options: {
      url: "http://tiny.example",
      apiKey: API_KEY,
      trust: tiny.network.log.trust,
      edges: { fetch: tiny.fetch },
    },
    body: { model: TINY_MODEL, stream: true, messages: [{ role: "user", content: "What is a tally stick?" }] },
  });
  const asking = runInContext(
    `(async () => {
      const stream = await sdk.createClient(options).chat(body);
      let text = "";
      for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
      const { checks } = await stream.verified;
      return JSON.stringify({ text, checks, hasNode: typeof process !== "undefined" || typeof Buffer !== "undefined" });
    })()`,
    world,
  );
  const { text, checks, hasNode } = JSON.parse(await asking);
  expect({ text, hasNode }).toEqual({ text: TEXT, hasNode: false });
  const passed = checks.flatMap(({ name, state }: Record<string, string>) => (state === "passed" ? [name] : []));
  expect(passed).toEqual(["authorization", "terms", "response", "stream", "node signature", "node enrolment"]);
});
