/** The most that can flow through a network of ways (Dinic's algorithm): one number, whatever the order of the ways. */

export type Way = { from: number; to: number; amount: bigint };

/** The maximum flow from place 0 to place 1, or the first amount found that is `enough`. */
export function maxFlow(places: number, ways: readonly Way[], enough: bigint): bigint {
  const network = new Network(places, ways);
  let flow = 0n;
  while (flow < enough && network.level()) {
    for (let found = network.push(); found > 0n && flow < enough; found = network.push()) flow += found;
  }
  return flow;
}

/** What is left of each way, and of its way back: the two are at numbers that differ in the last bit. */
class Network {
  readonly #left: bigint[] = [];
  readonly #to: number[] = [];
  readonly #from: number[][];
  readonly #levels: Int32Array;
  /** Of each place, how many of its ways are used up at these levels. */
  readonly #spent: Int32Array;

  constructor(places: number, ways: readonly Way[]) {
    this.#from = Array.from({ length: places }, () => []);
    this.#levels = new Int32Array(places);
    this.#spent = new Int32Array(places);
    for (const { from, to, amount } of ways) {
      this.#from[from]?.push(this.#to.push(to) - 1);
      this.#from[to]?.push(this.#to.push(from) - 1);
      this.#left.push(amount, 0n);
    }
  }

  /** How far each place is from the source by ways that have something left; false where the sink is out of reach. */
  level(): boolean {
    this.#levels.fill(-1);
    this.#spent.fill(0);
    this.#levels[0] = 0;
    const queue = [0];
    for (const place of queue)
      for (const way of this.#from[place] ?? []) {
        const to = this.#to[way] ?? 0;
        if (this.#left[way] === 0n || this.#levels[to] !== -1) continue;
        this.#levels[to] = (this.#levels[place] ?? 0) + 1;
        queue.push(to);
      }
    return this.#levels[1] !== -1;
  }

  /** Sends what one path takes on to the sink; 0 where no path is left at these levels. */
  push(place = 0, most?: bigint): bigint {
    if (place === 1) return most ?? 0n;
    const ways = this.#from[place] ?? [];
    for (let at = this.#spent[place] ?? 0; at < ways.length; at++) {
      this.#spent[place] = at;
      const way = ways[at] ?? 0;
      const left = this.#left[way] ?? 0n;
      const to = this.#to[way] ?? 0;
      if (left === 0n || this.#levels[to] !== (this.#levels[place] ?? 0) + 1) continue;
      const sent = this.push(to, most === undefined || left < most ? left : most);
      if (sent === 0n) continue;
      this.#left[way] = left - sent;
      this.#left[way ^ 1] = (this.#left[way ^ 1] ?? 0n) + sent;
      return sent;
    }
    this.#spent[place] = ways.length;
    return 0n;
  }
}
