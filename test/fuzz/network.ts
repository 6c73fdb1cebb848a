/** A network with a model that runs here and one that is relayed to a mock, and what is needed to make requests to both. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { creditInput, startNetwork, type TestNetwork, tensorOf } from "../network.ts";
import { openRequester } from "../server/requester.ts";
import type { FuzzTarget } from "./requests.ts";

export const CREDIT = "statlog/credit-default";
export const CHAT_MODEL = "mock/chat";

export type FuzzedNetwork = AsyncDisposable & { network: TestNetwork; target: FuzzTarget };

export async function startFuzzedNetwork(): Promise<FuzzedNetwork> {
  const folder = await mkdtemp(join(tmpdir(), "tallystick-fuzz-"));
  const engine = await startEngine();
  const upstreamsPath = join(folder, "upstreams.json");
  await writeFile(upstreamsPath, JSON.stringify([upstreamAt(engine.url)]));
  const network = await startNetwork({ models: ["credit-default"], upstreamsPath });
  const requester = await openRequester(network, { model: CREDIT });
  const dispatch = await requester.dispatch({ inputs: [tensorOf(creditInput())] });
  return {
    network,
    target: { apiKey: network.apiKey, model: CREDIT, chatModel: CHAT_MODEL, dispatch },
    async [Symbol.asyncDispose]() {
      await network[Symbol.asyncDispose]();
      await engine.close();
      await rm(folder, { recursive: true });
    },
  };
}

function upstreamAt(url: string) {
  const model = {
    ...{
      name: CHAT_MODEL,
      version: "1",
      upstreamModel: "mock",
      operations: ["chat", "completion", "embedding", "response"],
    },
    ...{ contextLength: 4_096, licence: "none", summary: "A mock." },
  };
  return { name: "mock", url: `${url}/v1`, allowHttp: true, concurrency: 256, models: [model] };
}

const USAGE = { prompt_tokens: 2, completion_tokens: 1, total_tokens: 3 };

/** An engine that answers whatever it is asked, in one piece or two. */
async function startEngine(): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const body: { stream?: boolean; n?: number; input?: unknown } = JSON.parse(Buffer.concat(parts).toString());
      response.setHeader("content-type", "application/json");
      const head = { id: "x", created: 1, model: "mock" };
      const indexes = Array.from({ length: body.n ?? 1 }, (_, index) => index);
      const isChat = request.url?.includes("chat") === true;
      if (request.url?.includes("embeddings") === true) {
        const inputs = Array.isArray(body.input) && typeof body.input[0] !== "number" ? body.input : [body.input];
        const data = inputs.map((_, index) => ({ object: "embedding", index, embedding: "AACAPwAAAEA=" }));
        response.end(
          JSON.stringify({ object: "list", model: "mock", data, usage: { prompt_tokens: 2, total_tokens: 2 } }),
        );
      } else if (body.stream === true) {
        response.writeHead(200, { "content-type": "text/event-stream" });
        const said = (index: number) =>
          isChat
            ? { index, delta: { content: "a" }, finish_reason: "stop" }
            : { index, text: "a", finish_reason: "stop" };
        const object = isChat ? "chat.completion.chunk" : "text_completion";
        const frames = [{ choices: indexes.map(said) }, { choices: [], usage: USAGE }];
        for (const frame of frames) response.write(`data: ${JSON.stringify({ ...head, object, ...frame })}\n\n`);
        response.end("data: [DONE]\n\n");
      } else {
        const said = (index: number) =>
          isChat
            ? { index, message: { role: "assistant", content: "a" }, finish_reason: "stop" }
            : { index, text: "a", finish_reason: "stop" };
        const object = isChat ? "chat.completion" : "text_completion";
        response.end(JSON.stringify({ ...head, object, choices: indexes.map(said), usage: USAGE }));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
