import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { snpCertificates } from "../../../../test/hardware-evidence.ts";
import { createSystemRandom } from "../platform/random.ts";
import { commandSource, tsmSource } from "./sources.ts";
import { parseCertificateTable, readTsm, TSM_FOLDER, type TsmFiles } from "./tsm.ts";

/** A SEV-SNP host's table: each blob with a row of any GUID. */
function tableOf(blobs: readonly Uint8Array[]): Uint8Array {
  const head = 24 * (blobs.length + 1);
  const table = new Uint8Array(head + blobs.reduce((sum, { length }) => sum + length, 0));
  const view = new DataView(table.buffer);
  let at = head;
  for (const [i, blob] of blobs.entries()) {
    table.fill(i + 1, 24 * i, 24 * i + 16);
    view.setUint32(24 * i + 16, at, true);
    view.setUint32(24 * i + 20, blob.length, true);
    table.set(blob, at);
    at += blob.length;
  }
  return table;
}

/** A kernel's folder, as configfs-tsm shows it: attributes appear with the folder, and the report answers `inblob`. */
function kernel(provider: string, auxblob?: Uint8Array): { files: TsmFiles; folders: Set<string> } {
  const folders = new Set<string>();
  let inblob = new Uint8Array(0);
  const missing = () => Promise.reject(Object.assign(new Error("ENOENT"), { code: "ENOENT" }));
  const files: TsmFiles = {
    mkdir: async (path) => folders.add(path),
    write: async (path, bytes) => {
      expect(path).toMatch(/\/inblob$/);
      inblob = new Uint8Array(bytes);
    },
    read: async (path) => {
      const name = path.slice(path.lastIndexOf("/") + 1);
      if (name === "provider") return new TextEncoder().encode(`${provider}\n`);
      if (name === "outblob") return Uint8Array.of(9, ...inblob);
      return auxblob === undefined ? missing() : auxblob;
    },
    rmdir: async (path) => folders.delete(path),
  };
  return { files, folders };
}

const REPORT_DATA = new Uint8Array(32).fill(3);

test("the kernel is asked over 64 bytes, the host's certificates come along, and the folder goes again", async () => {
  const { files, folders } = kernel("sev_guest", tableOf([...snpCertificates.vcek, Uint8Array.of(1, 2, 3)]));
  const collected = await readTsm(files, "one", REPORT_DATA);
  expect(collected.technology).toBe("snp");
  expect(collected.evidence).toEqual(Uint8Array.of(9, ...REPORT_DATA, ...new Uint8Array(32)));
  expect(collected.collateral).toEqual(snpCertificates.vcek.map((bytes) => ({ kind: "certificate", bytes })));
  expect(folders.size).toBe(0);
});

test("a TDX guest's quote is one, a host without certificates gives none, and another provider is refused", async () => {
  expect(await readTsm(kernel("tdx_guest").files, "one", REPORT_DATA)).toMatchObject({
    technology: "tdx",
    collateral: [],
  });
  expect(await readTsm(kernel("sev_guest").files, "one", REPORT_DATA)).toMatchObject({
    technology: "snp",
    collateral: [],
  });
  const other = kernel("arm_cca_guest");
  await expect(readTsm(other.files, "one", REPORT_DATA)).rejects.toThrow("arm_cca_guest");
  expect(other.folders.size).toBe(0);
});

test("on a machine that is no such guest, the operator is told what is missing", async () => {
  const files = { ...kernel("tdx_guest").files, mkdir: () => Promise.reject(new Error("no such folder")) };
  await expect(readTsm(files, "one", REPORT_DATA)).rejects.toThrow(`${TSM_FOLDER} takes no reports`);
});

test("what lies beside is read each time: JSON as it is, or certificates in PEM", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tallystick-tsm-"));
  const path = join(folder, "collateral");
  const source = tsmSource(kernel("tdx_guest").files, createSystemRandom(), path);
  await expect(source(REPORT_DATA)).rejects.toThrow("cannot be read");
  await writeFile(path, '{"tcb_info":""}');
  expect((await source(REPORT_DATA)).collateral).toEqual([
    { kind: "json", bytes: new TextEncoder().encode('{"tcb_info":""}') },
  ]);
  const der = snpCertificates.vcek[0] ?? new Uint8Array(0);
  await writeFile(
    path,
    `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString("base64")}\n-----END CERTIFICATE-----\n`,
  );
  expect((await source(REPORT_DATA)).collateral).toEqual([{ kind: "certificate", bytes: der }]);
});

test("a table whose rows point outside, or at no certificates, gives none", () => {
  expect(parseCertificateTable(new Uint8Array(0))).toEqual([]);
  expect(parseCertificateTable(new Uint8Array(24 * 20).fill(255))).toEqual([]);
  expect(parseCertificateTable(tableOf([Uint8Array.of(0x30, 0)]))).toEqual([]);
});

test("a command gets the report data and prints JSON; what prints anything else, or fails, is named", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tallystick-command-"));
  const script = async (name: string, body: string) => {
    const path = join(folder, name);
    await writeFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o700 });
    return path;
  };
  const good = await script("good", `printf '{"technology":"nitro","evidence":"%s","collateral":[]}' "$1"`);
  const collected = await commandSource(good)(REPORT_DATA);
  expect(Buffer.from(collected.evidence).toString("base64")).toBe("03".repeat(32));
  expect(collected).toMatchObject({ technology: "nitro", collateral: [] });
  const chatty = await script("chatty", "echo hello");
  await expect(commandSource(chatty)(REPORT_DATA)).rejects.toThrow(`${chatty} has to print`);
  const pretender = await script("pretender", `echo '{"technology":"simulated","evidence":"","collateral":[]}'`);
  await expect(commandSource(pretender)(REPORT_DATA)).rejects.toThrow("technology");
  await expect(commandSource(await script("failing", "exit 3"))(REPORT_DATA)).rejects.toThrow("gave no evidence");
});
