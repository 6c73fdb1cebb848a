/** A model's files as a node gets them: from the hub by digest, held to it, and kept on disk up to a bound. */
import { readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { type Artifact, equal, hex, type Manifest, sha256 } from "@tallystick/protocol";
import { ServiceError, systemCode } from "../platform/errors.ts";
import { makeFolder, writeDurably } from "../platform/files.ts";

export type ArtifactParts = {
  folder: string;
  /** The artifact as the hub gives it, of `sizeBytes` at most. Throws where it does not. */
  fetchArtifact(digest: Uint8Array, sizeBytes: number): Promise<Uint8Array>;
  clock: { nowMs(): number };
  /** What is kept on disk; what was used longest ago makes room. */
  keptBytes: number;
};

export type Artifacts = { files(manifest: Manifest): Promise<Map<string, Uint8Array>> };

export async function openArtifacts({ folder, fetchArtifact, clock, keptBytes }: ArtifactParts): Promise<Artifacts> {
  await makeFolder(folder);
  const fetching = new Map<string, Promise<Uint8Array>>();

  async function find(name: string, digest: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      const bytes = new Uint8Array(await readFile(join(folder, name)));
      if (!equal(sha256(bytes), digest)) return undefined; // Damaged: fetched again.
      const now = new Date(clock.nowMs());
      await utimes(join(folder, name), now, now);
      return bytes;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  async function fetchInto(name: string, { digest, sizeBytes, path }: Artifact): Promise<Uint8Array> {
    const bytes = await fetchArtifact(digest, sizeBytes);
    if (bytes.length !== sizeBytes || !equal(sha256(bytes), digest))
      throw new ServiceError("unavailable", `the hub gave other bytes for ${path} than its digest ${name} says`);
    await makeRoom(sizeBytes);
    if (sizeBytes <= keptBytes) await writeDurably(join(folder, name), bytes);
    return bytes;
  }

  async function makeRoom(sizeBytes: number): Promise<void> {
    const rows = await Promise.all(
      (await readdir(folder)).map(async (name) => {
        const found = await stat(join(folder, name)).catch(() => undefined);
        return { name, sizeBytes: found?.size ?? 0, usedMs: found?.mtimeMs ?? 0 };
      }),
    );
    let keptNow = rows.reduce((sum, row) => sum + row.sizeBytes, 0);
    for (const row of rows.sort((a, b) => a.usedMs - b.usedMs)) {
      if (keptNow + sizeBytes <= keptBytes) return;
      await rm(join(folder, row.name), { force: true });
      keptNow -= row.sizeBytes;
    }
  }

  async function get(artifact: Artifact): Promise<Uint8Array> {
    const name = hex(artifact.digest);
    const found = await find(name, artifact.digest);
    if (found !== undefined) return found;
    const known = fetching.get(name);
    if (known !== undefined) return known;
    const fetched = fetchInto(name, artifact).finally(() => fetching.delete(name));
    fetching.set(name, fetched);
    return fetched;
  }

  return {
    async files(manifest) {
      const wanted = manifest.artifacts.filter(({ role }) => role === "model" || role === "file");
      const files = new Map<string, Uint8Array>();
      for (const artifact of wanted) files.set(artifact.path, await get(artifact));
      return files;
    },
  };
}
