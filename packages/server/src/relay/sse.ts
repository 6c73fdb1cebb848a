/**
 * Server-sent events as they arrive (WHATWG HTML §9.2): any line end, comments, `data:` with and without its space, a character
 * in two chunks. Bounded in every direction, and strict where HTML is not: what is no UTF-8 is malformed.
 */
import { malformed, UpstreamFault } from "./fault.ts";
import { LINE_SIZE_BYTES, STREAM_EVENTS } from "./limits.ts";

export type SseEvent = { event: string | undefined; data: string };

export type SseReader = {
  /** The events that are whole with `chunk`. Throws an UpstreamFault. */
  push(chunk: Uint8Array): SseEvent[];
  /** What the end of the stream makes whole: some upstreams send no empty line behind the last event. */
  end(): SseEvent[];
};

const LINE_BEGUN_BYTES = 4_096;
const [LF, CR] = [0x0a, 0x0d];

export function createSseReader(): SseReader {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** The beginning of the line that is on its way. */
  let begun = new Uint8Array(LINE_BEGUN_BYTES);
  let begunBytes = 0;
  let skipsLf = false;
  let isFirstLine = true;
  let event: string | undefined;
  let lines: string[] = [];
  let dataLength = 0;
  let eventCount = 0;

  function keep(bytes: Uint8Array): void {
    const sizeBytes = begunBytes + bytes.length;
    if (sizeBytes > LINE_SIZE_BYTES) throw tooLarge("a line");
    if (sizeBytes > begun.length) {
      const larger = new Uint8Array(Math.max(sizeBytes, 2 * begun.length));
      larger.set(begun.subarray(0, begunBytes));
      begun = larger;
    }
    begun.set(bytes, begunBytes);
    begunBytes = sizeBytes;
  }

  /** The line that ends with `bytes`. */
  function takeLine(bytes: Uint8Array): string {
    if (begunBytes === 0 && bytes.length <= LINE_SIZE_BYTES) return decode(bytes);
    keep(bytes);
    const line = decode(begun.subarray(0, begunBytes));
    if (begun.length > LINE_BEGUN_BYTES) begun = new Uint8Array(LINE_BEGUN_BYTES);
    begunBytes = 0;
    return line;
  }

  function decode(bytes: Uint8Array): string {
    try {
      const line = decoder.decode(bytes);
      const text = isFirstLine && line.startsWith("\ufeff") ? line.slice(1) : line;
      isFirstLine = false;
      return text;
    } catch {
      throw malformed("it is no UTF-8");
    }
  }

  function takeEvent(): SseEvent[] {
    const whole = lines.length === 0 ? [] : [{ event, data: lines.join("\n") }];
    event = undefined;
    lines = [];
    dataLength = 0;
    eventCount += whole.length;
    if (eventCount > STREAM_EVENTS) throw tooLarge("the number of its events");
    return whole;
  }

  function takeField(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return; // A comment: it keeps the connection open.
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "event") event = value;
    // Older llama.cpp writes its errors as a field of this name.
    if (name === "error") event = "error";
    if (name !== "data" && name !== "error") return;
    dataLength += value.length + 1;
    if (dataLength > LINE_SIZE_BYTES) throw tooLarge("an event");
    lines.push(value);
  }

  function endLine(bytes: Uint8Array): SseEvent[] {
    const line = takeLine(bytes);
    if (line === "") return takeEvent();
    takeField(line);
    return [];
  }

  return {
    push(chunk) {
      const events: SseEvent[] = [];
      let start = 0;
      for (let i = 0; i < chunk.length; i++) {
        const byte = chunk[i];
        if (skipsLf) {
          skipsLf = false;
          if (byte === LF) {
            start = i + 1;
            continue;
          }
        }
        if (byte !== LF && byte !== CR) continue;
        skipsLf = byte === CR;
        for (const whole of endLine(chunk.subarray(start, i))) events.push(whole);
        start = i + 1;
      }
      keep(chunk.subarray(start));
      return events;
    },

    end() {
      if (begunBytes > 0) takeField(takeLine(new Uint8Array(0)));
      return takeEvent();
    },
  };
}

function tooLarge(what: string): UpstreamFault {
  return new UpstreamFault("too_large", `the upstream's answer is too large: ${what} is over its limit`);
}
