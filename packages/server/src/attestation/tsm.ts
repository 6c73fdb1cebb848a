/**
 * Evidence by Linux's configfs-tsm (Documentation/ABI/testing/configfs-tsm-report): one interface for TDX and SEV-SNP guests.
 * A report is a folder: report data go into `inblob`, the quote or report comes out of `outblob`.
 */
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { concat, Malformed, parseCertificate } from "@tallystick/protocol";
import { OperatorError, systemCode } from "../platform/errors.ts";
import type { Collected } from "./sources.ts";

export const TSM_FOLDER = "/sys/kernel/config/tsm/report";
const TECHNOLOGIES: Record<string, "tdx" | "snp"> = { tdx_guest: "tdx", sev_guest: "snp" };
const INBLOB_SIZE_BYTES = 64;

/** The files that it is done with: the kernel's. */
export type TsmFiles = {
  mkdir(path: string): Promise<unknown>;
  write(path: string, bytes: Uint8Array): Promise<unknown>;
  read(path: string): Promise<Uint8Array>;
  rmdir(path: string): Promise<unknown>;
};

export const KERNEL_FILES: TsmFiles = {
  mkdir: (path) => mkdir(path),
  write: (path, bytes) => writeFile(path, bytes),
  read: async (path) => new Uint8Array(await readFile(path)),
  rmdir: (path) => rmdir(path),
};

/** Asks the kernel for a report over `reportData`, in a folder that is this asker's own. */
export async function readTsm(files: TsmFiles, name: string, reportData: Uint8Array): Promise<Collected> {
  const folder = join(TSM_FOLDER, name);
  await files.mkdir(folder).catch((cause: unknown) => {
    throw new OperatorError(
      `${TSM_FOLDER} takes no reports (${systemCode(cause) ?? cause}): is this a TDX or SEV-SNP guest, with configfs mounted and this user its owner?`,
      { cause },
    );
  });
  try {
    await files.write(
      join(folder, "inblob"),
      concat(reportData, new Uint8Array(INBLOB_SIZE_BYTES - reportData.length)),
    );
    const evidence = await files.read(join(folder, "outblob"));
    const provider = new TextDecoder().decode(await files.read(join(folder, "provider"))).trim();
    const technology = TECHNOLOGIES[provider];
    if (technology === undefined)
      throw new OperatorError(`the kernel's provider ${provider} is none that is known here`);
    const table = technology === "snp" ? await readOptional(files, join(folder, "auxblob")) : new Uint8Array(0);
    const certificates = parseCertificateTable(table);
    return { technology, evidence, collateral: certificates.map((bytes) => ({ kind: "certificate", bytes })) };
  } finally {
    await files.rmdir(folder);
  }
}

/** A host need not give certificates: then the file is not there, or is empty. */
async function readOptional(files: TsmFiles, path: string): Promise<Uint8Array> {
  try {
    return await files.read(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return new Uint8Array(0);
    throw error;
  }
}

const ROW_SIZE_BYTES = 24;
const ROWS_MOST = 16;

/** The certificates in the table that a SEV-SNP host gives (GHCB specification): rows of a GUID, an offset and a length. */
export function parseCertificateTable(table: Uint8Array): Uint8Array[] {
  const view = new DataView(table.buffer, table.byteOffset, table.length);
  const certificates: Uint8Array[] = [];
  for (let row = 0; row < ROWS_MOST && (row + 1) * ROW_SIZE_BYTES <= table.length; row++) {
    const at = row * ROW_SIZE_BYTES;
    if (table.subarray(at, at + ROW_SIZE_BYTES).every((byte) => byte === 0)) break;
    const start = view.getUint32(at + 16, true);
    const bytes = table.subarray(start, start + view.getUint32(at + 20, true));
    if (isCertificate(bytes)) certificates.push(bytes);
  }
  return certificates;
}

/** Whatever else the host puts beside the certificates is left out. */
function isCertificate(bytes: Uint8Array): boolean {
  try {
    parseCertificate(bytes);
    return true;
  } catch (error) {
    if (error instanceof Malformed) return false;
    throw error;
  }
}
