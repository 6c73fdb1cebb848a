import { isJsonObject, type JsonObject } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { createResponseWriter } from "./response-frames.ts";

const HEADING = { receiptId: "ab", model: "acme/chat", createdSeconds: 1 };

function eventsIn(frames: string[]): JsonObject[] {
  return frames.map((frame) => JSON.parse(frame.slice(frame.indexOf("data: ") + 6))).filter(isJsonObject);
}

test("calls of tools whose pieces come in turn are each told whole", () => {
  const writer = createResponseWriter(HEADING, {});
  const piece = (index: number, says: object) => writer.delta({ index: 0, toolCalls: [{ index, ...says }] });
  const frames = [
    ...writer.delta({ index: 0, content: "Let me look." }),
    ...piece(0, { id: "call_a", name: "one" }),
    ...piece(1, { id: "call_b", name: "two", arguments: '{"b":' }),
    ...piece(0, { arguments: '{"a":' }),
    ...piece(1, { arguments: "2}" }),
    ...piece(0, { arguments: "1}" }),
    ...writer.finish(["tool_calls"], { output: [], status: "completed" }, { promptTokens: 1, completionTokens: 1 }),
  ];
  const events = eventsIn(frames);
  const done = events.filter(({ type }) => type === "response.function_call_arguments.done");
  expect(done).toMatchObject([
    { output_index: 1, item_id: "fc_ab_1", name: "one", arguments: '{"a":1}' },
    { output_index: 2, item_id: "fc_ab_2", name: "two", arguments: '{"b":2}' },
  ]);
  for (const { item_id, arguments: whole } of done) {
    const deltas = events.filter((event) => event.type === "response.function_call_arguments.delta");
    const pieces = deltas.filter((event) => event.item_id === item_id).map(({ delta }) => delta);
    expect(pieces.join("")).toBe(whole);
  }
  const items = events
    .filter(({ type }) => type === "response.output_item.done")
    .map(({ output_index }) => output_index);
  expect(items).toEqual([0, 1, 2]);
  expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, at) => at));
});
