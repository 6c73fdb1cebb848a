/** A revision as a worker may load it: its files are those that its manifest names, byte for byte. */
import { equal, hex, type Manifest, sha256 } from "@tallystick/protocol";
import { graphFaults } from "./gate.ts";
import { ggufFaults } from "./gguf.ts";

export type Revision = {
  digest: Uint8Array;
  manifest: Manifest;
  /** By path in the manifest; what nobody computes on may be missing. */
  files: ReadonlyMap<string, Uint8Array>;
};

/** A revision whose files were checked; `key` is the hex of its digest. */
export type CheckedRevision = {
  key: string;
  manifest: Manifest;
  files: ReadonlyMap<string, Uint8Array>;
  sizeBytes: number;
};

/** Copies the files and holds the copies to the manifest. Throws when one is not what it says, or is no graph to run here. */
export function checkRevision({ digest, manifest, files }: Revision): CheckedRevision {
  const checked = new Map<string, Uint8Array>();
  let sizeBytes = 0;
  for (const artifact of manifest.artifacts) {
    const given = files.get(artifact.path);
    const name = `"${artifact.path}" of ${manifest.name} ${manifest.version}`;
    if (given === undefined) {
      if (artifact.role === "card" || artifact.role === "example") continue;
      throw new Error(`${name} is missing: fetch the revision's files again`);
    }
    const bytes = shared(given);
    if (bytes.length !== artifact.sizeBytes)
      throw new Error(`${name} is ${bytes.length} bytes, not ${artifact.sizeBytes}: fetch it again`);
    const found = sha256(bytes);
    if (!equal(found, artifact.digest))
      throw new Error(`${name} has the SHA-256 ${hex(found)}, not ${hex(artifact.digest)}: fetch it again`);
    if (artifact.role === "model") {
      const faults = manifest.engine === "llama" ? ggufFaults(bytes) : graphFaults(bytes);
      if (faults.length > 0) throw new Error(`${name} ${faults.slice(0, 3).join("; it ")}`);
    }
    checked.set(artifact.path, bytes);
    sizeBytes += bytes.length;
  }
  return { key: hex(digest), manifest, files: checked, sizeBytes };
}

/** A copy that all threads read, so that a file is in memory once. */
function shared(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
