import { execFileSync } from "node:child_process";
execFileSync("npx", ["tsc", "-b"], { stdio: "inherit" });
