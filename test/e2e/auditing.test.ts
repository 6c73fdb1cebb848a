import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serveFiles } from "../client/file-server.ts";
import { flip, readLogFiles } from "../client/log-files.ts";
import { standstill } from "../server/entries.ts";
import { type Person, SMALL_MODEL, startPerson } from "./person.ts";
import { runTally } from "./processes.ts";
import { documentedFields } from "./reference.ts";

const MODELS = join(import.meta.dirname, "..", "..", "models");

let me: Person;

beforeAll(async () => {
  me = await startPerson();
  await standstill(me.daemon.ready.url); // What follows compares looks at the log, and copies its files.
});
afterAll(() => me[Symbol.asyncDispose]());

describe("auditing", () => {
  test("the running network, its URL, its folder, a copy, and a server of its files all hold", async () => {
    const { url, data, logVkey } = me.daemon.ready;
    const tiles = join(data, "log", "tiles");
    const usage = await me.tally(["usage", "--json"]);
    await writeFile(join(me.folder, "usage.json"), usage.stdout);
    await cp(tiles, join(me.folder, "copy"), { recursive: true });
    await using server = await serveFiles(await readLogFiles(tiles));
    const { figures } = await me.tallyJson(["audit"]);
    const logs: string[][] = [[], [url], [data], [tiles], ["copy"], [server.url]];
    for (const log of logs) {
      const audited = await me.tallyJson(["audit", ...log, "--usage", "usage.json"]);
      expect(audited, String(log)).toMatchObject({ findings: [], differences: [], figures });
      expect(audited.entryCount).toBe(audited.size);
      expect(Object.keys(audited)).toEqual(await documentedFields("audit"));
    }
    const stranger = me.stranger("auditor");
    expect(await runTally(["audit", server.url], MODELS, stranger)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("give its key with --vkey"),
    });
    const stranded = await runTally(["audit", server.url, "--vkey", logVkey], MODELS, stranger);
    expect(stranded).toMatchObject({ status: 0, stdout: expect.stringContaining("difference  not compared") });
  });

  test("names the check and the entry of a copy in which a byte was changed", async () => {
    const tiles = join(me.daemon.ready.data, "log", "tiles");
    const copy = join(me.folder, "tampered");
    await cp(tiles, copy, { recursive: true });
    const [bundle] = (await readdir(join(copy, "tile", "entries", "000.p"))).sort((a, b) => Number(b) - Number(a));
    const path = join(copy, "tile", "entries", "000.p", bundle ?? "");
    const bytes = new Uint8Array(await readFile(path));
    await writeFile(path, flip(2 + 60)(bytes));
    const { status, stdout } = await me.tally(["audit", copy]);
    expect(status).toBe(3);
    expect(stdout).toMatch(/\n {2}FAILED {2}root: the entries do not hash to the checkpoint's root\n/);
    expect(stdout).toMatch(/\n {2}FAILED {2}tile at entry 0: /);
  });

  test("a copy that tally made holds offline, figures included, and so do its files and a proof of each entry", async () => {
    const { logVkey } = me.daemon.ready;
    const { size, folder } = await me.tallyJson(["log", "export", "--out", "mirror"]);
    expect((await readdir(join(me.folder, folder))).sort()).toEqual(["checkpoint", "log.vkey", "tile", "usage.json"]);
    const stranger = me.stranger("elsewhere");
    const usage = ["--usage", "mirror/usage.json"];
    const audited = await me.tallyJson(["audit", "mirror", "--vkey", logVkey, ...usage], stranger);
    expect(audited).toMatchObject({ size, findings: [], differences: [] });
    expect(await me.tallyJson(["log", "fsck", "mirror"])).toMatchObject({ size, findings: [], notes: [] });
    for (const log of [[], ["mirror"]])
      expect(await me.tallyJson(["log", "prove", "0", ...log])).toMatchObject({ index: 0, size });
    expect(await me.tallyJson(["monitor", "--once"])).toMatchObject({ size, newEntries: 0 });
  });

  test("names each figure that was published otherwise", async () => {
    const usage = await me.tallyJson(["usage"]);
    usage.totals.valid += 1;
    await writeFile(join(me.folder, "forged.json"), JSON.stringify(usage));
    const { status, stdout } = await me.tally(["audit", "--usage", "forged.json"]);
    expect(status).toBe(3);
    expect(stdout).toMatch(
      /\ndifference {2}1\n {2}totals\.valid: published [0-9]+, recomputed [0-9]+\nverdict {5}DOES NOT HOLD: .+\n$/,
    );
  });
});

test("when the network has stopped, kept receipts and copied logs still hold, and what needs it is unreachable", async () => {
  const { receiptId } = await me.receipt("--save", "saved.json");
  expect(await me.daemon.stop()).toBe(0);
  await cp(join(me.daemon.ready.data, "log", "tiles"), join(me.folder, "offline"), { recursive: true });
  expect(await me.tallyJson(["verify", "saved.json"])).toMatchObject({ outcome: "verified", receiptId });
  const kept = await me.tally(["verify", receiptId]);
  expect(kept).toMatchObject({ status: 0, stderr: expect.stringContaining("as it was kept here") });
  for (const log of ["offline", ".tallystick"])
    expect(await me.tallyJson(["audit", log])).toMatchObject({ findings: [], entryCount: expect.any(Number) });
  const bytes = new Uint8Array(await readFile(join(me.folder, "saved.json")));
  for (const at of [1, 400, -3]) {
    await writeFile(join(me.folder, "saved.json"), flip(at)(bytes.slice()));
    expect(await me.tally(["verify", "saved.json"])).toMatchObject({ status: 3 });
  }
  for (const args of [
    ["models"],
    ["usage"],
    ["audit"],
    ["infer", SMALL_MODEL, "--example"],
    ["verify", "0".repeat(64)],
    ["rely", receiptId],
  ])
    expect(await me.tally(args), args.join(" ")).toMatchObject({
      status: 5,
      stderr: expect.stringContaining("no network is running in"),
    });
});
