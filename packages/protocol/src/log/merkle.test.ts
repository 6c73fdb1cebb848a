import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { vectorsOf } from "../../../../test/vectors-dir.ts";
import { parseBase64 } from "../bytes.ts";
import { verifyConsistency, verifyInclusion } from "./merkle.ts";

const folder = vectorsOf("merkle");
const bytes = (text: string | null) => parseBase64(text ?? "") ?? new Uint8Array(0);

test.skipIf(folder === undefined)(
  "every inclusion and consistency vector of transparency-dev/merkle is judged as it says",
  () => {
    const files = readdirSync(folder!, { recursive: true, withFileTypes: true }).filter(
      (f) => f.isFile() && f.name.endsWith(".json"),
    );
    let n = 0;
    for (const f of files) {
      const v = JSON.parse(readFileSync(join(f.parentPath, f.name), "utf8"));
      const proof = (v.proof ?? []).map(bytes);
      const ok = f.parentPath.includes("inclusion")
        ? verifyInclusion(bytes(v.leafHash), v.leafIdx, v.treeSize, proof, bytes(v.root))
        : verifyConsistency(v.size1, v.size2, bytes(v.root1), bytes(v.root2), proof);
      expect(ok, join(f.parentPath, f.name)).toBe(!v.wantErr);
      n++;
    }
    expect(n).toBeGreaterThan(100);
  },
);
