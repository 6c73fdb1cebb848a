import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requirePrivate } from "./private-files.ts";

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "private-"));
  file = join(folder, "key.pem");
  await writeFile(file, "");
});
afterAll(() => rm(folder, { recursive: true }));

test.each([0o600, 0o400, 0o700])("mode %o is its owner's alone", async (mode) => {
  await chmod(file, mode);
  await requirePrivate(file, "file", "");
});

test.each([0o640, 0o604, 0o620, 0o602, 0o610, 0o644])("mode %o is refused, with the chmod to run", async (mode) => {
  await chmod(file, mode);
  await expect(requirePrivate(file, "file", "")).rejects.toThrow(`${file} can be read by others: chmod 600 ${file}`);
});

test("a folder that others may enter is refused, with the chmod to run", async () => {
  const path = join(folder, "keys");
  await mkdir(path);
  for (const mode of [0o755, 0o710, 0o701]) {
    await chmod(path, mode);
    await expect(requirePrivate(path, "folder", "")).rejects.toThrow(`chmod 700 ${path}`);
  }
  await chmod(path, 0o700);
  await requirePrivate(path, "folder", "");
});

test("what is not there, or is something else, is refused with what to do", async () => {
  await chmod(file, 0o600);
  await expect(requirePrivate(join(folder, "none"), "file", "make it")).rejects.toThrow(/none is missing: make it$/);
  await expect(requirePrivate(join(file, "below"), "file", "make it")).rejects.toThrow(/below is missing/);
  await expect(requirePrivate(folder, "file", "make it")).rejects.toThrow(/is a folder: make it$/);
  await expect(requirePrivate(file, "folder", "make it")).rejects.toThrow(/is no folder: make it$/);
});

test("a file of another user, who can read it, is refused", async (context) => {
  if (process.getuid?.() !== 0) return context.skip("only root gives files away");
  await chmod(file, 0o600);
  await chown(file, 65_534, 65_534);
  await expect(requirePrivate(file, "file", "")).rejects.toThrow(/belongs to another user/);
  await chown(file, 0, 0);
});

test("of a file of root's, a service may read what its group may, and no more", async (context) => {
  const { getuid, seteuid } = process;
  if (getuid?.() !== 0 || seteuid === undefined) return context.skip("only root gives files away");
  await chmod(folder, 0o755);
  await chown(file, 0, process.getgid?.() ?? 0);
  process.getuid = () => 65_534; // The files of root are still read, as a systemd credential's ACL would let this user.
  try {
    await chmod(file, 0o440);
    await requirePrivate(file, "file", "");
    for (const mode of [0o460, 0o444, 0o441]) {
      await chmod(file, mode);
      await expect(requirePrivate(file, "file", "")).rejects.toThrow(/chmod 600/);
    }
  } finally {
    process.getuid = getuid;
  }
});
