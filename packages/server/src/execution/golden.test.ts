import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Tensor } from "@tallystick/protocol";
import { afterAll, expect, test } from "vitest";
import { digestTokens, GOLDEN_PATH, greedyPrompt } from "../../../../models/golden.ts";
import { readExample, tensorFolders, textFolders } from "../../../../models/load.ts";
import { readModelSource } from "../hub/source.ts";
import type { GenerationDelta, TokenLogprob } from "./generation.ts";
import { openExecution } from "./pool.ts";

const golden: Record<string, string> = JSON.parse(readFileSync(GOLDEN_PATH, "utf8"));
const pool = await openExecution({ judgeWorkerCount: 2, log: () => {} });
afterAll(() => pool[Symbol.asyncDispose]());

/** As models/golden.ts has it. */
function digestOf(outputs: Tensor[]): string {
  const hash = createHash("sha256");
  for (const { name, datatype, shape, data } of [...outputs].sort((a, b) => (a.name < b.name ? -1 : 1)))
    hash.update(`${name} ${datatype} [${shape}] ${data.length}\n`).update(data);
  return hash.digest("hex");
}

test.each(tensorFolders())(
  "%s gives in a judge worker, alone and in a batch, the bits that its golden digest is of",
  async (folder) => {
    const { manifest, files } = await readModelSource(join(GOLDEN_PATH, "..", folder));
    const digest = new Uint8Array(createHash("sha256").update(folder).digest());
    await pool.load({ digest, manifest, files });
    const run = () => pool.run(digest, readExample(folder), { deadlineMs: 240_000 });
    for (const execution of [await run(), ...(await Promise.all([run(), run()]))]) {
      expect(execution).toMatchObject({ kind: "answered" });
      expect(digestOf(execution.kind === "answered" ? execution.outputs : [])).toBe(golden[folder]);
    }
  },
  240_000,
);

test.each(textFolders())(
  "%s writes in a judge worker, alone and in company, the tokens that its golden digest is of",
  async (folder) => {
    const { manifest, files } = await readModelSource(join(GOLDEN_PATH, "..", folder));
    const digest = new Uint8Array(createHash("sha256").update(folder).digest());
    await pool.load({ digest, manifest, files });
    async function write(): Promise<string> {
      const tokens: TokenLogprob[] = [];
      const onDelta = ({ logprobs }: GenerationDelta) => tokens.push(...logprobs);
      await pool.generate(digest, greedyPrompt(folder), { deadlineMs: 240_000, onDelta });
      return digestTokens(tokens);
    }
    for (const found of [await write(), ...(await Promise.all([write(), write(), write()]))])
      expect(found).toBe(golden[folder]);
  },
  240_000,
);
