/** A stream of frames as the body of a response: who writes waits for who reads, and silence is broken so that nobody hangs up. */

/** Frames that wait to be read; a writer waits once there are more. */
const WAITING_BYTES = 65_536;
/** Proxies cut connections that are silent for long. */
const SILENCE_MS = 15_000;
const KEEP_ALIVE = new TextEncoder().encode(": keep-alive\n\n");

export type FrameStream = {
  body: ReadableStream<Uint8Array>;
  /** Takes a frame; throws once nobody reads. */
  sink(frame: Uint8Array): void | Promise<void>;
  close(): void;
  /** Resolves with the first frame. */
  begun: Promise<undefined>;
  /** How many frames it took. */
  frameCount(): number;
};

/** `onGone` is told when the reader went away. */
export function createFrameStream(onGone: () => void): FrameStream {
  let wake: (() => void) | undefined;
  let isOpen = true;
  let frameCount = 0;
  let begin = (): void => {};
  const begun = new Promise<undefined>((resolve) => {
    begin = () => resolve(undefined);
  });
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const resume = () => {
    wake?.();
    wake = undefined;
  };
  const body = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      pull: resume,
      cancel() {
        isOpen = false;
        clearInterval(silence);
        resume();
        onGone();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: WAITING_BYTES }),
  );
  let heard = false;
  const silence = setInterval(() => {
    if (!heard) controller?.enqueue(KEEP_ALIVE);
    heard = false;
  }, SILENCE_MS);

  return {
    body,
    begun,
    frameCount: () => frameCount,
    sink(frame) {
      if (!isOpen) throw new Error("nobody reads this stream any more");
      heard = true;
      controller?.enqueue(frame);
      if (frameCount++ === 0) {
        begin();
        // It is sent before the next are made, which would take their turn of the event loop first.
        return new Promise(setImmediate);
      }
      if ((controller?.desiredSize ?? 0) > 0) return;
      return new Promise((resolve) => {
        wake = resolve;
      });
    },
    close() {
      clearInterval(silence);
      if (isOpen) controller?.close();
      isOpen = false;
    },
  };
}
