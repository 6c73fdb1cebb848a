/** An upstream on the loopback that does what a test says, well or badly: whole answers, streams, or bytes on the bare socket. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { isJsonObject, type JsonObject } from "@tallystick/protocol";

export type Asked = { path: string; headers: IncomingHttpHeaders; body: JsonObject };

export type MockUpstream = AsyncDisposable & {
  /** Where it is, with the path that OpenAI's API has. */
  url: string;
  /** Every request that it got, in order. */
  asked: Asked[];
  /** Connections made to it so far, and those that are open. */
  connectionCount: number;
  openCount(): number;
};

export type Behaviour = (response: ServerResponse, asked: Asked, count: number) => unknown;

export async function startUpstream(behave: Behaviour): Promise<MockUpstream> {
  const asked: Asked[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const body: unknown = JSON.parse(Buffer.concat(parts).toString("utf8"));
      const one = { path: request.url ?? "", headers: request.headers, body: isJsonObject(body) ? body : {} };
      asked.push(one);
      response.on("error", () => {});
      behave(response, one, asked.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const upstream: MockUpstream = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked,
    connectionCount: 0,
    openCount: () => sockets.size,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  server.on("connection", (socket) => {
    upstream.connectionCount++;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  return upstream;
}

/** Answers with a stream of events, whole, in as many pieces as are given. */
export function sendStream(response: ServerResponse, ...pieces: (string | Uint8Array)[]): void {
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  for (const piece of pieces) response.write(piece);
  response.end();
}

export function sendJson(
  response: ServerResponse,
  value: unknown,
  status: number = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(value));
}

/** Chunks as events, and the end of the stream behind them. */
export function eventsOf(...chunks: unknown[]): string {
  return [...chunks.map((chunk) => JSON.stringify(chunk)), "[DONE]"].map((data) => `data: ${data}\n\n`).join("");
}
