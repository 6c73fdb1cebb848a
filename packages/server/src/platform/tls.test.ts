import { generateKeyPairSync } from "node:crypto";
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readTls } from "./tls.ts";

/** A certificate of its own signature for tallystick.test, localhost and 127.0.0.1, valid to 2100. */
const PAIR = join(import.meta.dirname, "../../../../test/tls");

let folder: string;
let certPath: string;
let keyPath: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tls-"));
  [certPath, keyPath] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  await copyFile(join(PAIR, "cert.pem"), certPath);
  await copyFile(join(PAIR, "key.pem"), keyPath);
  await chmod(keyPath, 0o600);
});
afterAll(() => rm(folder, { recursive: true }));

test.each(["tallystick.test", "localhost", "127.0.0.1"])("a pair for %s is read as it is", async (host) => {
  expect(await readTls({ certPath, keyPath }, host)).toEqual({
    cert: await readFile(certPath, "utf8"),
    key: await readFile(keyPath, "utf8"),
  });
});

test.each(["tallystick.example", "127.0.0.2", "::1"])("a certificate that is not for %s is refused", async (host) => {
  await expect(readTls({ certPath, keyPath }, host)).rejects.toThrow(
    `is not for ${host} but for DNS:localhost, DNS:tallystick.test, IP Address:127.0.0.1: give --url`,
  );
});

test("a pair that does not belong together, or is no pair, is refused by the name of its file", async () => {
  const otherPath = join(folder, "other.pem");
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  await writeFile(otherPath, privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });
  const read = (cert: string, key: string) => readTls({ certPath: cert, keyPath: key }, "localhost");
  await expect(read(certPath, otherPath)).rejects.toThrow(/other.pem is not the key of the certificate .*cert.pem/);
  await expect(read(keyPath, keyPath)).rejects.toThrow(/key.pem is not a certificate in PEM/);
  const notKeyPath = join(folder, "not-key.pem");
  await writeFile(notKeyPath, "?", { mode: 0o600 });
  await expect(read(certPath, notKeyPath)).rejects.toThrow(/not-key.pem is not a private key in PEM/);
  const lockedPath = join(folder, "locked.pem");
  const cipher = { format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "secret" } as const;
  await writeFile(lockedPath, privateKey.export(cipher), { mode: 0o600 });
  await expect(read(certPath, lockedPath)).rejects.toThrow(
    /locked.pem is not a private key in PEM without a passphrase/,
  );
});

test("a file that is not there, or a key that others may read, is refused with what to do", async () => {
  const read = (cert: string, key: string) => readTls({ certPath: cert, keyPath: key }, "localhost");
  await expect(read(join(folder, "none"), keyPath)).rejects.toThrow(/certificate cannot be read: .*none.*--tls-cert/);
  await expect(read(folder, keyPath)).rejects.toThrow(/certificate cannot be read/);
  await expect(read(certPath, join(folder, "none"))).rejects.toThrow(/none is missing: .*--tls-key/);
  const openPath = join(folder, "open.pem");
  await copyFile(keyPath, openPath);
  await chmod(openPath, 0o644);
  await expect(read(certPath, openPath)).rejects.toThrow(`chmod 600 ${openPath}`);
});
