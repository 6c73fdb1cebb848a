/**
 * The rules of CONVENTIONS.md that a machine can check: who may import whom, and what may appear where.
 * Each rule is a row of data; to change a rule, change its row and say why in the commit.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");

/** Folder or file (`*` is one folder's name) and what it may import besides itself. The first row that fits speaks. */
const LAYERS: [place: string, may: string[]][] = [
  ["packages/protocol/platform/node.ts", ["#platform", "node:crypto"]],
  ["packages/protocol/platform/web.ts", ["#platform", "@noble/hashes"]],
  // One hash function, of circuits: 250 kB of constants and integers without a dependency, the same on every platform.
  ["packages/protocol/src/proof/commitment.ts", ["packages/protocol/src", "#platform", "@zkpassport/poseidon2"]],
  ["packages/protocol/src", ["#platform"]],
  ["packages/client/src/cli", ["packages/client/src", "@tallystick/protocol", "node:"]],
  // The engine of analytics is optional, so one folder alone asks for it; its process is of Node.js.
  ["packages/client/src/analytics", ["packages/client/src", "@tallystick/protocol", "node:", "@duckdb/node-api"]],
  ["packages/client/src/openai.ts", ["packages/client/src", "openai"]],
  ["packages/client/src/ai-sdk.ts", ["packages/client/src", "@ai-sdk/openai-compatible"]],
  ["packages/client/src/proof.ts", ["packages/client/src", "@tallystick/protocol", "@aztec/bb.js"]],
  ["packages/client/src/langchain.ts", ["packages/client/src", "@langchain/core"]],
  ["packages/client/src", ["@tallystick/protocol"]],
  ["packages/explorer/src/islands", ["packages/explorer/src", "@tallystick/protocol"]],
  ["packages/explorer/src/assets.ts", ["node:"]],
  ["packages/explorer/src", ["@tallystick/protocol"]],
  ["packages/server/src/platform", ["@tallystick/protocol", "node:", "hono", "libsql", "undici"]],
  // What a node does with a call is done again, from the call's bytes to the answer's: with the node's own code, not a copy of it.
  [
    "packages/server/src/execution/reexecute.ts",
    [
      "packages/server/src/execution",
      "packages/server/src/local-generator.ts",
      "packages/server/src/node/json-answer.ts",
      "packages/server/src/node/tensor-answer.ts",
      "@tallystick/protocol",
    ],
  ],
  [
    "packages/server/src/execution",
    [
      "packages/server/src/platform",
      "@tallystick/protocol",
      "node:",
      "onnxruntime-web",
      "onnxruntime-node",
      "fast-png",
      "jpeg-js",
      "fflate",
      "@huggingface/tokenizers",
      "zod",
    ],
  ],
  [
    "packages/server/src/proving",
    [
      "packages/server/src/platform",
      "@tallystick/protocol",
      "node:",
      "@aztec/bb.js",
      "@noir-lang/noir_js",
      "@noir-lang/noir_wasm",
      "onnx-proto",
    ],
  ],
  // What an engine is to a node is the node's to say; of the rest of it an engine knows nothing.
  [
    "packages/server/src/relay",
    [
      "packages/server/src/platform",
      "packages/server/src/node/generation.ts",
      "@tallystick/protocol",
      "zod",
      "node:",
      "undici",
    ],
  ],
  ["packages/server/src/[a-z-]+.ts", ["packages/server/src", "@tallystick", "hono", "@hono/node-server", "node:"]],
  ["packages/server/src/*", ["packages/server/src/platform", "@tallystick/protocol", "hono", "zod", "node:"]],
];

/** What may appear in some places only, and why. */
const HOMES: [pattern: RegExp, home: RegExp, why: string][] = [
  [
    /\bDate\.now\(|new Date\(\)/,
    /platform\/clock\.ts$|client\/src\/edges\.ts$|explorer\/src\/islands\/page\.ts$/,
    "time comes in as an argument",
  ],
  [/Math\.random\(/, /^$/, "randomness comes in as an argument"],
  [
    /crypto\.getRandomValues|randomBytes\(/,
    /platform\/random\.ts$|client\/src\/edges\.ts$/,
    "randomness comes in as an argument",
  ],
  [
    /\bfetch\(/,
    /client\/src\/|explorer\/src\/islands\/|server\/src\/(listen|platform\/outbound)\.ts$/,
    "only the client, the page and what an operator configured reach out",
  ],
  [/process\.env\b/, /bin\//, "the environment is read once, where a command begins"],
  [/process\.exit\(/, /execution\/(child|guard|worker)\.ts$/, "shutting down is an empty event loop"],
  [/from "libsql"/, /platform\/database\.ts$/, "one place opens databases"],
  [/"@duckdb\/node-api"/, /analytics\/database\.ts$/, "one place opens databases"],
  [/\b(SELECT|INSERT INTO|DELETE FROM)\b/, /(accounts|openings|store|database)\.ts$/, "SQL lives in stores"],
  [/\bas any\b|: any\b/, /^$/, "take unknown, then parse"],
  [/\bexport default\b/, /^$/, "a named export can be searched for"],
  [/\b(FIXME|TODO|XXX)\b/, /^$/, "finish it before it lands"],
];

/** A longer file is looked at, not always split; none is longer than this. */
const LINES_MOST = 420;

type File = { path: string; text: string };

/** Every offence in `file`, a sentence each. */
function tidy(file: File): string[] {
  const code = file.text.replace(/\/\*[\s\S]*?\*\//g, blank).replace(/(^|\s)\/\/.*$/gm, blank);
  const strays = HOMES.filter(([pattern, home]) => pattern.test(code) && !home.test(file.path)).map(
    ([pattern, , why]) => `${file.path}:${lineOf(code, pattern)}: ${why}`,
  );
  const lines = file.text.split("\n").length;
  const length = lines > LINES_MOST ? [`${file.path}: ${lines} lines are more than one file should have`] : [];
  return [...strays, ...length, ...trespasses(file)];
}

/** As many lines as before, and nothing on them: what a comment says is no code. */
function blank(comment: string): string {
  return comment.replace(/[^\n]/g, " ");
}

function trespasses({ path, text }: File): string[] {
  const row = LAYERS.map(
    ([place, may]) => [new RegExp(`^${place.replace("*", "[^/]+")}(?=/|$)`).exec(path)?.[0], may] as const,
  ).find(([own]) => own !== undefined);
  if (row?.[0] === undefined) return [`${path}: no row of the layers speaks for it`];
  const [own, may] = row;
  return importsOf(text)
    .map((specifier) => (specifier.startsWith(".") ? join(dirname(path), specifier) : specifier))
    .filter((target) => ![own, ...may].some((prefix) => within(target, prefix)))
    .map((target) => `${path}: imports ${target}, but ${own} may import ${may.join(", ")}`);
}

const importsOf = (text: string): string[] =>
  [...text.matchAll(/^(?:import|export)\b[^"]*?\bfrom "([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)/gm)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? "",
  );
const within = (target: string, prefix: string) =>
  target === prefix || target.startsWith(prefix.endsWith(":") ? prefix : `${prefix}/`);
const lineOf = (text: string, pattern: RegExp) => text.slice(0, text.search(pattern)).split("\n").length;

function sources(): File[] {
  return readdirSync(join(root, "packages"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /(?<!\.test|\.d)\.tsx?$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => /^packages\/[a-z]+\/(src|platform)\//.test(path))
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

test("the source keeps the rules that a machine can check", () => {
  expect(sources().length).toBeGreaterThan(100);
  expect(sources().flatMap(tidy)).toEqual([]);
});

test("tidy sees what it should", () => {
  const bad = [
    { path: "packages/protocol/src/a.ts", text: 'import { readFile } from "node:fs";\nconst t = Date.now();' },
    { path: "packages/server/src/gateway/a.ts", text: 'import { Log } from "../log/log.ts";' },
    {
      path: "packages/server/src/gateway/b.ts",
      text: '// Date.now() in a comment\nimport { clock } from "../platform/clock.ts";',
    },
    { path: "packages/client/src/c.ts", text: 'import { readFile } from "node:fs";' },
    { path: "packages/novel/src/a.ts", text: "" },
  ];
  expect(bad.flatMap(tidy)).toEqual([
    "packages/protocol/src/a.ts:2: time comes in as an argument",
    "packages/protocol/src/a.ts: imports node:fs, but packages/protocol/src may import #platform",
    "packages/server/src/gateway/a.ts: imports packages/server/src/log/log.ts, but packages/server/src/gateway may import packages/server/src/platform, @tallystick/protocol, hono, zod, node:",
    "packages/client/src/c.ts: imports node:fs, but packages/client/src may import @tallystick/protocol",
    "packages/novel/src/a.ts: no row of the layers speaks for it",
  ]);
});
