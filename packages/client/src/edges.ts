/** What the client touches of the world, as arguments: the network, the clock, randomness. */
export type Edges = {
  fetch(url: string, init?: RequestInit): Promise<Response>;
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  nowMs(): number;
  /** `count` bytes from a cryptographic source. */
  random(count: number): Uint8Array;
  sleep(durationMs: number): Promise<void>;
};

/** The world itself: Node, a browser, an edge runtime. */
export const systemEdges: Edges = {
  fetch: (url, init) => fetch(url, init),
  nowMs: () => Date.now(),
  random: (count) => crypto.getRandomValues(new Uint8Array(count)),
  sleep: (durationMs) => new Promise((resolve) => setTimeout(resolve, durationMs)),
};
