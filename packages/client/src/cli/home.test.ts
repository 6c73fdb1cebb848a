import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeNoteKey, parseCheckpoint, utf8 } from "@tallystick/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fixedNoteSigner } from "../../../../test/fixed-keys.ts";
import { LogInMemory } from "../../../../test/log-in-memory.ts";
import { UnverifiedError } from "../errors.ts";
import { findFile, type Home, openHome, writePrivately } from "./home.ts";

let folder: string;
let home: Home;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tallystick-home-"));
  home = openHome({ TALLYSTICK_HOME: join(folder, "home") });
});
afterEach(() => rm(folder, { recursive: true }));

const vkeyOf = (origin: string, label?: string) => encodeNoteKey(fixedNoteSigner(origin, label).key);
const KNOWN = () => join(home.folder, "known-logs");

test("a log is remembered by the key that it was first met with", async () => {
  expect(await home.findLog("a.example")).toBeUndefined();
  await home.rememberLog(vkeyOf("a.example"));
  await home.rememberLog(vkeyOf("b.example"));
  await home.rememberLog(vkeyOf("a.example"));
  expect(await home.findLog("a.example")).toBe(vkeyOf("a.example"));
  expect(await home.findLog("b.example")).toBe(vkeyOf("b.example"));
  expect(await readFile(KNOWN(), "utf8")).toBe(`${vkeyOf("a.example")}\n${vkeyOf("b.example")}\n`);
});

test("another key for the same log is refused, and the first one stays", async () => {
  await home.rememberLog(vkeyOf("a.example"));
  const posing = home.rememberLog(vkeyOf("a.example", "somebody else"));
  await expect(posing).rejects.toThrow(UnverifiedError);
  await expect(posing).rejects.toThrow(/a\.example was met with another key before.*known-logs/);
  expect(await home.findLog("a.example")).toBe(vkeyOf("a.example"));
});

test("a damaged list of known logs is not taken for an empty one", async () => {
  await home.rememberLog(vkeyOf("a.example"));
  await writeFile(KNOWN(), `${vkeyOf("a.example")}x\n`);
  await expect(home.findLog("a.example")).rejects.toThrow(/known-logs has as the key of a log/);
});

test("a checkpoint that was kept and is damaged, or another log's, is not taken for none", async () => {
  const log = new LogInMemory("a.example");
  const bytes = utf8(log.checkpointFile(1_800_000_000));
  expect(await home.findCheckpoint("a.example")).toBeUndefined();
  await home.keepCheckpoint({ checkpoint: parseCheckpoint(bytes), bytes });
  expect(await home.findCheckpoint("a.example")).toMatchObject({ bytes, checkpoint: { size: 0 } });
  expect(await home.findCheckpoint("b.example")).toBeUndefined();
  const [name = ""] = await readdir(join(home.folder, "checkpoints"));
  for (const other of ["", "hello", new LogInMemory("b.example").checkpointFile(1_800_000_000)]) {
    await writeFile(join(home.folder, "checkpoints", name), other);
    await expect(home.findCheckpoint("a.example")).rejects.toThrow(/restore it, or remove it to forget it/);
  }
});

test("what is kept is for its owner alone, and no half of it is left beside it", async () => {
  const path = home.receiptPath("ab");
  await Promise.all([writePrivately(path, "one"), writePrivately(path, "two")]);
  expect(["one", "two"]).toContain(await readFile(path, "utf8"));
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(join(home.folder, "receipts"))).mode & 0o777).toBe(0o700);
  expect(await findFile(`${path}.new`)).toBeUndefined();
});

test("a folder, a name that is too long and a name that is not there are no files", async () => {
  for (const path of [folder, join(folder, "x".repeat(5_000)), join(folder, "nothing")])
    expect(await findFile(path)).toBeUndefined();
});

test("its place is TALLYSTICK_HOME, else the user's folder for configuration", () => {
  expect(openHome({ TALLYSTICK_HOME: "/a" }).folder).toBe("/a");
  expect(openHome({ TALLYSTICK_HOME: "", XDG_CONFIG_HOME: "/b" }).folder).toBe("/b/tallystick");
  expect(openHome({}).folder).toMatch(/\/\.config\/tallystick$/);
});
