/** Tables of numbers and words: read from the CSV files beside the models, and split by a seed. */
import { readFileSync } from "node:fs";

export type Table = { columns: string[]; rows: string[][] };

/** A CSV with a head and no quotes, as the data sets here are. */
export function readTable(url: URL): Table {
  const [head = "", ...lines] = readFileSync(url, "utf8").trim().split("\n");
  const columns = head.split(",");
  const rows = lines.map((line, at) => {
    const cells = line.split(",");
    if (cells.length !== columns.length) throw new Error(`${url.pathname} line ${at + 2} has ${cells.length} cells`);
    return cells;
  });
  return { columns, rows };
}

/** The cells of the column `name`. */
export function column({ columns, rows }: Table, name: string): string[] {
  const at = columns.indexOf(name);
  if (at < 0) throw new Error(`the table has no column ${name}`);
  return rows.map((row) => row[at] ?? "");
}

/** The numbers of the column `name`. */
export function numbers(table: Table, name: string): number[] {
  return column(table, name).map((cell) => {
    const value = Number(cell);
    if (cell === "" || !Number.isFinite(value)) throw new Error(`"${cell}" in column ${name} is not a number`);
    return value;
  });
}

/** Examples, as a model sees them: a row of features and what it should answer. */
export type Examples = { features: number[][]; targets: number[] };

/** The examples at `indices`. */
export function pick({ features, targets }: Examples, indices: number[]): Examples {
  return { features: indices.map((i) => features[i] ?? []), targets: indices.map((i) => targets[i] ?? 0) };
}

/** Three quarters to train on and the rest to be measured on, by a shuffle that `seed` fixes. */
export function split(examples: Examples, seed: number): { train: Examples; test: Examples } {
  const order = shuffled(examples.targets.length, seed);
  const cut = Math.floor(order.length * 0.75);
  return { train: pick(examples, order.slice(0, cut)), test: pick(examples, order.slice(cut)) };
}

/** 0 to `count` - 1 in an order that `seed` fixes: Fisher and Yates with a 32-bit xorshift. */
export function shuffled(count: number, seed: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  let state = seed | 1;
  for (let i = count - 1; i > 0; i--) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const j = (state >>> 0) % (i + 1);
    [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
  }
  return order;
}
