/** Workers, child processes and the commands run from `dist`, so the tests build it first; a second time costs nothing. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

export function setup(): void {
  execFileSync(process.execPath, ["scripts/build.mjs"], { cwd: join(import.meta.dirname, ".."), stdio: "inherit" });
}
