import { appendFile, chmod, copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyModels } from "../network.ts";
import { expectOneSentence, runOnce, startDaemon } from "./daemon.ts";

let root: string;
let models: string;
/** The data folder of a network that ran and was stopped. */
let stopped: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "tallyd-"));
  models = await copyModels(["credit-default"], join(root, "models"));
  stopped = join(root, "stopped");
  await runOnce(stopped, models);
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function copyOfStopped(name: string): Promise<string> {
  const path = join(root, name);
  await cp(stopped, path, { recursive: true });
  return path;
}

const UNSTARTABLE: { what: string; words: RegExp; spoil: (data: string) => Promise<unknown>; args?: string[] }[] = [
  {
    what: "a folder of somebody else's files",
    words: /holds other files and is not a Tallystick data folder/,
    spoil: (data) => rm(join(data, "tallystick.json")).then(() => writeFile(join(data, "thesis.tex"), "")),
  },
  {
    what: "a file where the folder should be",
    words: /is a file/,
    spoil: (data) => rm(data, { recursive: true }).then(() => writeFile(data, "")),
  },
  {
    what: "a folder below a file",
    words: /is a file/,
    spoil: (data) => rm(data, { recursive: true }).then(() => writeFile(data, "")),
    args: ["--data", "@/below"],
  },
  {
    what: "a folder where it says that it is ready",
    words: /ready\.json is a folder where a file of the network's belongs: move it away/,
    spoil: (data) => mkdir(join(data, "ready.json")),
  },
  {
    what: "a format of another version",
    words: /is of format 1; this tallyd reads format 3: start the version that wrote it/,
    spoil: (data) => writeFile(join(data, "tallystick.json"), '{"format":1}'),
  },
  {
    what: "a mark that is no JSON",
    words: /tallystick.json is of format undefined/,
    spoil: (data) => writeFile(join(data, "tallystick.json"), '{"form'),
  },
  {
    what: "a lost checkpoint",
    words: /has lost its checkpoint/,
    spoil: (data) => rm(join(data, "log", "tiles", "checkpoint")),
  },
  { what: "a lost log", words: /has lost its checkpoint/, spoil: (data) => rm(join(data, "log"), { recursive: true }) },
  {
    what: "the key of another log",
    words: /not signed by this log's key/,
    spoil: (data) => rm(join(data, "keys", "checkpoint.pem")),
  },
  {
    what: "a key that is no PEM",
    words: /gateway.pem is not a private key/,
    spoil: (data) => writeFile(join(data, "keys", "gateway.pem"), "?"),
  },
  {
    what: "a key of another type",
    words: /holds a key of another type/,
    spoil: (data) => copyFile(join(data, "keys", "gateway.pem"), join(data, "keys", "checkpoint.pem")),
  },
  {
    what: "a sealing key that is none",
    words: /sealing-key is not 64 digits of hex/,
    spoil: (data) => writeFile(join(data, "keys", "sealing-key"), "00"),
  },
  {
    what: "a damaged checkpoint",
    words: /checkpoint .*: restore the log's folder from a backup/,
    spoil: (data) => writeFile(join(data, "log", "tiles", "checkpoint"), "tallystick"),
  },
  {
    what: "lost tiles, and the segments with them",
    words: /tile.*is missing.*backup/,
    spoil: async (data) => {
      for (const name of ["tiles/tile", "wal"]) await rm(join(data, "log", name), { recursive: true });
    },
  },
  {
    what: "lost bundles, and the segments with them",
    words: /tile.*is missing.*backup/,
    spoil: async (data) => {
      for (const name of ["tiles/tile/entries", "wal"]) await rm(join(data, "log", name), { recursive: true });
    },
  },
  {
    what: "a database that is none",
    words: /gateway.sqlite is damaged/,
    spoil: (data) =>
      writeFile(join(data, "gateway.sqlite"), "not a database, but longer than the header of one ".repeat(200)),
  },
  {
    what: "a folder of models that is not there",
    words: /has no models to publish/,
    spoil: async () => {},
    args: ["--models", "@/none"],
  },
  {
    what: "an address for others, in clear",
    words: /^tallyd: --host 0\.0\.0\.0 is no loopback address.*`npx tallyd keys --keys .*--tls-cert/,
    spoil: async () => {},
    args: ["--host", "0.0.0.0"],
  },
  {
    what: "an address for others, on the keys of a first start",
    words: /^tallyd: others are served only on keys that were made for it.*`npx tallyd keys --keys/,
    spoil: async () => {},
    args: ["--host", "0.0.0.0", "--tls-cert", "c.pem", "--tls-key", "k.pem", "--url", "https://tallystick.example"],
  },
  {
    what: "a certificate that is not there",
    words: /the certificate cannot be read.*--tls-cert/,
    spoil: async () => {},
    args: ["--tls-cert", "@/none.pem", "--tls-key", "@/keys/node.pem"],
  },
  {
    what: "a folder of keys that is not there",
    words: /none is missing: make it with `tallyd keys --keys/,
    spoil: async () => {},
    args: ["--keys", "@/none"],
  },
  {
    what: "a folder of keys that others may enter",
    words: /open-keys can be read by others: chmod 700 .*open-keys/,
    spoil: (data) => mkdir(join(data, "open-keys")).then(() => chmod(join(data, "open-keys"), 0o755)),
    args: ["--keys", "@/open-keys"],
  },
  {
    what: "a key that others may read",
    words: /node\.pem can be read by others: chmod 600 .*node\.pem/,
    spoil: (data) => chmod(join(data, "keys", "node.pem"), 0o640),
    args: ["--key", "node=@/keys/node.pem"],
  },
  {
    what: "a key that is named and is not there",
    words: /none\.pem is missing/,
    spoil: async () => {},
    args: ["--key", "node=@/none.pem"],
  },
  {
    what: "an address that nothing can listen on",
    words: /127\.999\.0\.1/,
    spoil: async () => {},
    args: ["--host", "127.999.0.1"],
  },
  { what: "an option that there is not", words: /--help lists the options/, spoil: async () => {}, args: ["--fast"] },
  {
    what: "a port that is no number",
    words: /--port takes a whole number/,
    spoil: async () => {},
    args: ["--port", "http"],
  },
];

test.each(UNSTARTABLE)(
  "$what: it does not start, and says why in one sentence",
  async ({ words, spoil, args = [], what }) => {
    const data = await copyOfStopped(what.replaceAll(/\W/g, "-"));
    await spoil(data);
    await using daemon = startDaemon(data, models, { args: args.map((arg) => arg.replace("@", data)) });
    expectOneSentence(await daemon.ended, words);
  },
);

const BAD_MODELS: { what: string; words: RegExp; spoil: (model: string) => Promise<unknown> }[] = [
  { what: "no JSON", words: /model.json is not JSON/, spoil: (model) => writeFile(join(model, "model.json"), "{") },
  {
    what: "not a model",
    words: /model.json is not a model/,
    spoil: (model) => writeFile(join(model, "model.json"), "{}"),
  },
  {
    what: "of a name that is none",
    words: /model.json is not a model/,
    spoil: (model) => change(join(model, "model.json"), { name: "Credit Default" }),
  },
  { what: "without its graph", words: /model.onnx is missing/, spoil: (model) => rm(join(model, "model.onnx")) },
  { what: "of another digest", words: /has the digest/, spoil: (model) => appendFile(join(model, "model.onnx"), "?") },
];

async function change(path: string, changes: object): Promise<void> {
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...changes }));
}

test.each(BAD_MODELS)(
  "a model that is $what: it does not start, and says which in one sentence",
  async ({ what, words, spoil }) => {
    const folder = await copyModels(["credit-default"], join(root, `models-${what.replaceAll(/\W/g, "-")}`));
    await spoil(join(folder, "credit-default"));
    await using daemon = startDaemon(await copyOfStopped(`with-models-${what.replaceAll(/\W/g, "-")}`), folder);
    const { code, stderr } = await daemon.ended;
    expect(stderr).toMatch(words);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(code).toBe(1);
  },
);
