/** What a child may take, and what becomes of who waits for it: none of this needs the CRS. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compiled, saidBy } from "../../../../test/own-process.ts";
import { CRS_FOLDER, importFixture, PROVING_TIMEOUT_MS } from "../../../../test/proving.ts";
import { openCrs } from "./crs.ts";
import { batchFor } from "./estimate.ts";
import { openLane } from "./lane.ts";
import { PROVING_LIMITS } from "./limits.ts";
import { noirProgram } from "./noir.ts";
import { openProver } from "./prover.ts";

const TEXT = noirProgram(importFixture("logreg30").circuit.architecture, 1);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tallystick-lane-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("what takes longer than it may is ended, and the next request gets another child", {
  timeout: PROVING_TIMEOUT_MS,
}, async () => {
  await using lane = openLane(folder, PROVING_LIMITS);
  expect(await lane.ask({ kind: "compile", text: TEXT }, 1)).toMatchObject({ kind: "fault", reason: "deadline" });
  expect(await lane.ask({ kind: "compile", text: "fn main() {" }, PROVING_TIMEOUT_MS)).toMatchObject({
    reason: "refused",
  });
});

test.skipIf(process.platform !== "linux")(
  "what holds more memory than it may is ended",
  { timeout: PROVING_TIMEOUT_MS },
  async () => {
    await using lane = openLane(folder, { ...PROVING_LIMITS, memoryBytes: 20 * 1024 * 1024 });
    expect(await lane.ask({ kind: "compile", text: TEXT }, PROVING_TIMEOUT_MS)).toMatchObject({
      kind: "fault",
      reason: "memory",
      message: "took more than 20 MiB of memory",
    });
  },
);

test("more requests than may wait are refused, and those that wait when it closes are told", async () => {
  const lane = openLane(folder, { ...PROVING_LIMITS, pending: 2 });
  const waiting = [1, 2].map(() => lane.ask({ kind: "compile", text: TEXT }, PROVING_TIMEOUT_MS));
  expect(() => lane.ask({ kind: "compile", text: TEXT }, 1)).toThrow("2 proofs wait already");
  await lane[Symbol.asyncDispose]();
  expect(await Promise.all(waiting)).toMatchObject([{ reason: "crashed" }, { reason: "crashed" }]);
});

test("a CRS that is not the ceremony's is refused at the start", async () => {
  const other = join(folder, "other");
  await mkdir(other);
  await writeFile(join(other, "bn254_g1.dat"), new Uint8Array(64 * 40_000));
  await writeFile(join(other, "bn254_g2.dat"), new Uint8Array(128));
  await expect(openProver({ folder, crsPath: other })).rejects.toThrow("is not of the Aztec Ignition ceremony");
  expect(await openCrs(join(folder, "none"))).toMatchObject({ gates: undefined });
});

test.skipIf(CRS_FOLDER === undefined)("the ceremony's CRS says how large a circuit may be", async () => {
  const { gates = 0 } = await openCrs(CRS_FOLDER ?? "");
  expect(Math.log2(gates) % 1).toBe(0);
  expect(gates).toBeGreaterThanOrEqual(32_768);
});

test("calls are proved in the smallest batch that holds them, of those that there is room for", () => {
  const upTo = (most: number) => (batch: number) => batch <= most;
  expect([1, 2, 4, 5, 16, 100].map((calls) => batchFor(calls, upTo(16)))).toEqual([1, 4, 4, 16, 16, 16]);
  expect([1, 2, 100].map((calls) => batchFor(calls, upTo(4)))).toEqual([1, 4, 4]);
  expect(batchFor(9, upTo(0))).toBe(1);
});

test.skipIf(process.platform === "win32")(
  "while the system starts no process a proof is a fault, and the next one gets a child",
  { timeout: PROVING_TIMEOUT_MS },
  async () => {
    const script = `
      import { openLane } from ${compiled("server/dist/proving/lane.js")};
      import { PROVING_LIMITS } from ${compiled("server/dist/proving/limits.js")};
      const lane = openLane(${JSON.stringify(folder)}, PROVING_LIMITS);
      const ask = () => lane.ask({ kind: "compile", text: "fn main() {" }, ${PROVING_TIMEOUT_MS});
      const feed = starve();
      const failed = await ask();
      feed();
      say([failed, await ask()].map(({ reason }) => reason));
      await lane[Symbol.asyncDispose]();
    `;
    expect(await saidBy(script)).toEqual(["crashed", "refused"]);
  },
);
