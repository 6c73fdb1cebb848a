/** `tallyd verifier`: comes in at its network, verifies until it is told to stop, and ends cleanly. */
import { readFile } from "node:fs/promises";
import { systemClock } from "./platform/clock.ts";
import type { Report } from "./platform/http.ts";
import { requirePrivate } from "./platform/private-files.ts";
import { createSystemRandom } from "./platform/random.ts";
import { parseVerifierOptions, VERIFIER_HELP } from "./verifier-options.ts";
import { openVerifierRole } from "./verifier-role.ts";

/** Runs until `stopped` resolves. Throws where it cannot start, and where its log is not to be believed any more. */
export async function runVerifier(args: string[], stopped: Promise<void>): Promise<void> {
  const command = parseVerifierOptions(args);
  if (command === "help") {
    process.stdout.write(VERIFIER_HELP);
    return;
  }
  // Who reads what it prints may go away; the verifier goes on.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  const report: Report = (event, detail) => void process.stderr.write(`${JSON.stringify({ event, ...detail })}\n`);
  const { tokenPath, cpuShare, json, gateway, ...rest } = command;
  await requirePrivate(tokenPath, "file", "give the token of the network's operator with --token-file");
  const token = (await readFile(tokenPath, "utf8")).trim();
  const verifier = await openVerifierRole({
    ...{ ...rest, gateway, token, report, limits: { cpuShare } },
    clock: systemClock,
    random: createSystemRandom(),
    logIntervalMs: 1_000,
    checkIntervalMs: 5_000,
  });
  try {
    await verifier.start();
    const { id, name } = verifier;
    if (json) process.stdout.write(`${JSON.stringify({ id, name, gateway })}\n`);
    else process.stdout.write(`The verifier ${name} is ready\n\nIt verifies ${gateway}. Its key: ${id}\n`);
    const broken = await Promise.race([stopped, verifier.broken]);
    if (broken !== undefined) throw broken;
  } finally {
    await verifier.close();
  }
}
