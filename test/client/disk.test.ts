import { lstatSync, readdirSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseCheckpoint } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { runTally } from "../e2e/processes.ts";
import { documentedFields } from "../e2e/reference.ts";
import { temporaryFolder } from "../folder.ts";
import { createTestClock, creditInput, startNetwork } from "../network.ts";

const DAY_MS = 86_400_000;

/** Bytes in blocks of the files under `path`, counted in another way than the command counts them. */
function blocksOf(path: string): number {
  if (!lstatSync(path).isDirectory()) return 512 * lstatSync(path).blocks;
  return readdirSync(path).reduce((sum, name) => sum + blocksOf(join(path, name)), 0);
}

test("a running network's folder is measured, and its growth is that of its own clock", async () => {
  await using place = await temporaryFolder();
  const clock = createTestClock();
  await using network = await startNetwork({ clock });
  for (let day = 0; day < 3; day++) {
    for (let i = 0; i < 4; i++) await network.infer("statlog/credit-default", [creditInput(100 * day + i)]);
    await network.closeEpoch();
    clock.advance(DAY_MS);
  }
  const { data } = network;
  const ran = await runTally(["disk", "--data", data, "--json"], place.path);
  expect(ran.stderr).toBe("");
  const disk = JSON.parse(ran.stdout);
  expect(Object.keys(disk)).toEqual(await documentedFields("disk"));
  const checkpoint = await (await network.fetch("/checkpoint")).arrayBuffer();
  expect(disk.entryCount).toBe(parseCheckpoint(new Uint8Array(checkpoint)).size);
  expect(disk.bytes).toEqual({
    tiles: blocksOf(join(data, "log", "tiles")) + blocksOf(join(data, "log", "checkpoints", "tiles")),
    writeAhead: blocksOf(join(data, "log", "wal")) + blocksOf(join(data, "log", "checkpoints", "wal")),
    artifacts: blocksOf(join(data, "artifacts")),
    database:
      blocksOf(join(data, "witnesses")) +
      ["gateway", "verification"]
        .flatMap((name) => ["", "-wal", "-shm"].map((end) => join(data, `${name}.sqlite${end}`)))
        .reduce((sum, path) => sum + blocksIfThere(path), 0),
    projections: blocksOf(join(data, "projections")),
    other: ["keys", "tallystick.json", "node-openings"].reduce((sum, name) => sum + blocksOf(join(data, name)), 0),
  });
  expect(disk.bytesAnEntry).toBe(disk.bytes.tiles / disk.entryCount);
  // Four calls and the epoch a day; each day's first call has a grant where the session of the day before has ended.
  expect(disk.entriesADay).toBeGreaterThanOrEqual(5);
  expect(disk.entriesADay).toBeLessThanOrEqual(6);
  expect(disk.growthBytesADay).toBe(disk.bytesAnEntry * disk.entriesADay);
  expect(disk.daysUntilFull).toBeCloseTo(disk.freeBytes / disk.growthBytesADay, 3);
  expect(ran.status).toBe(disk.warnings.length > 0 ? 1 : 0); // How full this machine's disk is, is no test's to say.

  const shown = await runTally(["disk", "--data", data], place.path);
  expect(shown.stdout).toContain(data);
  expect(shown.stdout).toMatch(new RegExp(`^entries +${disk.entryCount}$`, "m"));
  expect(shown.stdout).toMatch(/^disk full in +\d+ days$/m);
});

function blocksIfThere(path: string): number {
  return 512 * (lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0);
}

test("a folder that is no network's is refused, and so is a network that is not here", async () => {
  await using place = await temporaryFolder();
  await mkdir(join(place.path, "empty"));
  expect(await runTally(["disk", "--data", "empty"], place.path)).toEqual({
    status: 2,
    stdout: "",
    stderr: expect.stringMatching(/^tally: .*empty is no data folder of a network: give one with --data\n$/),
  });
  expect(await runTally(["disk", "--network", "http://127.0.0.1:9"], place.path)).toMatchObject({
    status: 2,
    stderr: "tally: --network is not an option of disk: tally disk --help\n",
  });
});
