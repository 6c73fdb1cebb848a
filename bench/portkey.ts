/** Portkey's gateway, as its package starts it: fetched with npm into a folder of its own, since nobody else needs it. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Server, serverOf } from "./process.ts";

export const PORTKEY = "@portkey-ai/gateway@1.15.2";
const FOLDER = join(tmpdir(), "tallystick-bench-portkey-1.15.2");
const ENTRY = join(FOLDER, "node_modules", "@portkey-ai", "gateway", "build", "start-server.js");
const START_MS = 30_000;

/** Starts it before `upstream`; undefined where npm cannot fetch it. */
export async function startPortkey(upstream: string): Promise<Server | undefined> {
  if (!existsSync(ENTRY)) {
    mkdirSync(FOLDER, { recursive: true });
    const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", FOLDER, PORTKEY];
    if (spawnSync("npm", args, { cwd: FOLDER, stdio: "ignore" }).status !== 0) return undefined;
  }
  const port = await freePort();
  const child = spawn(process.execPath, [ENTRY, "--headless", `--port=${port}`], {
    env: { ...process.env, NODE_ENV: "production" },
    stdio: "ignore",
  });
  const url = `http://127.0.0.1:${port}`;
  const until = performance.now() + START_MS;
  while (
    !(await fetch(url).then(
      () => true,
      () => false,
    ))
  ) {
    if (performance.now() > until) throw new Error(`${PORTKEY} does not listen`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const headers = {
    "x-portkey-provider": "openai",
    "x-portkey-custom-host": `${upstream}/v1`,
    authorization: "Bearer none",
  };
  return serverOf(child, url, headers);
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0));
    });
  });
}
