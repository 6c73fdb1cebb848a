/**
 * Makes test/vectors anew, but for the CBOR ones, which are written by hand. Keys, salts and signatures follow from
 * labels, so that the same code makes the same bytes:
 *
 *     npx tsx --conditions=@tallystick/source scripts/make-vectors.ts
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { answerVectors, callVectors, commitmentVectors, fieldVectors, unitVectors } from "./vectors/call.ts";
import { coseReceiptVectors } from "./vectors/cose-receipt.ts";
import { entryVectors } from "./vectors/entry.ts";
import { canonicalVectors, openAiAnswerVectors } from "./vectors/json.ts";
import { checkpointVectors, noteVectors, proofVectors, tilePathVectors, vkeyVectors } from "./vectors/log.ts";
import { manifestVectors } from "./vectors/model.ts";
import { policyVectors } from "./vectors/policy.ts";
import { receiptVectors } from "./vectors/receipt.ts";
import { streamVectors } from "./vectors/stream.ts";
import { usageVectors } from "./vectors/usage.ts";

/** The text of every file, by its path under test/vectors. */
export async function makeVectors(): Promise<Map<string, string>> {
  const { valid, invalid } = await entryVectors();
  const files: [string, object[]][] = [
    ["call/answers.json", answerVectors()],
    ["call/calls.json", callVectors()],
    ["call/canonical-json.json", canonicalVectors()],
    ["call/commitments.json", commitmentVectors()],
    ["call/fields.json", fieldVectors()],
    ["call/openai-answers.json", openAiAnswerVectors()],
    ["call/units.json", unitVectors()],
    ["entry/invalid.json", invalid],
    ["entry/valid.json", valid],
    ["log/checkpoints.json", checkpointVectors()],
    ["log/cose-receipts.json", await coseReceiptVectors()],
    ["log/notes.json", noteVectors()],
    ["log/policies.json", policyVectors()],
    ["log/proofs.json", proofVectors()],
    ["log/tile-paths.json", tilePathVectors()],
    ["log/vkeys.json", vkeyVectors()],
    ["model/manifests.json", manifestVectors()],
    ["receipt/files.json", await receiptVectors()],
    ["receipt/streams.json", await streamVectors()],
    ["usage/logs.json", await usageVectors()],
  ];
  return new Map(files.map(([path, vectors]) => [path, textOf(vectors)]));
}

/** A line a vector, so that a change shows which one it changes. */
function textOf(vectors: object[]): string {
  return `[\n${vectors.map((vector) => `  ${JSON.stringify(vector)}`).join(",\n")}\n]\n`;
}

if (import.meta.filename === process.argv[1]) {
  for (const [path, text] of await makeVectors()) {
    const file = join(import.meta.dirname, "../test/vectors", path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    console.log(`${path}: ${text.split("\n").length - 3} vectors`);
  }
}
