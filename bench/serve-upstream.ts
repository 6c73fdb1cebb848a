/**
 * An engine that speaks OpenAI's chat completions and does nothing else, as fast as it can. Of a stream `max_tokens` says how
 * many chunks it has, and `seed` how many milliseconds lie between two.
 */
import { createServer } from "node:http";

const WORDS = "A receipt is a node's signed statement of one inference. ".repeat(4);
const USAGE = { prompt_tokens: 24, completion_tokens: 48, total_tokens: 72 };
const HEAD = { id: "chatcmpl-1", created: 1_700_000_000, model: "mock" };
const answer = Buffer.from(
  JSON.stringify({
    ...HEAD,
    object: "chat.completion",
    choices: [{ index: 0, message: { role: "assistant", content: WORDS }, finish_reason: "stop" }],
    usage: USAGE,
  }),
);
const frame = (members: object) =>
  `data: ${JSON.stringify({ ...HEAD, object: "chat.completion.chunk", choices: [], ...members })}\n\n`;
const first = frame({ choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] });
const piece = frame({ choices: [{ index: 0, delta: { content: "word " }, finish_reason: null }] });
const last = `${frame({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })}${frame({ usage: USAGE })}data: [DONE]\n\n`;

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => {
    const body: { stream?: boolean; max_tokens?: number; seed?: number } = JSON.parse(Buffer.concat(parts).toString());
    if (body.stream !== true) {
      response.writeHead(200, { "content-type": "application/json", "content-length": answer.length });
      response.end(answer);
      return;
    }
    const { max_tokens: count = 20, seed: betweenMs = 0 } = body;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(first);
    if (betweenMs === 0) {
      for (let i = 0; i < count; i++) response.write(piece);
      response.end(last);
      return;
    }
    let sent = 0;
    const timer = setInterval(() => {
      if (sent++ < count) return void response.write(piece);
      clearInterval(timer);
      response.end(last);
    }, betweenMs);
    response.on("close", () => clearInterval(timer));
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", 4_096, () => process.send?.(server.address()));
process.on("SIGTERM", () => {
  server.close();
  server.closeAllConnections();
});
