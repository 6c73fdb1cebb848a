/** Our vectors as files: made by a script anybody can run, and more of them invalid than valid. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeVectors } from "../../../scripts/make-vectors.ts";
import { readVectors, type Vector } from "../../../test/vectors.ts";

const FOLDER = join(import.meta.dirname, "../../../test/vectors");
const files = readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
  .map((path) => path.replaceAll("\\", "/"))
  .filter((path) => path.endsWith(".json"));

test("the script makes the vectors that are committed, byte for byte", async () => {
  const made = await makeVectors();
  for (const [path, text] of made) expect(readFileSync(join(FOLDER, path), "utf8") === text, path).toBe(true);
  const byHand = files.filter((path) => !made.has(path)).sort();
  expect(byHand).toEqual(["cbor/invalid.json", "cbor/valid.json"]);
});

test("a vector says what it is and whether it must be refused; invalid ones outnumber valid ones", () => {
  const all = files.flatMap((path) => readVectors<Vector>(path));
  for (const { desc, wantErr } of all) expect([typeof desc, typeof wantErr]).toEqual(["string", "boolean"]);
  expect(all.filter(({ wantErr }) => wantErr).length).toBeGreaterThan(all.length / 2);
});

test("no two vectors of a file have the same description", () => {
  for (const path of files) {
    const descriptions = readVectors<Vector>(path).map(({ desc }) => desc);
    expect(
      descriptions.filter((desc, i) => descriptions.indexOf(desc) !== i),
      path,
    ).toEqual([]);
  }
});

test("the README says what every file of vectors is", () => {
  const readme = readFileSync(join(FOLDER, "README.md"), "utf8");
  for (const path of files) expect(readme).toContain(path);
});
