import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../folder.ts";
import { copyModels } from "../network.ts";
import { callDaemon, startDaemon } from "../server/daemon.ts";
import { runTally } from "./processes.ts";

test("a running network is backed up by its command, killed, restored beside what its witnesses know, and goes on", async () => {
  await using place = await temporaryFolder();
  const { path } = place;
  const [data, out, elsewhere] = ["data", "backup", "elsewhere"].map((name) => join(path, name)) as [
    string,
    string,
    string,
  ];
  const models = await copyModels(["credit-default"], join(path, "models"));
  const tally = (...args: string[]) => runTally(args, path);
  {
    await using daemon = startDaemon(data, models);
    const ready = await daemon.ready;
    for (let i = 0; i < 5; i++) expect((await callDaemon(ready, i)).status).toBe(200);
    const taken = await tally("backup", "--data", data, "--out", out);
    expect(taken).toMatchObject({ status: 0, stderr: "" });
    expect(taken.stdout).toMatch(/^tallystick\.local\/[0-9a-f]{16}: \d+ entries in .*\nwithout keys/);
    const refused = await tally("restore", out, "--data", data);
    expect(refused).toMatchObject({ status: 2, stdout: "" });
    expect(refused.stderr).toMatch(/^tally: a network runs on [^\n]+\n$/);
    await daemon.stop("SIGKILL");
  }
  // What a kill leaves: a ready.json that is out of date, and a journal beside the database.
  const again = await tally("backup", "--data", data, "--out", out, "--with-keys", "--json");
  expect(again).toMatchObject({ status: 0, stderr: "" });
  const restored = await tally("restore", out, "--data", elsewhere, "--json");
  expect(restored).toMatchObject({ status: 0, stderr: "" });
  expect(JSON.parse(restored.stdout)).toMatchObject({ data: elsewhere, aside: null, hasLogKey: true });
  await cp(join(data, "witnesses"), join(elsewhere, "witnesses"), { recursive: true });
  {
    await using daemon = startDaemon(elsewhere, models);
    const ready = await daemon.ready;
    expect((await callDaemon(ready)).status).toBe(200);
    const audited = await tally("audit", ready.url, "--json");
    expect(audited.status).toBe(0);
    expect(JSON.parse(audited.stdout)).toMatchObject({
      findings: [],
      differences: [],
      figures: { totals: { gross: 6 } },
    });
    expect((await daemon.stop()).code).toBe(0);
  }
  const stale = await tally("restore", out, "--data", elsewhere);
  expect(stale.status).toBe(3);
  expect(stale.stderr).toMatch(/^tally: the log in .* has \d+ entries and the backup \d+: an older log [^\n]+\n$/);
});

test("what cannot be is refused in one sentence", async () => {
  await using place = await temporaryFolder();
  const { path } = place;
  await writeFile(join(path, "file"), "");
  const cases: [RegExp, number, string[]][] = [
    [/backup needs a folder: --out DIR/, 2, ["backup"]],
    [/is no data folder of a network/, 2, ["backup", "--out", join(path, "out")]],
    [/restore needs a backup/, 2, ["restore"]],
    [/is no backup, or one that was cut short/, 2, ["restore", path]],
    [/backup does not take "x"/, 2, ["backup", "x", "--out", "y"]],
  ];
  for (const [words, status, args] of cases) {
    const ran = await runTally(args, path);
    expect(ran).toMatchObject({ status, stdout: "", stderr: expect.stringMatching(words) });
    expect(ran.stderr).toMatch(/^tally: [^\n]+\n$/);
  }
  await expect(readFile(join(path, "out", "tallystick.json"))).rejects.toThrow(/ENOENT/);
  await rm(join(path, "file"));
});
