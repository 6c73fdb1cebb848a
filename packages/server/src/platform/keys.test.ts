import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hex, utf8, verifyEd25519, verifyEs256 } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createSigner, generateKey, openNoteSigner, openSigner } from "./keys.ts";
import { openSecret } from "./secrets.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "keys-"));
});
afterAll(() => rm(folder, { recursive: true }));

const message = utf8("a message");

test("a key that is not there is made, for its owner alone, and is the same ever after", async () => {
  const [path, notePath] = [join(folder, "node.pem"), join(folder, "checkpoint.pem")];
  const [first, again] = [await openSigner(path), await openSigner(path)];
  expect(hex(again.spki)).toBe(hex(first.spki));
  expect(first.spki).toHaveLength(91);
  expect(await verifyEs256(first.spki, message, await again.sign(message))).toBe(true);
  const nameOf = (publicKey: Uint8Array) => `log.example/${hex(publicKey).slice(0, 4)}`;
  const [note, noteAgain] = [await openNoteSigner(notePath, nameOf), await openNoteSigner(notePath, nameOf)];
  expect(noteAgain.key).toEqual(note.key);
  expect(await verifyEd25519(note.key.publicKey, message, noteAgain.sign(message))).toBe(true);
  for (const name of await readdir(folder)) expect((await stat(join(folder, name))).mode & 0o777, name).toBe(0o600);
});

test("a file that is no key, or one of another type, is refused and left as it is", async () => {
  const path = join(folder, "text.pem");
  await writeFile(path, "-----BEGIN PRIVATE KEY-----\n");
  await expect(openSigner(path)).rejects.toThrow(/text.pem is not a private key in PEM/);
  await expect(openNoteSigner(path, () => "log.example")).rejects.toThrow(/is not a private key/);
  await openSigner(join(folder, "ec.pem"));
  await expect(openNoteSigner(join(folder, "ec.pem"), () => "log.example")).rejects.toThrow(/of another type/);
});

test("a key in memory signs as one on disk does, and no two are the same", async () => {
  const [one, two] = [createSigner(generateKey()), createSigner(generateKey())];
  expect(await verifyEs256(one.spki, message, await one.sign(message))).toBe(true);
  expect(await verifyEs256(two.spki, message, await one.sign(message))).toBe(false);
});

test("a secret is made once, and what an operator put there is taken, without the line's end", async () => {
  const path = join(folder, "secret");
  expect(await openSecret(path, () => "made")).toBe("made");
  expect(await openSecret(path, () => "made again")).toBe("made");
  await writeFile(path, "by hand\r\n");
  expect(await openSecret(path, () => "made again")).toBe("by hand");
});
