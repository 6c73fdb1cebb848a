/** A network goes on with what the version before this one wrote: test/upgrade/format-2 is a data folder of its making. */
import { generateKeyPairSync } from "node:crypto";
import { chmod, cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseNoteKey, trustInLog, verifyReceiptFile } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { creditInput, startNetwork } from "../network.ts";
import { interruptions } from "./interrupted.ts";

vi.mock("node:fs/promises", async (importOriginal) =>
  (await import("./interrupted.ts")).watched(await importOriginal()),
);
vi.mock("node:fs", async (importOriginal) =>
  (await import("./interrupted.ts")).watchedDirectly(await importOriginal()),
);

const BEFORE = join(import.meta.dirname, "..", "upgrade", "format-2");
/** The key of its log, as its page gave it. */
const VKEY = "tallystick.local/a1b20fa3d2f47d27+c132979e+AQ8qDYt52JDvm4wYeelh7DhmqPQf3LHJYQoRi/ZzeQQQ";
const models = ["credit-default"];
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "upgrade-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A copy of the folder as that version wrote it: git does not keep that its keys are for their owner alone. */
async function folderOfBefore(name: string): Promise<string> {
  const data = join(root, name);
  await cp(join(BEFORE, "data"), data, { recursive: true });
  for (const key of await readdir(join(data, "keys"))) await chmod(join(data, "keys", key), 0o600);
  return data;
}

const markOf = async (data: string): Promise<unknown> =>
  JSON.parse(await readFile(join(data, "tallystick.json"), "utf8"));

/** What two folders must agree on to be the same: the bytes of every file but the database, which any start opens. */
async function contentOf(data: string): Promise<Map<string, string>> {
  const found = await readdir(data, { recursive: true, withFileTypes: true });
  const paths = found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const files = paths.filter((path) => !/gateway\.sqlite/.test(path)).sort();
  return new Map(
    await Promise.all(
      files.map(async (path) => [relative(data, path), (await readFile(path)).toString("hex")] as const),
    ),
  );
}

test("a folder of format 2 goes on: its figures and receipts are what they were, and an audit from nothing is clean", async () => {
  const data = await folderOfBefore("whole");
  await using network = await startNetwork({ data, models });
  expect(network.logVkey).toBe(VKEY);
  const recorded = JSON.parse(await readFile(join(BEFORE, "usage.json"), "utf8"));
  const {
    rules: _,
    size,
    meta: __,
    rows: ___,
    models: [used],
    totals,
    ...figures
  } = recorded; // There were rows then.
  const usage = await (await network.fetch("/v1/usage")).json();
  expect(usage).toMatchObject(figures);
  expect(usage).toMatchObject({ size: size + 6, clock: "witnesses" }); // The policy, four affiliations, and the model's newer version.
  expect(usage).toMatchObject({
    totals: { ...totals, models: 2, idleModels: 1 },
    models: [used, { state: "idle" }],
  });

  const receipts = (await readdir(BEFORE)).filter((name) => /^[0-9a-f]{64}\.json$/.test(name));
  expect(receipts).toHaveLength(4);
  for (const name of receipts) {
    const kept = await readFile(join(BEFORE, name));
    const served = await (await network.fetch(`/v1/receipts/${name.slice(0, 64)}`)).text();
    for (const file of [kept, Buffer.from(served)])
      expect(await verifyReceiptFile(file, trustInLog(parseNoteKey(VKEY)))).toMatchObject({ outcome: "verified" });
  }

  const apiKey = (await readFile(join(data, "keys", "api-key"), "utf8")).trim();
  expect(network.apiKey).toBe(apiKey);
  expect((await network.infer("statlog/credit-default", [creditInput()])).status).toBe(200);
  await network.closeEpoch();
  expect(await network.audit()).toMatchObject({
    findings: [],
    differences: [],
    figures: { totals: { gross: 5, valid: 5, decisionsReliedOn: 1 }, clock: "witnesses" },
  });
  expect(await markOf(data)).toEqual({ format: 3, origin: network.origin });
  await network.restart();
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

test("an upgrade that is killed after any of its steps is made by the next start", async () => {
  const data = await folderOfBefore("killed");
  const moments = await interruptions(
    data,
    () => undefined,
    async () => {
      await using network = await startNetwork({ data, models });
      await network.idle();
    },
  );
  const formats = await Promise.all(moments.map(async ({ path }) => JSON.stringify(await markOf(path))));
  const claimed = formats.findIndex((mark) => mark.includes('"format":3'));
  expect(claimed).toBeGreaterThan(5);
  // Once the folder is claimed, what follows is appended to a log, whose every step its own test takes.
  for (const { path, step } of moments.filter((_, i) => i <= claimed || i % 5 === 0)) {
    await using network = await startNetwork({ data: path, models }).catch((cause: unknown) => {
      throw new Error(`killed after ${step}`, { cause });
    });
    expect(await network.audit(), step).toMatchObject({ findings: [], differences: [], size: 23 });
    expect(await markOf(path), step).toEqual({ format: 3, origin: network.origin });
  }
}, 240_000);

const DAMAGE: { what: string; words: RegExp; spoil(data: string): Promise<unknown> }[] = [
  {
    what: "a lost checkpoint",
    words: /has lost its checkpoint/,
    spoil: (data) => rm(join(data, "log", "tiles", "checkpoint")),
  },
  {
    what: "tiles and segments that are lost",
    words: /is missing.*Restore/,
    spoil: async (data) => {
      await rm(join(data, "log", "tiles", "tile"), { recursive: true });
      await rm(join(data, "log", "wal"), { recursive: true });
    },
  },
  {
    what: "the key of another log",
    words: /not signed by this log's key/,
    spoil: (data) =>
      writeFile(
        join(data, "keys", "checkpoint.pem"),
        generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }),
      ),
  },
  {
    what: "a format that is newer",
    words: /is of format 4; this tallyd reads format 3/,
    spoil: (data) => writeFile(join(data, "tallystick.json"), '{"format":4}'),
  },
];

test.each(DAMAGE)("a folder of format 2 with $what is refused, and left as it is", async ({ what, words, spoil }) => {
  const data = await folderOfBefore(what.replaceAll(" ", "-"));
  await spoil(data);
  const before = await contentOf(data);
  await expect(startNetwork({ data, models })).rejects.toThrow(words);
  expect(await contentOf(data)).toEqual(before);
});
