/**
 * What may be a GGUF file here (version 2 or 3, github.com/ggml-org/ggml/blob/master/docs/gguf.md), judged by its head
 * before llama.cpp reads it, and its vocabulary. The tensors themselves are left to llama.cpp, in a process of its own.
 */
import { GGUF_LIMITS } from "./limits.ts";

export type Vocabulary = { kind: "gpt2" | "llama"; tokens: string[] };

type Value = number | bigint | boolean | string | Value[];

class MalformedGguf extends Error {}

/** What is wrong with the GGUF file `bytes`, in words for its publisher; empty when nothing is. */
export function ggufFaults(bytes: Uint8Array): string[] {
  try {
    parseVocabulary(bytes);
    return [];
  } catch (error) {
    if (error instanceof MalformedGguf) return [`is not a GGUF file to run here: it ${error.message}`];
    throw error;
  }
}

/** The vocabulary in the file's head. Throws where the head is not one. */
export function parseVocabulary(bytes: Uint8Array): Vocabulary {
  const metadata = parseHead(bytes);
  const kind = metadata.get("tokenizer.ggml.model");
  const tokens = metadata.get("tokenizer.ggml.tokens");
  if (kind !== "gpt2" && kind !== "llama")
    throw new MalformedGguf(`has a tokenizer of the kind "${kind}", not gpt2 or llama`);
  if (!Array.isArray(tokens)) throw new MalformedGguf("has no tokens");
  return {
    kind,
    tokens: tokens.map((token) => {
      if (typeof token !== "string") throw new MalformedGguf("has a token that is no text");
      return token;
    }),
  };
}

function parseHead(bytes: Uint8Array): Map<string, Value> {
  const { entries, tensors, elements, textBytes } = GGUF_LIMITS;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Strings may not lie in memory that other threads could change.
  const decoder = new TextDecoder();
  let at = 0;
  function take(length: number): number {
    if (length > bytes.length - at) throw new MalformedGguf("ends in the middle of its head");
    at += length;
    return at - length;
  }
  function count(most: number, what: string): number {
    const value = view.getBigUint64(take(8), true);
    if (value > BigInt(most)) throw new MalformedGguf(`has ${value} ${what}; at most ${most} are allowed`);
    return Number(value);
  }
  const text = (): string => {
    const length = count(textBytes, "bytes in a text");
    const start = take(length);
    return decoder.decode(bytes.slice(start, start + length));
  };
  const READERS: Record<number, () => Value> = {
    0: () => view.getUint8(take(1)),
    1: () => view.getInt8(take(1)),
    2: () => view.getUint16(take(2), true),
    3: () => view.getInt16(take(2), true),
    4: () => view.getUint32(take(4), true),
    5: () => view.getInt32(take(4), true),
    6: () => view.getFloat32(take(4), true),
    7: () => view.getUint8(take(1)) !== 0,
    8: text,
    10: () => view.getBigUint64(take(8), true),
    11: () => view.getBigInt64(take(8), true),
    12: () => view.getFloat64(take(8), true),
  };
  function value(type: number): Value {
    if (type === 9) {
      const of = view.getUint32(take(4), true);
      if (of === 9) throw new MalformedGguf("has arrays inside arrays");
      return Array.from({ length: count(elements, "elements in an array") }, () => value(of));
    }
    const read = READERS[type];
    if (read === undefined) throw new MalformedGguf(`has a value of the type ${type}, which there is not`);
    return read();
  }

  if (decoder.decode(bytes.slice(0, 4)) !== "GGUF") throw new MalformedGguf("does not begin with GGUF");
  take(4);
  const version = view.getUint32(take(4), true);
  if (version !== 2 && version !== 3) throw new MalformedGguf(`is of version ${version}, not 2 or 3`);
  const tensorCount = count(tensors, "tensors");
  const entryCount = count(entries, "entries");
  const metadata = new Map<string, Value>();
  for (let i = 0; i < entryCount; i++) {
    const name = text();
    metadata.set(name, value(view.getUint32(take(4), true)));
  }
  for (let i = 0; i < tensorCount; i++) {
    text();
    const dimensions = view.getUint32(take(4), true);
    take(8 * dimensions + 4);
    if (view.getBigUint64(take(8), true) > BigInt(bytes.length)) throw new MalformedGguf("has a tensor beyond its end");
  }
  return metadata;
}
