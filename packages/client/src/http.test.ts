import { expect, test } from "vitest";
import { createHttp } from "./http.ts";

const MIB = new Uint8Array(1024 * 1024);

/** A network whose answers do not end. */
function endless(status: number) {
  let sentMib = 0;
  const fetch = async () => {
    const body = new ReadableStream({
      pull(controller) {
        sentMib++;
        controller.enqueue(MIB);
      },
    });
    return new Response(body, { status });
  };
  return { http: createHttp("http://example.test", { fetch }), sentMib: () => sentMib };
}

test("an answer that does not end is read up to its limit, and a refusal that does not end is one without words", async () => {
  const answer = endless(200);
  await expect(answer.http.json("/v1/usage")).rejects.toThrow("/v1/usage is of more than 67108864 bytes");
  expect(answer.sentMib()).toBeLessThan(70);
  const refusal = endless(503);
  await expect(refusal.http.json("/v1/usage")).rejects.toMatchObject({ status: 503, code: "unknown" });
  expect(refusal.sentMib()).toBeLessThan(5);
});

test("what is read has an end in time, and what is sent is left to its sender", async () => {
  const signals: unknown[] = [];
  const fetch = async (_: unknown, init?: RequestInit) => {
    signals.push(init?.signal);
    return Response.json({});
  };
  const http = createHttp("http://example.test", { fetch });
  const own = new AbortController().signal;
  await http.json("/v1/usage");
  await http.json("/v1/usage", { signal: own });
  await http.json("/v1/infer", { method: "POST" });
  expect(signals).toEqual([expect.any(AbortSignal), own, undefined]);
});
