/** Every system call of a log fails, with each error, and is the last before a kill: some seven hundred runs. */
import { expect, test } from "vitest";
import { openFaults } from "../server/faults.ts";
import { canInject } from "../server/log-processes.ts";

test.each(["EIO", "ENOSPC", "SIGKILL"] as const)(
  "%s at any system call of a log loses nothing that it acknowledged",
  async (fault) => {
    if (!canInject()) throw new Error("install strace: without it there is nothing to see");
    await using faults = await openFaults();
    const failures: string[] = [];
    for (const call of faults.calls)
      await faults.meet(call, fault).catch((error: unknown) => {
        if (!(error instanceof Error)) throw error;
        failures.push(`${error.message}: ${error.cause}`);
      });
    console.log(`${fault}: ${faults.calls.length} calls, ${failures.length} failures`);
    expect(failures).toEqual([]);
  },
);
