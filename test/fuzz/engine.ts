/** An upstream that answers whatever it is asked, in one piece or two. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const USAGE = { prompt_tokens: 2, completion_tokens: 1, total_tokens: 3 };

export async function startEngine(): Promise<AsyncDisposable & { url: string }> {
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
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
