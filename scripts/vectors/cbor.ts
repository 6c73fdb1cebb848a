/** A CBOR writer that knows nothing of our codecs, so that the vectors are a second opinion on what those write. */

/** A map's keys are written in the order given; `raw` is CBOR already. */
export type Item = number | bigint | string | Uint8Array | Item[] | Map<number, Item> | { raw: string };

export function cbor(item: Item): Buffer {
  if (typeof item === "number" || typeof item === "bigint") {
    return item < 0 ? head(1, -1n - BigInt(item)) : head(0, BigInt(item));
  }
  if (typeof item === "string") return Buffer.concat([head(3, BigInt(Buffer.byteLength(item))), Buffer.from(item)]);
  if (item instanceof Uint8Array) return Buffer.concat([head(2, BigInt(item.length)), item]);
  if (Array.isArray(item)) return Buffer.concat([head(4, BigInt(item.length)), ...item.map(cbor)]);
  if (item instanceof Map) return Buffer.concat([head(5, BigInt(item.size)), ...[...item].flat().map(cbor)]);
  return Buffer.from(item.raw, "hex");
}

function head(major: number, argument: bigint): Buffer {
  const width = [23n, 0xffn, 0xffffn, 0xffffffffn].findIndex((most) => argument <= most);
  if (width === 0) return Buffer.of((major << 5) | Number(argument));
  const digits = [0, 2, 4, 8][width] ?? 16;
  const lead = (major << 5) | (width < 0 ? 27 : 23 + width);
  return Buffer.concat([Buffer.of(lead), Buffer.from(argument.toString(16).padStart(digits, "0"), "hex")]);
}

/** A map from `[key, item]` pairs. */
export function map(...pairs: [number, Item][]): Map<number, Item> {
  return new Map(pairs);
}
