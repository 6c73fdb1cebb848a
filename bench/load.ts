/** A load of HTTP requests over kept-alive connections, as light as can be: what is measured is the server, not this. */
import { connect } from "node:net";

export type Load = {
  url: string;
  headers: Record<string, string>;
  body: string;
  connections: number;
  durationMs: number;
};
/** `firstMs` is the median until the first event of a streamed answer. */
export type LoadResult = { requestsPerSecond: number; p50Ms: number; p99Ms: number; firstMs: number };

/** Sends the same request again and again on each connection for `durationMs`. Throws where an answer is not 200. */
export async function runLoad({ url, headers, body, connections, durationMs }: Load): Promise<LoadResult> {
  const { hostname, port, host, pathname } = new URL(url);
  const fields = { ...headers, host, "content-length": Buffer.byteLength(body) };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = Buffer.from(`POST ${pathname} HTTP/1.1\r\n${head.join("")}\r\n${body}`);
  const times: number[] = [];
  const firsts: number[] = [];
  const started = performance.now();

  /** One request after the other on a connection of its own. */
  const run = () =>
    new Promise<void>((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port), noDelay: true });
      let sent = 0;
      let received = "";
      const send = () => {
        sent = performance.now();
        received = "";
        socket.write(request);
      };
      socket.on("connect", send);
      socket.on("error", reject);
      socket.on("close", () => reject(new Error(`${url} closed the connection: ${received}`)));
      socket.on("data", (bytes) => {
        const isFirst = !received.includes("data: ");
        received += bytes.toString("latin1");
        if (isFirst && received.includes("data: ")) firsts.push(performance.now() - sent);
        const sizeBytes = sizeOf(received);
        if (Number.isNaN(sizeBytes)) return reject(new Error(`${url} gives no content-length: ${received}`));
        if (sizeBytes === undefined || received.length < sizeBytes) return;
        times.push(performance.now() - sent);
        if (!received.startsWith("HTTP/1.1 200 ")) reject(new Error(`${url} answered ${received}`));
        else if (performance.now() - started < durationMs) send();
        else {
          socket.destroy();
          resolve();
        }
      });
    });

  await Promise.all(Array.from({ length: connections }, run));
  const elapsedMs = performance.now() - started;
  times.sort((a, b) => a - b);
  firsts.sort((a, b) => a - b);
  const at = (share: number, of: number[]) => of[Math.floor(share * (of.length - 1))] ?? 0;
  return {
    requestsPerSecond: (1000 * times.length) / elapsedMs,
    p50Ms: at(0.5, times),
    p99Ms: at(0.99, times),
    firstMs: at(0.5, firsts),
  };
}

/** How long an answer is, once its head is here; NaN where that does not say. */
function sizeOf(answer: string): number | undefined {
  const headEnd = answer.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  if (/^transfer-encoding: chunked/im.test(answer)) return answer.endsWith("\r\n0\r\n\r\n") ? 0 : undefined;
  return headEnd + 4 + Number(/^content-length: (\d+)/im.exec(answer)?.[1]);
}

if (process.argv[2] !== undefined && process.send !== undefined) {
  // As a process of its own, so that what it costs is not the server's.
  runLoad(JSON.parse(process.argv[2])).then(
    (result) => process.send?.(result),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
}
