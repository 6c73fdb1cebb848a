/** Backups and restores of a network that runs in this process. */
import { appendFile, chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getRequestListener } from "@hono/node-server";
import { auditLog, systemEdges } from "@tallystick/client";
import { encodeNoteKey, parseCheckpoint, parseNoteKey } from "@tallystick/protocol";
import { systemClock } from "@tallystick/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { backup } from "../../packages/client/src/cli/backup/backup.ts";
import { restore } from "../../packages/client/src/cli/backup/restore.ts";
import type { Context } from "../../packages/client/src/cli/context.ts";
import { openFolderSource } from "../../packages/client/src/cli/folder-source.ts";
import { openHome } from "../../packages/client/src/cli/home.ts";
import { type OpenWitness, openWitness } from "../../packages/server/src/witness/open.ts";
import { witnessRoutes } from "../../packages/server/src/witness/routes.ts";
import { creditInput, type NetworkSettings, startNetwork, type TestNetwork } from "../network.ts";

const MODEL = "statlog/credit-default";
const models = ["credit-default"];
let root: string;
let count = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "backup-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const folder = () => join(root, String(count++));

/** What a command said, and its exit. */
function contextOf(home = folder()): Context & { said: string[] } {
  const said: string[] = [];
  const terminal = {
    out: (text: string) => void said.push(text),
    err: (text: string) => void said.push(text),
    isTty: false,
  };
  return { said, terminal, home: openHome({ TALLYSTICK_HOME: home }), edges: systemEdges, env: {} };
}

/** A network that says where it runs, as the daemon does. */
async function run(data: string, settings: NetworkSettings = {}): Promise<TestNetwork> {
  const network = await startNetwork({ data, models, ...settings });
  const { url, apiKey, origin, logVkey } = network;
  await writeFile(join(data, "ready.json"), JSON.stringify({ url, apiKey, data, origin, logVkey }));
  return {
    ...network,
    async [Symbol.asyncDispose]() {
      await network[Symbol.asyncDispose]();
      await rm(join(data, "ready.json"), { force: true });
    },
  };
}

/** Makes calls, some at once. The id of one of their receipts. */
async function call(url: string, apiKey: string, times = 1): Promise<string> {
  let receiptId = "";
  let made = 0;
  const lane = async () => {
    while (made < times) {
      const body = JSON.stringify({ inputs: [creditInput(1_000 + made++)] });
      const headers = { authorization: `Bearer ${apiKey}` };
      const answer = await fetch(`${url}/v2/models/${MODEL}/infer`, { method: "POST", headers, body });
      expect(answer.status).toBe(200);
      receiptId = answer.headers.get("x-receipt-id") ?? "";
    }
  };
  await Promise.all(Array.from({ length: Math.min(times, 25) }, lane));
  return receiptId;
}

const take = (data: string, out: string, rest: { withKeys?: boolean; keys?: string } = {}, context = contextOf()) =>
  backup({ data, out, withKeys: false, json: true, ...rest }, context).then(() =>
    JSON.parse(context.said.at(-1) ?? ""),
  );
const put = (from: string, data: string, rest: { keys?: string } = {}, context = contextOf()) =>
  restore({ backup: from, data, json: true, ...rest }, context).then(() => JSON.parse(context.said.at(-1) ?? ""));

async function sizeIn(path: string): Promise<number> {
  return parseCheckpoint(new Uint8Array(await readFile(join(path, "log", "tiles", "checkpoint")))).size;
}

async function filesIn(path: string): Promise<string[]> {
  const found = await readdir(path, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1));
}

/** What a network needs besides a backup without keys: its keys, and what its witnesses know. */
async function bring(data: string, to: string, names = ["keys", "witnesses"]): Promise<void> {
  for (const name of names) await cp(join(data, name), join(to, name), { recursive: true });
}

describe("a backup of a network that runs", () => {
  test("has everything acknowledged before it began, and a network on it goes on: figures, receipts, accounts, openings", async () => {
    const [data, out, elsewhere] = [folder(), folder(), folder()];
    let apiKey = "";
    let id = "";
    {
      await using network = await run(data);
      apiKey = network.apiKey;
      id = await call(network.url, apiKey, 300);
      const report = await take(data, out);
      expect(report).toMatchObject({ origin: network.origin, hasKeys: false });
      expect(report.size).toBeGreaterThanOrEqual(305);
      expect(await sizeIn(out)).toBe(report.size);
      const audit = await auditLog(await openFolderSource(out), { trust: network.trust });
      expect(audit).toMatchObject({ findings: [], size: report.size, figures: { totals: { gross: 300 } } });
    }
    const manifest = JSON.parse(await readFile(join(out, "backup.json"), "utf8"));
    expect((await filesIn(out)).sort()).toEqual([...Object.keys(manifest.files), "backup.json"].sort());
    expect((await filesIn(out)).filter((name) => /keys|witness|\.p\/(?!\d+$)|projections/.test(name))).toEqual([]);
    expect((await stat(join(out, "gateway.sqlite"))).mode & 0o777).toBe(0o600);

    expect(await put(out, elsewhere)).toMatchObject({ aside: null, hasLogKey: false });
    await bring(data, elsewhere);
    await using restored = await run(elsewhere);
    expect(restored.apiKey).toBe(apiKey);
    const opening = await restored.fetch(`/v1/receipts/${id}/opening`, {
      headers: { authorization: `Bearer ${apiKey}` },
    });
    expect(opening.status).toBe(200);
    await call(restored.url, apiKey);
    await restored.closeEpoch();
    expect(await restored.audit()).toMatchObject({
      findings: [],
      differences: [],
      figures: { totals: { gross: 301 } },
    });
    expect(JSON.parse(await readFile(join(elsewhere, "tallystick.json"), "utf8"))).not.toHaveProperty("restored");
  });

  test("taken under load is of one moment, and holds every call that was answered before", async () => {
    const [data, out] = [folder(), folder()];
    await using network = await run(data, { integrateIntervalMs: 20, publishIntervalMs: 50 });
    let isOver = false;
    let answered = 0;
    const loads = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        await call(network.url, network.apiKey);
        answered++;
      }
    });
    while (answered < 60) await call(network.url, network.apiKey);
    const before = answered;
    await take(data, out);
    isOver = true;
    await Promise.all(loads);
    const audit = await auditLog(await openFolderSource(out), { trust: network.trust });
    expect(audit.findings).toEqual([]);
    expect(audit.figures.totals.gross).toBeGreaterThanOrEqual(before);
    expect(await readdir(join(data, "snapshots"))).toEqual([]);
  });

  test("into an older one copies what is new, and has exactly the tiles of its checkpoint", async () => {
    const [data, out] = [folder(), folder()];
    await using network = await run(data);
    await call(network.url, network.apiKey, 270);
    const first = await take(data, out);
    const full = await stat(join(out, "log", "tiles", "tile", "entries", "000"));
    await call(network.url, network.apiKey, 3);
    const second = await take(data, out);
    expect(second.size).toBe(first.size + 3);
    expect(first.writtenCount).toBeGreaterThan(11);
    expect(second.writtenCount).toBeLessThan(9);
    expect((await stat(join(out, "log", "tiles", "tile", "entries", "000"))).ino).toBe(full.ino);
    expect((await filesIn(join(out, "log", "tiles"))).sort()).toEqual(
      [
        "checkpoint",
        "tile/0/000",
        `tile/0/001.p/${second.size - 256}`,
        "tile/1/000.p/1",
        "tile/entries/000",
        `tile/entries/001.p/${second.size - 256}`,
      ].sort(),
    );
    await put(out, folder());
  });

  test("with keys has them for its owner alone; a restore puts them where they are to lie", async () => {
    const [data, out, elsewhere, keys] = [folder(), folder(), folder(), folder()];
    {
      await using network = await run(data);
      await call(network.url, network.apiKey);
      expect(await take(data, out, { withKeys: true })).toMatchObject({ hasKeys: true });
    }
    await expect(take(data, out)).rejects.toThrow(/has the keys of an earlier backup: give --with-keys/);
    for (const name of await readdir(join(data, "keys"))) {
      expect(await readFile(join(out, "keys", name))).toEqual(await readFile(join(data, "keys", name)));
      expect((await stat(join(out, "keys", name))).mode & 0o777).toBe(0o600);
    }
    expect(await put(out, elsewhere, { keys })).toMatchObject({ hasLogKey: true, keys });
    const names = (await readdir(join(data, "keys"))).sort();
    expect((await readdir(keys)).sort()).toEqual(names.filter((name) => name !== "api-key"));
    expect(await readdir(join(elsewhere, "keys"))).toEqual(["api-key"]);
    expect((await stat(keys)).mode & 0o777).toBe(0o700);
    expect((await stat(join(keys, "checkpoint.pem"))).mode & 0o777).toBe(0o600);
    await bring(data, elsewhere, ["witnesses"]);
    await using network = await run(elsewhere, { keys: { folder: keys } });
    expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
  });

  test("is the operator's alone", async () => {
    const data = folder();
    await using network = await run(data);
    for (const authorization of ["", "Bearer x", `Bearer ${network.apiKey}`])
      expect((await network.fetch("/v1/backup", { method: "POST", headers: { authorization } })).status).toBe(403);
    await expect(take(data, folder(), { keys: folder() })).rejects.toThrow(
      /admin-token is not there: say where .* --keys/,
    );
  });

  test("leaves nothing of a snapshot that was never copied behind the next start", async () => {
    const data = folder();
    await using network = await run(data);
    const token = (await readFile(join(data, "keys", "admin-token"), "utf8")).trim();
    const ask = () => network.fetch("/v1/backup", { method: "POST", headers: { authorization: `Bearer ${token}` } });
    for (let i = 0; i < 3; i++) expect((await ask()).status).toBe(201);
    // Of two at once one is told to wait, and the other's copy is there.
    const both = await Promise.all([ask(), ask()]);
    expect(both.map(({ status }) => status).sort()).toEqual([201, 409]);
    expect(await readdir(join(data, "snapshots"))).toHaveLength(1);
    await network.restart();
    await expect(readdir(join(data, "snapshots"))).rejects.toThrow(/ENOENT/);
  });
});

describe("a backup of a network that is stopped", () => {
  test("is as good", async () => {
    const [data, out, elsewhere] = [folder(), folder(), folder()];
    {
      await using network = await run(data);
      await call(network.url, network.apiKey, 3);
    }
    expect(await take(data, out)).toMatchObject({ size: await sizeIn(data) });
    await put(out, elsewhere);
    await bring(data, elsewhere);
    await using network = await run(elsewhere);
    expect(await network.audit()).toMatchObject({ findings: [], differences: [], figures: { totals: { gross: 3 } } });
  });

  test("does not take one that runs and does not answer for stopped", async () => {
    const data = folder();
    await using network = await run(data);
    const ready = JSON.parse(await readFile(join(data, "ready.json"), "utf8"));
    await writeFile(join(data, "ready.json"), JSON.stringify({ ...ready, url: "http://127.0.0.1:9" }));
    await expect(take(data, folder())).rejects.toThrow(/a network runs on .* and does not answer/);
    await rm(join(data, "ready.json"));
    await expect(take(data, folder())).rejects.toThrow(/starting or stopping/);
    expect(network.origin).not.toBe("");
  });
});

describe("a backup is refused, in one sentence,", () => {
  let data: string;
  beforeAll(async () => {
    data = folder();
    await using network = await run(data);
    await call(network.url, network.apiKey, 280);
    await network.idle();
  });
  const spoiled = async (spoil: (copy: string) => Promise<unknown>): Promise<string> => {
    const copy = folder();
    await cp(data, copy, { recursive: true });
    await spoil(copy);
    return copy;
  };
  const tiles = (copy: string, ...names: string[]) => join(copy, "log", "tiles", "tile", ...names);

  test.each<[string, RegExp, (copy: string) => Promise<unknown>]>([
    [
      "an entry that was changed, by its file",
      /tile\/entries\/000 does not hash to its tile at entry 0/,
      async (copy) => {
        const bytes = await readFile(tiles(copy, "entries", "000"));
        bytes[40] = (bytes[40] ?? 0) ^ 1;
        await writeFile(tiles(copy, "entries", "000"), bytes);
      },
    ],
    ["a lost bundle", /no tile\/entries\/000/, (copy) => rm(tiles(copy, "entries", "000"))],
    [
      "a tile that was changed",
      /tile\/0\/000 does not hash to the tile above it/,
      async (copy) => {
        const bytes = await readFile(tiles(copy, "0", "000"));
        await writeFile(tiles(copy, "0", "000"), bytes.reverse());
      },
    ],
    ["a lost checkpoint", /has lost its checkpoint/, (copy) => rm(join(copy, "log", "tiles", "checkpoint"))],
    [
      "a damaged history",
      /checkpoint/,
      (copy) => writeFile(join(copy, "log", "checkpoints", "tiles", "checkpoint"), "x"),
    ],
    [
      "an artifact that was changed",
      /artifacts\/[0-9a-f]{64} is damaged: remove it/,
      async (copy) => {
        const [name = ""] = await readdir(join(copy, "artifacts"));
        await appendFile(join(copy, "artifacts", name), "x");
      },
    ],
    ["another version's folder", /is of format 9/, (copy) => writeFile(join(copy, "tallystick.json"), '{"format":9}')],
  ])("of %s", async (_, words, spoil) => {
    const out = folder();
    await expect(take(await spoiled(spoil), out)).rejects.toThrow(words);
    await expect(stat(join(out, "backup.json"))).rejects.toThrow(/ENOENT/);
  });

  test("into other files, into a data folder, into the backup of another network", async () => {
    const other = folder();
    await mkdir(other);
    await writeFile(join(other, "thesis.tex"), "");
    await expect(take(data, other)).rejects.toThrow(/holds other files/);
    await expect(take(data, data)).rejects.toThrow(/is a network's data folder/);
    const another = folder();
    await (await run(another)).stop();
    await rm(join(another, "ready.json"));
    const out = folder();
    await take(another, out);
    await expect(take(data, out)).rejects.toThrow(/is a backup of another log/);
    await expect(take(folder(), out)).rejects.toThrow(/is no data folder of a network/);
    const file = folder();
    await writeFile(file, "");
    await expect(take(data, file)).rejects.toThrow(/is a file where a folder is due/);
  });

  test("of an older copy into a newer backup", async () => {
    const older = await spoiled(async () => {});
    const out = folder();
    {
      const newer = await spoiled(async () => {});
      await using network = await run(newer);
      await call(network.url, network.apiKey);
      await take(newer, out);
    }
    await expect(take(older, out)).rejects.toThrow(/runs on an older copy of its log/);
  });

  test("and one that was cut short anywhere is completed by the next", async () => {
    const whole = folder();
    await take(data, whole);
    const files = await filesIn(whole);
    for (const kept of [0, 1, 3, files.length - 2]) {
      const out = folder();
      await cp(whole, out, { recursive: true });
      for (const name of files.filter((name, i) => name === "backup.json" || (name !== "tallystick.json" && i >= kept)))
        await rm(join(out, name));
      await mkdir(join(out, "log", "tiles"), { recursive: true });
      await writeFile(join(out, "gateway.sqlite.next"), "half");
      await writeFile(join(out, "log", "tiles", "checkpoint.next"), "half");
      await expect(put(out, folder())).rejects.toThrow(/is no backup, or one that was cut short/);
      await take(data, out);
      expect((await filesIn(out)).sort()).toEqual([...files].sort());
      await put(out, folder());
    }
  });

  test.skipIf(process.getuid?.() === 0)("where it may not write", async () => {
    const out = folder();
    await mkdir(out, { mode: 0o500 });
    await expect(take(data, out)).rejects.toThrow(/^may not use .* \(EACCES\): see to .*, then run the backup again/);
    await chmod(out, 0o700);
  });
});

describe("a restore", () => {
  /** A network, a backup of it, and what was in it then. */
  async function backedUp(): Promise<{ data: string; out: string; size: number }> {
    const [data, out] = [folder(), folder()];
    await using network = await run(data);
    await call(network.url, network.apiKey, 5);
    await network.closeEpoch();
    return { data, out, size: (await take(data, out)).size };
  }
  const goOn = async (data: string): Promise<void> => {
    await using network = await run(data);
    await call(network.url, network.apiKey, 2);
    await network.closeEpoch();
  };

  test("refuses a backup of which any file is changed, lost or cut off, and leaves the data folder as it is", async () => {
    const { out } = await backedUp();
    for (const name of await filesIn(out)) {
      if (name === "backup.json") continue;
      for (const spoil of ["append", "remove"]) {
        const [copy, data] = [folder(), folder()];
        await cp(out, copy, { recursive: true });
        if (spoil === "append") await appendFile(join(copy, name), "x");
        else await rm(join(copy, name));
        await expect(put(copy, data), `${spoil} ${name}`).rejects.toThrow();
        expect(
          (await readdir(data).catch(() => [])).filter((entry) => entry !== "restoring"),
          name,
        ).toEqual([]);
      }
    }
  });

  test("moves what is there aside, and never a witness's store", async () => {
    const { data, out, size } = await backedUp();
    await writeFile(join(data, "projections", "fold"), "damaged");
    await rm(join(data, "log", "tiles", "tile"), { recursive: true });
    const store = await readFile(join(data, "witnesses", "witness-1", "witness.sqlite"));
    const report = await put(out, data);
    expect(report).toMatchObject({ size, aside: join(data, "before-restore-1"), hasLogKey: true });
    expect((await readdir(report.aside)).sort()).toEqual([
      "artifacts",
      "gateway.sqlite",
      "log",
      "node-openings",
      "projections",
      "snapshots",
      "tallystick.json",
      "usage",
      "verification.sqlite",
    ]);
    expect(await readFile(join(data, "witnesses", "witness-1", "witness.sqlite"))).toEqual(store);
    await goOn(data);
    await using network = await run(data);
    expect(await network.audit()).toMatchObject({ findings: [], differences: [], figures: { totals: { gross: 7 } } });
  });

  test("refuses to put an older log over a newer one, over another network, over other files, and under a running one", async () => {
    const { data, out, size } = await backedUp();
    {
      await using network = await run(data);
      await expect(put(out, data)).rejects.toThrow(/a network runs on/);
      await rm(join(data, "ready.json"));
      await expect(put(out, data)).rejects.toThrow(/a network runs on/);
      await call(network.url, network.apiKey, 2);
    }
    await expect(put(out, data)).rejects.toThrow(/the log in .* has \d+ entries and the backup \d+: an older log/);
    expect(await sizeIn(data)).toBeGreaterThan(size);
    const other = folder();
    await (await run(other)).stop();
    await rm(join(other, "ready.json"));
    await expect(put(out, other)).rejects.toThrow(/is the network .*, not/);
    await writeFile(join((await mkdir(folder(), { recursive: true })) ?? "", "thesis.tex"), "");
    await expect(put(out, join(root, String(count - 1)))).rejects.toThrow(/holds thesis.tex/);
  });

  test("counts what was acknowledged and is in no tile yet as newer", async () => {
    const { data, out } = await backedUp();
    const copy = folder();
    {
      await using network = await run(data, { integrateIntervalMs: 3_600_000, publishIntervalMs: 3_600_000 });
      await call(network.url, network.apiKey).catch(() => {});
      await cp(data, copy, { recursive: true });
    }
    await rm(join(copy, "ready.json"));
    expect(await sizeIn(copy)).toBeLessThan(await sizeIn(data));
    await expect(put(out, copy)).rejects.toThrow(/an older log would give indexes out a second time/);
    const killed = folder();
    await take(copy, killed);
    const elsewhere = folder();
    await put(killed, elsewhere);
    await bring(copy, elsewhere);
    await using network = await run(elsewhere);
    expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
    expect(await sizeIn(elsewhere)).toBeGreaterThan(await sizeIn(copy));
  });

  test("refuses where tally itself has met a newer checkpoint of that log", async () => {
    const { data, out } = await backedUp();
    await goOn(data);
    const context = contextOf();
    const bytes = new Uint8Array(await readFile(join(data, "log", "tiles", "checkpoint")));
    await context.home.keepCheckpoint({ checkpoint: parseCheckpoint(bytes), bytes });
    await expect(put(out, folder(), {}, context)).rejects.toThrow(/was last met with \d+ entries and the backup/);
  });

  test("that is killed half way starts nothing, and is ended by the next", async () => {
    const { data, out } = await backedUp();
    for (const missing of [
      ["tallystick.json"],
      ["tallystick.json", "log"],
      ["tallystick.json", "log", "gateway.sqlite", "artifacts"],
    ]) {
      const half = folder();
      await cp(data, half, { recursive: true });
      await mkdir(join(half, "restoring"));
      for (const name of missing) await rm(join(half, name), { recursive: true });
      await expect(startNetwork({ data: half, models })).rejects.toThrow(
        /holds other files and is not a Tallystick data folder/,
      );
      await put(out, half);
      await using network = await run(half);
      expect(await network.audit()).toMatchObject({ findings: [], differences: [], figures: { totals: { gross: 5 } } });
    }
  });
});

describe("a restored network", () => {
  test("whose log went on after the backup is refused by its own witnesses, and goes on where it did not", async () => {
    const [data, out, fresh, stale] = [folder(), folder(), folder(), folder()];
    {
      await using network = await run(data);
      await call(network.url, network.apiKey, 3);
      await network.idle();
      await take(data, out);
      await put(out, fresh);
      await call(network.url, network.apiKey, 2);
    }
    await put(out, stale);
    await bring(data, stale);
    await expect(startNetwork({ data: stale, models })).rejects.toThrow(
      /has cosigned \d+ entries and this folder has \d+: it is an older copy of the log/,
    );
    // What stands in for the backup of a network that did not go on: a copy of the newest state.
    const newest = folder();
    await take(data, newest);
    await put(newest, fresh);
    await bring(data, fresh);
    await using network = await run(fresh);
    await call(network.url, network.apiKey);
    expect(await network.audit()).toMatchObject({ findings: [], differences: [], figures: { totals: { gross: 6 } } });
  });

  test.each([
    { keys: "there", words: /witness-1\.pem is there and .* holds nothing/, setAside: 2 },
    { keys: "lost too", words: /no witness knows this log.*--new-witnesses/, setAside: 0 },
  ])(
    "whose own witnesses' stores are lost, their keys $keys, starts once its operator says so, with new witnesses in its policy",
    async ({ keys, words, setAside }) => {
      const [data, out, elsewhere] = [folder(), folder(), folder()];
      let before: { vkey: string; policy: string };
      {
        await using network = await run(data);
        before = await (await network.fetch("/v1/log")).json();
        await call(network.url, network.apiKey, 3);
        await take(data, out, { withKeys: true });
      }
      await put(out, elsewhere);
      if (keys === "lost too") for (const n of [1, 2]) await rm(join(elsewhere, "keys", `witness-${n}.pem`));
      for (const _ of [1, 2]) await expect(startNetwork({ data: elsewhere, models })).rejects.toThrow(words);
      await using network = await run(elsewhere, { newWitnesses: true });
      const after = await (await network.fetch("/v1/log")).json();
      expect(after.vkey).toBe(before.vkey);
      expect(after.policy).not.toBe(before.policy);
      const names = await readdir(join(elsewhere, "keys"));
      expect(names.filter((name) => /^witness-[12]\.pem\.lost-1$/.test(name))).toHaveLength(setAside);
      await call(network.url, network.apiKey);
      await network.closeEpoch();
      const clean = { findings: [], differences: [], figures: { totals: { gross: 4 }, clock: "witnesses" } };
      expect(await network.audit()).toMatchObject(clean);
      await network.restart();
      expect(await network.audit()).toMatchObject(clean);
    },
  );

  test("asks the witnesses of its policy, elsewhere: one that knows more refuses it, and so does one that does not answer", async () => {
    const [data, out, elsewhere, place] = [folder(), folder(), folder(), folder()];
    await (await run(data)).stop();
    await rm(join(data, "ready.json"));
    await using witness = await startWitness(place, data);
    const policyPath = join(root, "policy");
    await writeFile(policyPath, `witness out ${witness.vkey} ${witness.url}\nquorum out\n`);
    {
      await using network = await run(data, { policyPath });
      await call(network.url, network.apiKey, 2);
      await network.idle();
      await take(data, out, { withKeys: true });
    }
    const start = (settings: NetworkSettings = {}) =>
      startNetwork({ data: elsewhere, models, policyPath, newWitnesses: true, ...settings });
    const fresh = folder();
    await take(data, fresh, { withKeys: true });
    await put(fresh, elsewhere);
    await witness.pause();
    await expect(start()).rejects.toThrow(/is not reached, and this log was restored from a backup/);
    await witness.resume();
    {
      await using network = await start(); // It is the newest: nothing went on.
      await network.infer(MODEL, [creditInput()]);
      await network.closeEpoch();
      expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
    }
    const stale = folder();
    await put(out, stale);
    await expect(startNetwork({ data: stale, models, policyPath, newWitnesses: true })).rejects.toThrow(
      /has cosigned \d+ entries and this folder has \d+: it is an older copy of the log/,
    );
  });
});

type StandingWitness = AsyncDisposable & { vkey: string; url: string; pause(): Promise<void>; resume(): Promise<void> };

/** A witness of its own over HTTP, which knows the log of the network in `data`. */
async function startWitness(place: string, data: string): Promise<StandingWitness> {
  const { origin } = JSON.parse(await readFile(join(data, "tallystick.json"), "utf8"));
  const checkpoint = await run(data);
  const key = parseNoteKey(checkpoint.logVkey);
  await checkpoint.stop();
  await rm(join(data, "ready.json"));
  const witness: OpenWitness = await openWitness({
    folder: place,
    keyPath: join(place, "key.pem"),
    name: "witness.example",
    logs: [{ origin, keys: [key] }],
    clock: systemClock,
    report: () => {},
  });
  const listener = getRequestListener(witnessRoutes(witness).fetch);
  const serve = (port: number): Promise<Server> =>
    new Promise((resolve) => {
      const server = createServer(listener).listen(port, "127.0.0.1", () => resolve(server));
    });
  const close = (server: Server) => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  };
  let server = await serve(0);
  const { port } = server.address() as AddressInfo;
  return {
    vkey: encodeNoteKey(witness.key),
    url: `http://127.0.0.1:${port}`,
    pause: () => close(server),
    async resume() {
      server = await serve(port);
    },
    async [Symbol.asyncDispose]() {
      await close(server);
      await witness.close();
    },
  };
}
