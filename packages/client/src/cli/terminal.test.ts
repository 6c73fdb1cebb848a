import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { createProgress, printable, type Terminal, table, waiting } from "./terminal.ts";

afterEach(() => vi.useRealTimers());

function watched(isTty: boolean): Terminal & { written: string[] } {
  const written: string[] = [];
  return { written, isTty, out: (text) => void written.push(text), err: (text) => void written.push(text) };
}

/** C0 and DEL to C1, line and paragraph separators, and what turns the direction of text: first and last of each. */
const STEERING = [
  [0, 0x1f],
  [0x7f, 0x9f],
  [0x2028, 0x2029],
  [0x202a, 0x202e],
  [0x2066, 0x2069],
] as const;

function steers(text: string): boolean {
  return [...text].some((character) => {
    const point = character.codePointAt(0) ?? 0;
    return STEERING.some(([first, last]) => first <= point && point <= last);
  });
}

test("nothing that steers a terminal is left of a text, whatever the text is", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => !steers(printable(text))));
  for (const [first, last] of STEERING)
    for (let point = first; point <= last; point++) expect(printable(String.fromCodePoint(point))).toBe(" ");
  expect(printable("a\x1b[31mb\x9b2Jc\u202ed")).toBe("a [31mb 2Jc d");
});

test("what a person can read is left as it is", () => {
  for (const text of ["naïve — 12 °C", "合計 384.50", "👩‍👩‍👧", "مرحبا"]) expect(printable(text)).toBe(text);
});

test("a table's columns are as wide as their widest cell, numbers and their headings to the right", () => {
  const rows = [
    ["short", 5],
    ["a longer one", 1234],
  ];
  expect(table(["NAME", "N"], rows)).toBe("NAME             N\nshort            5\na longer one  1234\n");
});

test("a table of nothing is its headings", () => {
  expect(table(["NAME", "COUNT"], [])).toBe("NAME  COUNT\n");
});

test("a cell of somebody else's cannot begin a new row or steer the terminal", () => {
  expect(table(["NAME"], [["evil\n\x1b[2J"]])).toBe("NAME\nevil  [2J\n");
});

test("what takes less than a second draws no line, and what takes longer draws one and wipes it", async () => {
  vi.useFakeTimers();
  const terminal = watched(true);
  expect(await waiting(terminal, "asking", Promise.resolve("quick"))).toBe("quick");
  expect(terminal.written).toEqual([]);
  const slow = waiting(terminal, "asking\x1b", new Promise((resolve) => setTimeout(() => resolve("slow"), 2_500)));
  await vi.advanceTimersByTimeAsync(2_500);
  expect(await slow).toBe("slow");
  expect(terminal.written).toEqual(["\r\x1b[Kasking  … 1 s", "\r\x1b[Kasking  … 2 s", "\r\x1b[K"]);
});

test("a line about waiting is wiped when the work fails, and nobody is told who is not watching", async () => {
  vi.useFakeTimers();
  const fails = () => new Promise((_, reject) => setTimeout(() => reject(new Error("gone")), 1_500));
  const [person, program] = [watched(true), watched(false)];
  const both = Promise.allSettled([waiting(person, "asking", fails()), waiting(program, "asking", fails())]);
  await vi.advanceTimersByTimeAsync(1_500);
  expect((await both).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(person.written.at(-1)).toBe("\r\x1b[K");
  expect(program.written).toEqual([]);
});

test("progress is drawn after a second, at most ten times a second, and wiped once", () => {
  const terminal = watched(true);
  let nowMs = 0;
  const progress = createProgress(terminal, "auditing", () => nowMs);
  for (; nowMs <= 2_000; nowMs += 10) progress.update(nowMs, 2_000);
  progress.end();
  progress.end();
  expect(terminal.written).toHaveLength(12);
  expect(terminal.written[0]).toBe("\r\x1b[Kauditing [############            ] 1000 of 2000, 1000/s, 1 s left");
  expect(terminal.written.at(-1)).toBe("\r\x1b[K");
});

test("a program's standard error has no progress in it", () => {
  const terminal = watched(false);
  let nowMs = 0;
  const progress = createProgress(terminal, "auditing", () => nowMs);
  for (; nowMs <= 5_000; nowMs += 100) progress.update(nowMs, 5_000);
  progress.end();
  expect(terminal.written).toEqual([]);
});
