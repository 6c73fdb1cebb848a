import { join } from "node:path";
import { auditLog, systemEdges } from "@tallystick/client";
import { parseNoteKey, trustInLog } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { openHome } from "../../packages/client/src/cli/home.ts";
import { type SimulateArguments, simulateCommand } from "../../packages/client/src/cli/simulate.ts";
import { temporaryFolder } from "../folder.ts";
import { readLogFiles, sourceOf } from "./log-files.ts";

async function simulated(home: string, changes: Partial<SimulateArguments>): Promise<{ out: string; err: string }> {
  const [out, err]: string[][] = [[], []];
  const terminal = { out: (text: string) => void out?.push(text), err: (text: string) => void err?.push(text) };
  const context = {
    terminal: { ...terminal, isTty: false },
    edges: systemEdges,
    home: openHome({ HOME: home }),
    env: {},
  };
  const status = await simulateCommand({ seed: "9", days: "7", calls: "1000", json: true, ...changes }, context);
  expect(status).toBe(0);
  return { out: out?.join("") ?? "", err: err?.join("") ?? "" };
}

test("a simulated log that is written is one that an audit accepts, and its report is that of the unsigned one", {
  timeout: 600_000,
}, async () => {
  await using folder = await temporaryFolder();
  const log = join(folder.path, "log");
  const { out, err } = await simulated(folder.path, { out: log });
  expect((await simulated(folder.path, {})).out).toBe(out);
  const report: unknown = JSON.parse(out);
  expect(report).toMatchObject({
    seed: 9,
    rules: { version: "tallystick-organic-v2" },
    attacks: expect.arrayContaining([
      { name: "two_wallets", structural: false, volume: 120, validShare: 1, organicShare: 0, costToFake: null },
    ]),
    honest: { excludedShare: expect.any(Number), tooFewShare: expect.any(Number) },
  });
  const vkey = /--vkey (\S+)/.exec(err)?.[1] ?? "";
  const audit = await auditLog(sourceOf(await readLogFiles(log)), { trust: trustInLog(parseNoteKey(vkey)) });
  expect(audit.findings).toEqual([]);
  expect(audit.entryCount).toBe(audit.size);
  const { receipts } = report as { receipts: number };
  expect(audit.figures.totals.gross).toBe(receipts);
  await expect(simulated(folder.path, { out: log })).rejects.toThrow("is not empty");
});

test("what a person reads fits 80 columns, and names every attack and reason", async () => {
  await using folder = await temporaryFolder();
  const { out } = await simulated(folder.path, { json: false });
  for (const line of out.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
  for (const word of ["farm_randomised", "recirculated", "organic_payers", "Replicate"]) expect(out).toContain(word);
});

test.each([
  [{ seed: "one" }, "--seed is a whole number"],
  [{ days: "6" }, "--days is a whole number from 7 to 90"],
  [{ calls: "999" }, "--calls is a whole number from 1000 to 200000"],
])("%o is refused", async (changes, why) => {
  await using folder = await temporaryFolder();
  await expect(simulated(folder.path, changes)).rejects.toThrow(why);
});
