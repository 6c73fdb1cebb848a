/** nginx on a folder of files, with a configuration of its own that goes away with it. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuOf } from "./process.ts";

export type Nginx = { url: string; cpuMs(): number; close(): Promise<void> };

/** Serves `root` with one worker, on any port of the loopback, with the headers that the network sends. */
export async function startNginx(root: string, { keepsFilesOpen }: { keepsFilesOpen: boolean }): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), "tallystick-nginx-"));
  const port = await freePort();
  const path = join(folder, "nginx.conf");
  await writeFile(path, configuration({ root, folder, port, keepsFilesOpen }));
  const child = spawn("nginx", ["-p", folder, "-c", path, "-e", join(folder, "error.log")], { stdio: "inherit" });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await Promise.race([
    listening(port),
    ended.then(() => {
      throw new Error("nginx did not start");
    }),
  ]);
  const worker = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim());
  return {
    url: `http://127.0.0.1:${port}`,
    cpuMs: () => cpuOf(worker),
    async close() {
      child.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}

type Configuration = { root: string; folder: string; port: number; keepsFilesOpen: boolean };

function configuration({ root, folder, port, keepsFilesOpen }: Configuration): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `
${process.getuid?.() === 0 ? "user root;" : ""}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http {
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join("\n  ")}
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  ${keepsFilesOpen ? "open_file_cache max=10000;" : ""}
  default_type application/octet-stream;
  server {
    listen 127.0.0.1:${port};
    root ${root};
    location /tile/ {
      add_header access-control-allow-origin "*";
      add_header cache-control "public, max-age=31536000, immutable";
    }
    location = /checkpoint {
      default_type "text/plain; charset=utf-8";
      add_header access-control-allow-origin "*";
      add_header cache-control "no-cache";
    }
  }
}
`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = Object(server.address());
  await new Promise((resolve) => server.close(resolve));
  return Number(port);
}

/** Resolves once something takes connections at `port`. */
async function listening(port: number): Promise<void> {
  const isUp = await new Promise<boolean>((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
  if (isUp) return;
  await new Promise((resolve) => setTimeout(resolve, 20));
  await listening(port);
}
