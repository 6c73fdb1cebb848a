import fc from "fast-check";
import { expect, test } from "vitest";
import { RUNS } from "../../../../test/runs.ts";
import { LINE_SIZE_BYTES, STREAM_EVENTS } from "./limits.ts";
import { createSseReader, type SseEvent } from "./sse.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function read(...chunks: Uint8Array[]): SseEvent[] {
  const reader = createSseReader();
  return [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.end()];
}

const data = (text: string) => read(bytes(text)).map((event) => event.data);

test.each<[string, string, string[]]>([
  ["line feeds", "data: a\n\ndata: b\n\n", ["a", "b"]],
  ["carriage returns with line feeds", "data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]],
  ["carriage returns alone", "data: a\r\rdata: b\r\r", ["a", "b"]],
  ["no space behind the colon", "data:a\n\n", ["a"]],
  ["only the first space taken", "data:  a\n\n", [" a"]],
  ["comments, and fields of no use", ": keep-alive\n\nid: 7\nretry: 1\ndata: a\nnonsense\n\n", ["a"]],
  ["data in lines", "data: a\ndata:\ndata\ndata: b\n\n", ["a\n\n\nb"]],
  ["a byte order mark at the start", "\ufeffdata: a\n\n", ["a"]],
  ["no empty line at the end", "data: a\n\ndata: b\n", ["a", "b"]],
  ["no line end at the end", "data: a\n\ndata: b", ["a", "b"]],
  ["events without data", "event: ping\n\n\n\ndata: a\n\n", ["a"]],
  ["nothing", "", []],
])("%s", (_, text, expected) => {
  expect(data(text)).toEqual(expected);
});

test("the name of an event is its own, and older llama.cpp's errors are one", () => {
  expect(read(bytes('event: error\ndata: a\n\ndata: b\n\nerror: {"code":500}\n\n'))).toEqual([
    { event: "error", data: "a" },
    { event: undefined, data: "b" },
    { event: "error", data: '{"code":500}' },
  ]);
});

test("wherever a stream is cut into chunks, the same events come of it", () => {
  const line = fc.constantFrom("data: ä世🌍", "data:x", ": c", "event: e", "data", "", "", "id: 1", "\ufeffdata: y");
  const end = fc.constantFrom("\n", "\r\n", "\r");
  fc.assert(
    fc.property(
      fc.array(fc.tuple(line, end), { maxLength: 20 }),
      fc.array(fc.nat(400), { maxLength: 30 }),
      (lines, cuts) => {
        const whole = bytes(lines.flat().join(""));
        const places = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b), whole.length];
        const chunks = places.slice(1).map((place, i) => whole.subarray(places[i], place));
        expect(read(...chunks)).toEqual(read(whole));
      },
    ),
    RUNS,
  );
});

test.each<[string, Uint8Array]>([
  ["half a character", Uint8Array.of(...bytes("data: "), 0xe4, 0xb8, 0x0a, 0x0a)],
  ["half a character at the end of the stream", Uint8Array.of(...bytes("data: "), 0xf0, 0x9f)],
  ["a byte of no character", Uint8Array.of(...bytes("data: "), 0xff, 0x0a, 0x0a)],
])("%s is malformed", (_, chunk) => {
  expect(() => read(chunk)).toThrow(expect.objectContaining({ kind: "malformed" }));
});

test("a line may be as long as its limit, in many chunks, and no byte longer", () => {
  const full = bytes(`data:${"x".repeat(LINE_SIZE_BYTES - 5)}`);
  const chunks = Array.from({ length: 64 }, (_, i) =>
    full.subarray((i * full.length) / 64, ((i + 1) * full.length) / 64),
  );
  expect(read(...chunks, bytes("\n\n"))[0]?.data.length).toBe(LINE_SIZE_BYTES - 5);
  expect(() => read(...chunks, bytes("x\n\n"))).toThrow(expect.objectContaining({ kind: "too_large" }));
  expect(() => read(bytes(`data:${"x".repeat(LINE_SIZE_BYTES)}\n\n`))).toThrow(/line/);
});

test("the lines of one event have a limit together, and the events of a stream one of their number", () => {
  const line = bytes(`data:${"x".repeat(LINE_SIZE_BYTES / 4)}\n`);
  expect(() => read(line, line, line, line)).toThrow(/an event/);
  const reader = createSseReader();
  const many = bytes("data:x\n\n".repeat(1_000));
  for (let count = 0; count < STREAM_EVENTS; count += 1_000) reader.push(many);
  expect(() => reader.push(bytes("data:x\n\n"))).toThrow(/number/);
});
