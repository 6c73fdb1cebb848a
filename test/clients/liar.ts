/** A network over HTTP whose answers a test may spoil on their way: what no honest daemon gives. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import type { ReadableStream } from "node:stream/web";
import type { LogTrust } from "@tallystick/protocol";
import { API_KEY } from "../client/tiny-network.ts";
import { type OpenAiSettings, openTinyOpenAi, type Received, TINY_MODEL } from "../client/tiny-openai.ts";

export type LyingNetwork = AsyncDisposable & {
  url: string;
  apiKey: string;
  trust: LogTrust;
  model: string;
  received: Received[];
};

/** Serves a tiny network on any port of the loopback. */
export async function serveTinyOpenAi(settings: OpenAiSettings = {}): Promise<LyingNetwork> {
  const tiny = await openTinyOpenAi(settings);
  const server = createServer(async (request, response) => {
    const headers = Object.entries(request.headers).map(([name, value]): [string, string] => [name, String(value)]);
    const method = request.method ?? "GET";
    const isJson = request.headers["content-type"]?.startsWith("application/json");
    const body = isJson ? await text(request) : await buffer(request);
    const init = { method, headers, ...(method === "GET" ? {} : { body: body as BodyInit }) };
    const answer = await tiny.fetch(`http://tiny.example${request.url}`, init);
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (answer.body === null) response.end();
    else
      Readable.fromWeb(answer.body as ReadableStream)
        .on("error", () => response.destroy())
        .pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    apiKey: API_KEY,
    trust: tiny.network.log.trust,
    model: TINY_MODEL,
    received: tiny.received,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
