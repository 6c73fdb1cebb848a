import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { equal, sha256 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { createChain, makeChain, readChains } from "./chain.ts";

const SECRET = new Uint8Array(32).fill(1);

test("every value of a chain is given out after the one that it hashes to, down to the secret", () => {
  for (const length of [1, 2, 255, 256, 257, 600]) {
    const chain = createChain(SECRET, length);
    let [last, count] = [chain.anchor, 0];
    for (let value = chain.before(last); value !== undefined; value = chain.before(value)) {
      expect(equal(sha256(value), last)).toBe(true);
      [last, count] = [value, count + 1];
    }
    expect(count).toBe(length);
    expect(last).toEqual(SECRET);
  }
});

test("a chain goes on anywhere, and knows no value of another", () => {
  const chain = createChain(SECRET, 1_000);
  const values = [chain.anchor];
  for (let i = 0; i < 1_000; i++) values.push(chain.before(values.at(-1) ?? SECRET) ?? SECRET);
  for (const at of [700, 3, 999, 256, 512])
    expect(createChain(SECRET, 1_000).before(values[at] ?? SECRET)).toEqual(values[at + 1]);
  expect(chain.before(new Uint8Array(32))).toBeUndefined();
});

test("the last two chains are kept for their owner alone, and are the same after a restart", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tallystick-chain-"));
  const path = join(folder, "chain");
  const anchors = async () => (await readChains(path)).map(({ anchor }) => anchor);
  expect(await anchors()).toEqual([]);
  const made: Uint8Array[] = [];
  for (const byte of [1, 2, 3]) made.push((await makeChain(path, () => SECRET.map(() => byte), 300)).anchor);
  expect(await anchors()).toEqual(made.slice(-2)); // The one before, too: lots may rest on it.
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await writeFile(path, "something else");
  await expect(readChains(path)).rejects.toThrow(/no hash chain/);
  await rm(folder, { recursive: true });
});
