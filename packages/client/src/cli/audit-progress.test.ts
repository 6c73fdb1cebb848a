import { readFile, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../../test/folder.ts";
import { openProgress } from "./audit-progress.ts";
import { openHome } from "./home.ts";

const ORIGIN = "log.example/tallystick";
const KEY = { vkey: `${ORIGIN}+12345678+AAAA`, because: "it is given", handovers: [] };
const PROGRESS = { size: 512, root: new Uint8Array(32).fill(7), bad: [3, 3, 100] };

test("what an audit kept is found by the next one of the same log and key, and by no other", async () => {
  await using folder = await temporaryFolder();
  const home = openHome({ TALLYSTICK_HOME: folder.path });
  expect(await openProgress(home, ORIGIN, KEY).find()).toBeUndefined();
  await openProgress(home, ORIGIN, KEY).keep(PROGRESS);
  expect(await openProgress(home, ORIGIN, KEY).find()).toEqual(PROGRESS);
  expect(await openProgress(home, "log.example/other", KEY).find()).toBeUndefined();
  expect(await openProgress(home, ORIGIN, { ...KEY, vkey: `${KEY.vkey}A` }).find()).toBeUndefined();
  await openProgress(home, ORIGIN, KEY).forget();
  expect(await openProgress(home, ORIGIN, KEY).find()).toBeUndefined();
});

test("what was kept by other rules, or is damaged, counts as nothing", async () => {
  await using folder = await temporaryFolder();
  const home = openHome({ TALLYSTICK_HOME: folder.path });
  const progress = openProgress(home, ORIGIN, KEY);
  await progress.keep(PROGRESS);
  const path = home.auditPath(ORIGIN);
  const kept = JSON.parse(await readFile(path, "utf8"));
  const others = [
    JSON.stringify({ ...kept, rules: "tallystick-usage-v0" }),
    JSON.stringify({ ...kept, root: "07" }),
    JSON.stringify({ ...kept, size: -1 }),
    JSON.stringify({ ...kept, bad: ["3"] }),
    JSON.stringify(kept).slice(0, -2),
    "",
  ];
  for (const other of others) {
    await writeFile(path, other);
    expect(await progress.find(), other).toBeUndefined();
  }
  await writeFile(path, JSON.stringify(kept));
  expect(await progress.find()).toEqual(PROGRESS);
});
