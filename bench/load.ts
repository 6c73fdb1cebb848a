/** A load of HTTP requests over kept-alive connections, and what the server made of it. */
import { Agent, request } from "node:http";

export type Load = {
  url: string;
  headers: Record<string, string>;
  body: string;
  connections: number;
  durationMs: number;
};
export type LoadResult = { requestsPerSecond: number; p50Ms: number; p99Ms: number };

/** Sends `body` again and again on each connection for `durationMs`. Throws where an answer is not 200. */
export async function runLoad({ url, headers, body, connections, durationMs }: Load): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const times: number[] = [];
  const started = performance.now();
  const send = () =>
    new Promise<void>((resolve, reject) => {
      const sent = performance.now();
      const head = { ...headers, "content-length": String(Buffer.byteLength(body)) };
      const outgoing = request(url, { method: "POST", agent, headers: head }, (response) => {
        response.on("error", reject);
        response.resume().on("end", () => {
          times.push(performance.now() - sent);
          if (response.statusCode === 200) resolve();
          else reject(new Error(`${url} answered ${response.statusCode}`));
        });
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (performance.now() - started < durationMs) await send();
    }),
  );
  const elapsedMs = performance.now() - started;
  agent.destroy();
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(share * (times.length - 1))] ?? 0;
  return { requestsPerSecond: (1000 * times.length) / elapsedMs, p50Ms: at(0.5), p99Ms: at(0.99) };
}

if (process.argv[2] !== undefined && process.send !== undefined) {
  // As a process of its own, so that what it costs is not the server's.
  runLoad(JSON.parse(process.argv[2])).then(
    (result) => process.send?.(result),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
}
