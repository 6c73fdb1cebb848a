import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hex, type Manifest, sha256, utf8 } from "@tallystick/protocol";
import { afterEach, expect, test } from "vitest";
import { createTestClock } from "../../../../test/network.ts";
import { openArtifacts } from "./artifacts.ts";

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

const FILES = ["one", "two", "three"].map((text) => utf8(text.padEnd(10, ".")));
const manifestOf = (...bytes: Uint8Array[]) =>
  ({
    artifacts: bytes.map((file, i) => ({ path: `f${i}`, role: "file", sizeBytes: 10, digest: sha256(file) })),
  }) as unknown as Manifest;

async function open(keptBytes: number, hub = new Map(FILES.map((file) => [hex(sha256(file)), file]))) {
  const folder = await mkdtemp(join(tmpdir(), "artifacts-"));
  folders.push(folder);
  const fetched: string[] = [];
  const clock = createTestClock();
  const fetchArtifact = async (digest: Uint8Array) => {
    fetched.push(hex(digest));
    return hub.get(hex(digest)) ?? new Uint8Array(0);
  };
  return { folder, fetched, clock, hub, artifacts: await openArtifacts({ folder, fetchArtifact, clock, keptBytes }) };
}

test("a file is fetched once, and again where what is on disk was damaged", async () => {
  const { folder, fetched, artifacts } = await open(1_000);
  const [one = new Uint8Array(0)] = FILES;
  expect([...(await artifacts.files(manifestOf(one))).values()]).toEqual([one]);
  await artifacts.files(manifestOf(one));
  expect(fetched).toHaveLength(1);
  await writeFile(join(folder, hex(sha256(one))), "another");
  expect([...(await artifacts.files(manifestOf(one))).values()]).toEqual([one]);
  expect(fetched).toHaveLength(2);
});

test("bytes that are not what the digest says are refused and not kept", async () => {
  const [one = new Uint8Array(0)] = FILES;
  const { folder, artifacts, hub } = await open(1_000);
  hub.set(hex(sha256(one)), utf8("0123456789"));
  await expect(artifacts.files(manifestOf(one))).rejects.toThrow(/other bytes/);
  expect(await readdir(folder)).toEqual([]);
});

test("no more is kept than may be, and what was used longest ago makes room", async () => {
  const { folder, clock, artifacts } = await open(20);
  const [one, two, three] = FILES as [Uint8Array, Uint8Array, Uint8Array];
  await artifacts.files(manifestOf(one));
  await artifacts.files(manifestOf(two));
  clock.advance(3_600_000_000); // Later than this machine's own clock, which dates what is written.
  await artifacts.files(manifestOf(one));
  await artifacts.files(manifestOf(three));
  expect((await readdir(folder)).sort()).toEqual([one, three].map((file) => hex(sha256(file))).sort());
});
