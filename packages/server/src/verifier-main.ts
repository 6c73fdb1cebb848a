/** `tallyd verifier`: comes in at its network, verifies until it is told to stop, and ends cleanly. */
import { systemClock } from "./platform/clock.ts";
import { readToken } from "./platform/private-files.ts";
import { createSystemRandom } from "./platform/random.ts";
import type { RoleProcess } from "./role-process.ts";
import { parseVerifierOptions, VERIFIER_HELP } from "./verifier-options.ts";
import { openVerifierRole } from "./verifier-role.ts";

/** Runs until `stopped` resolves. Throws where it cannot start, and where its log is not to be believed any more. */
export async function runVerifier(args: string[], { print, report, stopped }: RoleProcess): Promise<void> {
  const command = parseVerifierOptions(args);
  if (command === "help") return print(VERIFIER_HELP);
  const { tokenPath, cpuShare, json, gateway, ...rest } = command;
  const token = await readToken(tokenPath, "give the token of the network's operator with --token-file");
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
    if (json) print(`${JSON.stringify({ id, name, gateway })}\n`);
    else print(`The verifier ${name} is ready\n\nIt verifies ${gateway}. Its key: ${id}\n`);
    const broken = await Promise.race([stopped, verifier.broken]);
    if (broken !== undefined) throw broken;
  } finally {
    await verifier.close();
  }
}
