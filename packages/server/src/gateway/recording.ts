/**
 * A response as it is recorded while it is given: sealed in memory, read by whoever sent the request, as often as it was
 * sent. What outgrows its bounds is no longer recorded, and goes to its first reader alone, no faster than that one reads.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { Random } from "../platform/random.ts";

/** Seals what is kept: AES-256-GCM, a nonce for each piece. The key is never anywhere but in memory. */
export type Sealing = { seal(bytes: Uint8Array): Uint8Array; open(sealed: Uint8Array): Uint8Array };

export function createSealing(random: Random): Sealing {
  const key = random(32);
  return {
    seal(bytes) {
      const nonce = random(12);
      const cipher = createCipheriv("aes-256-gcm", key, nonce);
      const sealed = cipher.update(bytes);
      cipher.final();
      return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
    },
    open(sealed) {
      const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12));
      decipher.setAuthTag(sealed.subarray(12, 28));
      const bytes = decipher.update(sealed.subarray(28));
      decipher.final(); // Throws where a byte was changed.
      return new Uint8Array(bytes);
    },
  };
}

/** Room for what is recorded, of all recordings together. */
export type Room = {
  /** Whether there are so many more bytes for this recording; they are its own then. */
  take(recording: Recording, sizeBytes: number): boolean;
  giveBack(sizeBytes: number): void;
};

/** The most that is ahead of the first reader once nothing is recorded any more. */
const AHEAD_CHUNKS = 4;

/** A sealed piece of the body, and what it takes of the room. */
type Chunk = { sealed: Uint8Array; takenBytes: number };

export class Recording {
  readonly #sealing: Sealing;
  readonly #room: Room;
  readonly #chunks: (Chunk | undefined)[] = [];
  #phase: "open" | "ended" | "broken" = "open";
  #failure: unknown;
  /** Whether all of it so far is kept. */
  #isKept = true;
  /** How many chunks the first reader has read. */
  #readCount = 0;
  #firstIsGone = false;
  #waiting: (() => void)[] = [];
  sizeBytes = 0;

  constructor(sealing: Sealing, room: Room) {
    this.#sealing = sealing;
    this.#room = room;
  }

  get hasEnded(): boolean {
    return this.#phase !== "open";
  }

  /** Whether another reader can be given all of it, now or once it has ended. */
  get isReadable(): boolean {
    return this.#isKept && this.#phase !== "broken";
  }

  /** Reads `body` to its end. Resolves then, or where it broke off. */
  async record(body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        await this.#add(value);
        if (this.#isKept || !this.#firstIsGone) continue;
        await reader.cancel("nobody reads it any more"); // It can be neither kept nor given to anybody.
        break;
      }
      this.#phase = "ended";
    } catch (error) {
      this.#failure = error;
      this.#phase = "broken";
    }
    this.#change();
  }

  /** Records what is there as a whole, and given to the first reader already. */
  keep(bytes: Uint8Array): void {
    this.#firstIsGone = true;
    this.#push(bytes);
    this.#phase = "ended";
    this.#change();
  }

  async #add(bytes: Uint8Array): Promise<void> {
    this.#push(bytes);
    while (!this.#isKept && !this.#firstIsGone && this.#chunks.length - this.#readCount > AHEAD_CHUNKS)
      await this.#changed();
  }

  #push(bytes: Uint8Array): void {
    const sealed = this.#sealing.seal(bytes);
    const isTaken = this.#isKept && this.#room.take(this, sealed.length);
    if (this.#isKept && !isTaken) this.drop();
    const takenBytes = isTaken ? sealed.length : 0;
    this.sizeBytes += takenBytes;
    this.#chunks.push({ sealed, takenBytes });
    this.#change();
  }

  /** Keeps no more than what the first reader has not read yet. */
  drop(): void {
    this.#isKept = false;
    this.#forget(this.#firstIsGone ? this.#chunks.length : this.#readCount);
    this.#change();
  }

  #forget(count: number): void {
    for (let i = count - 1; i >= 0 && this.#chunks[i] !== undefined; i--) {
      const takenBytes = this.#chunks[i]?.takenBytes ?? 0;
      this.#chunks[i] = undefined;
      this.sizeBytes -= takenBytes;
      this.#room.giveBack(takenBytes);
    }
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  #change(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** The whole of it as a stream, from the beginning, as fast as it comes. There is one first reader. */
  stream(reader: "first" | "another"): ReadableStream<Uint8Array> {
    let at = 0;
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          while (at >= this.#chunks.length && this.#phase === "open") await this.#changed();
          const chunk = this.#chunks[at];
          if (chunk !== undefined) {
            controller.enqueue(this.#sealing.open(chunk.sealed));
            at++;
            if (reader === "first") this.#readByFirst(at);
          } else if (at >= this.#chunks.length && this.#phase === "ended") controller.close();
          else controller.error(this.#failure ?? new Error("the answer is too large to be given again"));
        },
        cancel: () => {
          if (reader !== "first") return;
          this.#firstIsGone = true;
          if (!this.#isKept) this.drop();
          this.#change();
        },
      },
      { highWaterMark: 0 },
    );
  }

  #readByFirst(count: number): void {
    this.#readCount = count;
    if (this.#isKept) return;
    this.#forget(count);
    this.#change();
  }
}
