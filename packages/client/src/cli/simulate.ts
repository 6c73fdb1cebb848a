/** `tally simulate`: demand and attacks with known truth, and what the rules make of them. */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { encodeNoteKey } from "@tallystick/protocol";
import { noteKeyOf, UNSIGNED } from "../simulate/keyring.ts";
import { logFiles } from "../simulate/log-files.ts";
import { reportOf } from "../simulate/report.ts";
import { endSecondsOf, simulate } from "../simulate/simulate.ts";
import type { Context } from "./context.ts";
import { simulationKeys } from "./simulation-keys.ts";
import { simulationText } from "./simulation-text.ts";
import { createProgress, EXIT, type Exit, UsageError } from "./terminal.ts";

export type SimulateArguments = { seed: string; days?: string; calls?: string; out?: string; json: boolean };

/** A window of four weeks, as Replicate's figures are of; a seventh of the calls is enough for each of their points. */
const DAYS = 28;
const CALLS = 20_000;

export async function simulateCommand(
  { seed, days, calls, out, json }: SimulateArguments,
  { terminal, edges }: Context,
): Promise<Exit> {
  const sizes = {
    seed: wholeNumber("--seed", seed, 0, 0xffff_ffff),
    days: days === undefined ? DAYS : wholeNumber("--days", days, 7, 90),
    calls: calls === undefined ? CALLS : wholeNumber("--calls", calls, 1_000, 200_000),
  };
  if (out !== undefined) await refuseFull(out);
  const keyring = out === undefined ? UNSIGNED : simulationKeys(sizes.seed);
  const progress = createProgress(terminal, "simulating", edges.nowMs);
  const simulation = await simulate({
    ...sizes,
    keyring,
    onProgress: progress.update,
    withSnapshots: out !== undefined,
  }).finally(progress.end);
  const report = reportOf(simulation);
  terminal.out(json ? `${JSON.stringify(report)}\n` : simulationText(report));
  if (out === undefined) return EXIT.ok;
  for (const { path, bytes } of logFiles(simulation.world, endSecondsOf(sizes.days))) {
    await mkdir(dirname(join(out, path)), { recursive: true });
    await writeFile(join(out, path), bytes);
  }
  terminal.err(`the log is in ${out}: tally audit ${out} --vkey ${encodeNoteKey(noteKeyOf(keyring))}\n`);
  return EXIT.ok;
}

/** A log is not written over another. */
async function refuseFull(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length > 0) throw new UsageError(`${folder} is not empty: --out takes a new folder`);
}

function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || value < least || value > most)
    throw new UsageError(`${option} is a whole number from ${least} to ${most}, not ${JSON.stringify(text)}`);
  return value;
}
