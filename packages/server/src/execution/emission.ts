/** What may go out of the bytes that a model has written: whole characters, and nothing that may yet become a stop string. */
import { concat } from "@tallystick/protocol";

export type Emission<Note> = {
  /** More bytes, with what is to be said of them when the last one goes out. */
  push(bytes: Uint8Array, note: Note | undefined): Emitted<Note>;
  /** All that was held back: no more comes. */
  flush(): Emitted<Note>;
};

export type Emitted<Note> = { text: string; notes: Note[]; stopped: boolean };

export function createEmission<Note>(stops: Uint8Array[]): Emission<Note> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let held: Uint8Array = new Uint8Array();
  let notes: { note: Note; start: number; end: number }[] = [];

  /** Lets out the first `length` bytes held, with the notes whose last byte is out, or, at a stop, whose first is. */
  function release(length: number, kind: "more" | "stop" | "end"): Emitted<Note> {
    const out = held.subarray(0, length);
    held = held.subarray(length);
    const isOut = ({ start, end }: { start: number; end: number }) =>
      kind === "stop" ? start < length : end <= length;
    const emitted = notes.filter(isOut).map(({ note }) => note);
    notes = notes
      .filter((one) => !isOut(one))
      .map(({ note, start, end }) => ({ note, start: start - length, end: end - length }));
    return { text: decoder.decode(out, { stream: kind === "more" }), notes: emitted, stopped: kind === "stop" };
  }

  return {
    push(bytes, note) {
      if (note !== undefined) notes.push({ note, start: held.length, end: held.length + bytes.length });
      held = concat(held, bytes);
      const stop = findFirst(held, stops);
      if (stop !== undefined) return release(stop, "stop");
      return release(Math.min(firstDoubt(held, stops), wholeLength(held)), "more");
    },
    flush: () => release(held.length, "end"),
  };
}

/** Where the first of `stops` begins. */
function findFirst(bytes: Uint8Array, stops: Uint8Array[]): number | undefined {
  for (let at = 0; at < bytes.length; at++)
    if (stops.some((stop) => stop.length <= bytes.length - at && agrees(bytes, at, stop))) return at;
  return undefined;
}

/** Where a stop may have begun that is not yet all there; the length where none has. */
function firstDoubt(bytes: Uint8Array, stops: Uint8Array[]): number {
  for (let at = 0; at < bytes.length; at++) if (stops.some((stop) => agrees(bytes, at, stop))) return at;
  return bytes.length;
}

/** Whether `bytes` from `at` on are those of `stop`, as far as both go. */
function agrees(bytes: Uint8Array, at: number, stop: Uint8Array): boolean {
  const length = Math.min(stop.length, bytes.length - at);
  for (let i = 0; i < length; i++) if (bytes[at + i] !== stop[i]) return false;
  return true;
}

/** The length without a character of UTF-8 that has only begun. */
function wholeLength(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const wanted = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return wanted > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
