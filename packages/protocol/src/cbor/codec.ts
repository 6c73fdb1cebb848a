/**
 * Codecs: one definition of a wire type that writes it, reads it strictly and gives its TypeScript type.
 * A struct is a CBOR map with ascending integer keys from 0 to 23, closed: an unknown, missing or misplaced key is malformed.
 */
import { CborReader, CborWriter, MAJOR, Malformed } from "./bytes.ts";

export type Codec<T> = { write(writer: CborWriter, value: T): void; read(reader: CborReader): T };
export type Infer<C> = C extends Codec<infer T> ? T : never;

/** `value` in deterministic CBOR. Throws Malformed where it breaks a bound of its codec. */
export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new CborWriter();
  codec.write(writer, value);
  return writer.finish();
}

/** The one value that `bytes` spell. Throws Malformed. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const reader = new CborReader(bytes);
  const value = codec.read(reader);
  reader.finish();
  return value;
}

/** Refuses what does not hold. The message is made only then: most of what is checked holds. */
function bound(holds: boolean, what: () => string): void {
  if (!holds) throw new Malformed(what());
}

/** An unsigned integer up to `most`. */
export function uint(most: number = Number.MAX_SAFE_INTEGER): Codec<number> {
  const check = (value: number) =>
    bound(
      Number.isSafeInteger(value) && value >= 0 && value <= most,
      () => `has ${value} where 0 to ${most} is allowed`,
    );
  return {
    write(writer, value) {
      check(value);
      writer.head(MAJOR.uint, value);
    },
    read(reader) {
      const value = reader.count(MAJOR.uint);
      check(value);
      return value;
    },
  };
}

/** Money in atomic units: an unsigned integer of 64 bits. */
export const amount: Codec<bigint> = {
  write(writer, value) {
    bound(value >= 0n && value < 1n << 64n, () => `has the amount ${value}, which is not one of 64 bits`);
    writer.head(MAJOR.uint, value);
  },
  read: (reader) => BigInt(reader.head(MAJOR.uint)),
};

/** A dimension of a shape: -1 is any size. */
export const dimension: Codec<number> = {
  write(writer, value) {
    if (value === -1) writer.head(MAJOR.negative, 0);
    else size.write(writer, value);
  },
  read(reader) {
    if (reader.peek() !== MAJOR.negative) return size.read(reader);
    bound(reader.head(MAJOR.negative) === 0, () => "has a negative dimension other than -1");
    return -1;
  },
};
const size = uint();

/** A byte string of exactly `length` bytes. Reading gives a view. */
export function fixedBytes(length: number): Codec<Uint8Array> {
  const check = (value: Uint8Array) => {
    bound(value.length === length, () => `has ${value.length} bytes where ${length} are due`);
    return value;
  };
  return { write: (writer, value) => writer.bytes(check(value)), read: (reader) => check(reader.bytes()) };
}

/** A byte string of at most `most` bytes. Reading gives a view. */
export function byteString(most: number): Codec<Uint8Array> {
  const check = (value: Uint8Array) => {
    bound(value.length <= most, () => `has ${value.length} bytes where at most ${most} are allowed`);
    return value;
  };
  return { write: (writer, value) => writer.bytes(check(value)), read: (reader) => check(reader.bytes()) };
}

/** Half of a surrogate pair: such a text has no UTF-8, so what would be signed is another text. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** A text that `pattern` matches whole, of at most `most` UTF-16 units. */
export function text(most: number, pattern: RegExp = /^/): Codec<string> {
  const check = (value: string) => {
    bound(
      value.length <= most && pattern.test(value),
      () => `has a text that is not ${pattern} of at most ${most} characters`,
    );
    return value;
  };
  return {
    write(writer, value) {
      bound(!LONE_SURROGATE.test(value), () => "has a text with half of a surrogate pair");
      writer.text(check(value));
    },
    read: (reader) => check(reader.text()),
  };
}

/** One of a closed set of words, each an integer on the wire. */
export function word<const W extends Record<string, number>>(words: W): Codec<keyof W & string> {
  const names = new Map(Object.entries(words).map(([name, value]) => [value, name]));
  return {
    write(writer, value) {
      const code = words[value];
      if (code === undefined) throw new Malformed(`has a word that is none of ${Object.keys(words).join(", ")}`);
      writer.head(MAJOR.uint, code);
    },
    read(reader) {
      const value = reader.count(MAJOR.uint);
      const name = names.get(value);
      if (name === undefined)
        throw new Malformed(`has the code ${value}, which is none of ${[...names.keys()].join(", ")}`);
      return name;
    },
  };
}

/** Exactly this integer: a version. */
export function exactly<const N extends number>(value: N): Codec<N> {
  return {
    write: (writer) => writer.head(MAJOR.uint, value),
    read(reader) {
      bound(reader.count(MAJOR.uint) === value, () => `is not of version ${value}`);
      return value;
    },
  };
}

/** At most `most` items of one type, and at least `least`. */
export function list<T>(item: Codec<T>, most: number, least = 0): Codec<T[]> {
  const check = (count: number) =>
    bound(count >= least && count <= most, () => `has ${count} items where ${least} to ${most} are allowed`);
  return {
    write(writer, values) {
      check(values.length);
      writer.head(MAJOR.array, values.length);
      for (const value of values) item.write(writer, value);
    },
    read(reader) {
      const count = reader.count(MAJOR.array);
      check(count);
      return Array.from({ length: count }, () => item.read(reader));
    },
  };
}

export type Field<T, O extends boolean> = { key: number; codec: Codec<T>; optional: O };

export function required<T>(key: number, codec: Codec<T>): Field<T, false> {
  return { key, codec, optional: false };
}

export function optional<T>(key: number, codec: Codec<T>): Field<T, true> {
  return { key, codec, optional: true };
}

// biome-ignore lint/suspicious/noExplicitAny: a codec both takes and gives its type, so only `any` stands for every one.
type Fields = Record<string, Field<any, boolean>>;
type Needed<F extends Fields> = { [K in keyof F as F[K] extends Field<unknown, true> ? never : K]: FieldType<F[K]> };
type Optional<F extends Fields> = { [K in keyof F as F[K] extends Field<unknown, true> ? K : never]?: FieldType<F[K]> };
type FieldType<T> = T extends { codec: Codec<infer V> } ? V : never;
export type Struct<F extends Fields> = { [K in keyof (Needed<F> & Optional<F>)]: (Needed<F> & Optional<F>)[K] };

/** A closed map whose keys are written in the order of `fields`, which is ascending. */
export function struct<F extends Fields>(fields: F): Codec<Struct<F>> {
  const rows = Object.entries(fields).map(([name, field]) => ({ name, ...field }));
  for (const [i, { name, key }] of rows.entries()) {
    const before = rows[i - 1]?.key ?? -1;
    if (key <= before || key > 23) throw new Error(`key ${key} of ${name} is not between ${before} and 24`);
  }
  return {
    write(writer, value) {
      const record = value as Record<string, unknown>;
      let count = 0;
      for (const { name } of rows) if (record[name] !== undefined) count++;
      writer.head(MAJOR.map, count);
      for (const { name, key, codec } of rows) {
        const member = record[name];
        if (member === undefined) continue;
        writer.head(MAJOR.uint, key);
        codec.write(writer, member);
      }
    },
    read(reader) {
      let left = reader.count(MAJOR.map);
      const record: Record<string, unknown> = {};
      for (const { name, key, codec, optional } of rows) {
        if (left > 0 && reader.take(key)) {
          record[name] = codec.read(reader);
          left--;
        } else if (!optional) throw new Malformed(`lacks ${name} (key ${key}) in its place`);
      }
      bound(left === 0, () => "has a key that is unknown or out of order");
      return record as Struct<F>;
    },
  };
}

/**
 * Maps of several tables, told apart by the word at `key`, which each table has right after its key 0. `T` has that word in
 * its member `action`.
 */
export function variants<T extends { action: string }>(
  key: number,
  tables: { [A in T["action"]]: { code: number; codec: Codec<Extract<T, { action: A }>> } },
): Codec<T> {
  const rows = Object.entries(tables) as [T["action"], { code: number; codec: Codec<T> }][];
  const byAction = new Map(rows.map(([action, { codec }]) => [action, codec]));
  const byCode = new Map(rows.map(([, { code, codec }]) => [code, codec]));
  return {
    write(writer, value) {
      const codec = byAction.get(value.action);
      if (codec === undefined)
        throw new Malformed(`has the action ${value.action}, which is none of ${[...byAction.keys()].join(", ")}`);
      codec.write(writer, value);
    },
    read(reader) {
      const code = codeAt(reader.ahead(), key);
      const codec = byCode.get(code);
      if (codec === undefined)
        throw new Malformed(`has the action ${code}, which is none of ${[...byCode.keys()].join(", ")}`);
      return codec.read(reader);
    },
  };
}

/** The word at `key` of the map that `reader` is before. */
function codeAt(reader: CborReader, key: number): number {
  reader.count(MAJOR.map);
  for (const at of [0, key]) {
    if (!reader.take(at)) throw new Malformed(`lacks key ${at} in its place`);
    if (at === key) break;
    reader.count(MAJOR.uint);
  }
  return reader.count(MAJOR.uint);
}
